// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"math"

	"github.com/dyno-kv/dyno/kv"
)

// Keys of control records about the lives of a store.
const (
	KeyLife   = "life"
	KeyFences = "fences"
	KeyRefill = "refill"
)

// Life is which life of its node's store a directory holds.
type Life struct {
	// Instance is the one that the group has given to this store; 0: none yet.
	Instance kv.Instance
	// Filling: it has not been full yet.
	Filling bool
	// Word is the operator's, that the store before this one is lost; with the zero Open
	// there is none, or it has been followed.
	Word RejoinWord
}

// RejoinWord is an operator's word that a node's store is lost, given to a directory.
type RejoinWord struct {
	// Previous is the instance of the lost store. The word is good for that one alone.
	Previous kv.Instance
	// For is the opening of this directory that it was given to.
	For kv.Open
	// Wiped: nothing is left of what the directory held.
	Wiped bool
}

// PlacementFence is what a node has promised for one partition: to refuse what is older.
type PlacementFence struct {
	Partition uint16
	Version   kv.PlacementVersion
}

// RefillSource is how much of a store that is being filled came from one other owner.
type RefillSource struct {
	Node     kv.NodeID
	Instance kv.Instance
	// Copied are the partitions that were copied as a whole, a bit for each: bit p%8 of
	// byte p/8.
	Copied []byte
}

// How many fields this release knows of each record; arrays may be longer.
const (
	lifeFields         = 3
	wordFields         = 3
	fenceRecordFields  = 2
	refillSourceFields = 3

	minFenceRecord  = 1 + fenceRecordFields
	minRefillSource = 1 + refillSourceFields + 1 // the head of bytes has two
)

// AppendLifeRecord appends the record that stands under KeyLife.
func AppendLifeRecord(dst []byte, l *Life) []byte {
	start := len(dst)
	dst = append(beginRecord(dst), 0x90|lifeFields)
	dst = appendUint(dst, uint64(l.Instance))
	dst = appendBool(dst, l.Filling)
	dst = appendUint(append(dst, 0x90|wordFields), uint64(l.Word.Previous))
	dst = appendUint(append(dst, 0x90|openFields), l.Word.For.Seq)
	dst = appendUint(dst, l.Word.For.Nonce)
	dst = appendBool(dst, l.Word.Wiped)
	SealRecord(dst[start:], FormatLife, []byte(KeyLife))
	return dst
}

// DecodeLifeRecord reads the record that stands under KeyLife. It returns ErrRecord for
// anything else.
func DecodeLifeRecord(rec []byte) (l Life, err error) {
	r, err := openControl(FormatLife, KeyLife, rec)
	if err != nil {
		return Life{}, err
	}
	extra := r.tuple(lifeFields)
	l.Instance, l.Filling = kv.Instance(r.uint64()), r.bool()
	more := r.tuple(wordFields)
	l.Word.Previous = kv.Instance(r.uint64())
	rest := r.tuple(openFields)
	l.Word.For = kv.Open{Seq: r.uint64(), Nonce: r.uint64()}
	r.extras(rest)
	l.Word.Wiped = r.bool()
	r.extras(more)
	r.extras(extra)
	return l, r.record()
}

// AppendFencesRecord appends the record that stands under KeyFences.
func AppendFencesRecord(dst []byte, fences []PlacementFence) []byte {
	start := len(dst)
	dst = appendArray(beginRecord(dst), len(fences))
	for _, f := range fences {
		dst = appendUint(append(dst, 0x90|fenceRecordFields), uint64(f.Partition))
		dst = appendUint(dst, uint64(f.Version))
	}
	SealRecord(dst[start:], FormatFences, []byte(KeyFences))
	return dst
}

// DecodeFencesRecord reads the record that stands under KeyFences. It returns ErrRecord for
// anything else.
func DecodeFencesRecord(rec []byte) ([]PlacementFence, error) {
	r, err := openControl(FormatFences, KeyFences, rec)
	if err != nil {
		return nil, err
	}
	fences := elements(r, r.array(minFenceRecord), func(r *reader) (f PlacementFence) {
		extra := r.tuple(fenceRecordFields)
		f = PlacementFence{Partition: r.uint16(), Version: kv.PlacementVersion(r.uint64())}
		r.extras(extra)
		return f
	})
	return fences, r.record()
}

// AppendRefillRecord appends the record that stands under KeyRefill.
func AppendRefillRecord(dst []byte, sources []RefillSource) []byte {
	start := len(dst)
	dst = appendArray(beginRecord(dst), len(sources))
	for _, s := range sources {
		dst = appendUint(append(dst, 0x90|refillSourceFields), uint64(s.Node))
		dst = appendUint(dst, uint64(s.Instance))
		dst = appendBin(dst, s.Copied)
	}
	SealRecord(dst[start:], FormatRefill, []byte(KeyRefill))
	return dst
}

// DecodeRefillRecord reads the record that stands under KeyRefill; it aliases rec. It
// returns ErrRecord for anything else.
func DecodeRefillRecord(rec []byte) ([]RefillSource, error) {
	r, err := openControl(FormatRefill, KeyRefill, rec)
	if err != nil {
		return nil, err
	}
	sources := elements(r, r.array(minRefillSource), func(r *reader) (s RefillSource) {
		extra := r.tuple(refillSourceFields)
		s = RefillSource{Node: kv.NodeID(r.uint16()), Instance: kv.Instance(r.uint64())}
		s.Copied = r.bytes(math.MaxInt32)
		r.extras(extra)
		return s
	})
	return sources, r.record()
}
