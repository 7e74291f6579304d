// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"math"

	"github.com/dyno-kv/dyno/kv"
)

// PrefixTreePart begins the keys of TreePartKey.
const PrefixTreePart = "trees/"

// TreePartKey is the key of a control record: of part number part, from 0 on, of the trees
// that a clean stop left.
func TreePartKey(part uint32) string { return fmt.Sprintf("%s%08x", PrefixTreePart, part) }

// TreePart is a part of the trees that a clean stop leaves behind. It is good for the start
// after that stop, and for no other: the clean mark, which says how many parts there are,
// goes with the first thing that the next start writes.
type TreePart struct {
	// Open is the opening that was stopped: parts of another one are leftovers.
	Open kv.Open
	// Trees are encodings of package antientropy.
	Trees [][]byte
}

const (
	treePartFields = 2
	minTree        = 2 // the head of bytes
)

// AppendTreePartRecord appends the record that stands under key, which is a TreePartKey.
func AppendTreePartRecord(dst []byte, key string, p *TreePart) []byte {
	start := len(dst)
	dst = append(beginRecord(dst), 0x90|treePartFields)
	dst = appendUint(append(dst, 0x90|openFields), p.Open.Seq)
	dst = appendUint(dst, p.Open.Nonce)
	dst = appendArray(dst, len(p.Trees))
	for _, tree := range p.Trees {
		dst = appendBin(dst, tree)
	}
	SealRecord(dst[start:], FormatTreePart, []byte(key))
	return dst
}

// DecodeTreePartRecord reads the record that stands under key; the trees alias it. It
// returns ErrRecord for anything else.
func DecodeTreePartRecord(key string, rec []byte) (p TreePart, err error) {
	r, err := openControl(FormatTreePart, key, rec)
	if err != nil {
		return TreePart{}, err
	}
	extra := r.tuple(treePartFields)
	more := r.tuple(openFields)
	p.Open = kv.Open{Seq: r.uint64(), Nonce: r.uint64()}
	r.extras(more)
	p.Trees = elements(r, r.array(minTree), func(r *reader) []byte { return r.bytes(math.MaxInt32) })
	r.extras(extra)
	return p, r.record()
}
