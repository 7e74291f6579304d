// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/kv"
)

// ErrRecord is returned for bytes that are no intact record of the key they were found
// under: empty, cut off, damaged, of an unknown format, or another key's. It is never
// the same as "there is none" (ARCHITECTURE 6).
var ErrRecord = errors.New("wire: not a record of this key")

// Format says what a record holds. Formats are stored: none ever changes its meaning.
type Format uint8

const (
	// FormatObject is a whole object.
	FormatObject Format = 1 + iota
	// FormatHeader is an object without its values; each is in a FormatVersion record.
	FormatHeader
	// FormatVersion is one version of a FormatHeader's object, with its value.
	FormatVersion
	// FormatJournal is a batch of a store's journal of request ids.
	FormatJournal
	// FormatIdentity is who a store belongs to.
	FormatIdentity
	// FormatOpens is how often a store was opened.
	FormatOpens
	// FormatCleanMark is what a clean stop leaves behind.
	FormatCleanMark
	// FormatRaftState is where a seat's raft log stands.
	FormatRaftState
	// FormatRaftEntry is an entry of a raft log.
	FormatRaftEntry
	// FormatRaftOpens is the openings of a store under one raft id.
	FormatRaftOpens
	// FormatRaftPeers is the newest openings of other seats.
	FormatRaftPeers
	// FormatSnapshotHead is what a snapshot of the group's state is made of.
	FormatSnapshotHead
	// FormatSnapshotPart is a part of such a snapshot.
	FormatSnapshotPart
	// FormatRaftView is the last view of ring and buckets that the node knew.
	FormatRaftView
	// FormatStampMark bounds the stamps that a store has issued.
	FormatStampMark
	// FormatTreePart is a part of the trees that a clean stop leaves behind.
	FormatTreePart
	// FormatPurges is where a node stands in the purge rounds of a partition.
	FormatPurges
	// FormatLife is which life of its node's store a directory holds.
	FormatLife
	// FormatFences is what a node refuses for good in each partition.
	FormatFences
	// FormatRefill is how much of a store that is being filled came from where.
	FormatRefill

	formatEnd // the first that this release does not know
)

func (f Format) String() string {
	names := [...]string{
		"none", "object", "header", "version", "journal", "identity", "opens", "clean-mark",
		"raft-state", "raft-entry", "raft-opens", "raft-peers", "snapshot-head", "snapshot-part",
		"raft-view", "stamp-mark", "tree-part", "purges", "life", "fences", "refill",
	}
	if int(f) < len(names) {
		return names[f]
	}
	return fmt.Sprintf("format(%d)", uint8(f))
}

// RecordOverhead is how many bytes an envelope adds to its payload.
const RecordOverhead = offsetPayload

// The envelope of a record, integers big-endian:
//
//	format (1) | payload length (4) | key hash (8) | CRC32C (4) | payload
//
// The key hash is xxhash64 of the record's whole key, prefix included: it finds a value
// that the engine hands out under another key. The checksum covers all else.
const (
	offsetLength  = 1
	offsetKeyHash = 5
	offsetSum     = 13
	offsetPayload = 17
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendRecord appends the record that holds payload under key.
func AppendRecord(dst []byte, f Format, key, payload []byte) []byte {
	start := len(dst)
	dst = beginRecord(dst)
	dst = append(dst, payload...)
	SealRecord(dst[start:], f, key)
	return dst
}

// SealRecord writes the envelope into the first RecordOverhead bytes of rec, the rest of
// which is the payload: for callers that build the payload in place.
func SealRecord(rec []byte, f Format, key []byte) {
	rec[0] = byte(f)
	binary.BigEndian.PutUint32(rec[offsetLength:], uint32(len(rec)-RecordOverhead))
	binary.BigEndian.PutUint64(rec[offsetKeyHash:], xxhash.Sum64(key))
	binary.BigEndian.PutUint32(rec[offsetSum:], recordSum(rec))
}

// OpenRecord returns what a record holds; the payload aliases rec. It returns ErrRecord
// where rec is not exactly what was sealed under key.
func OpenRecord(key, rec []byte) (Format, []byte, error) {
	if len(rec) < RecordOverhead {
		return 0, nil, fmt.Errorf("%w: %d bytes are too few", ErrRecord, len(rec))
	}
	payload := rec[offsetPayload:]
	if n := binary.BigEndian.Uint32(rec[offsetLength:]); uint64(n) != uint64(len(payload)) {
		return 0, nil, fmt.Errorf("%w: %d bytes of payload, not %d", ErrRecord, len(payload), n)
	}
	if binary.BigEndian.Uint32(rec[offsetSum:]) != recordSum(rec) {
		return 0, nil, fmt.Errorf("%w: checksum differs", ErrRecord)
	}
	if binary.BigEndian.Uint64(rec[offsetKeyHash:]) != xxhash.Sum64(key) {
		return 0, nil, fmt.Errorf("%w: it was stored under another key", ErrRecord)
	}
	f := Format(rec[0])
	if f < FormatObject || f >= formatEnd {
		return 0, nil, fmt.Errorf("%w: unknown format %d; was it written by a later release?",
			ErrRecord, rec[0])
	}
	return f, payload, nil
}

func recordSum(rec []byte) uint32 {
	head := crc32.Update(0, castagnoli, rec[:offsetSum])
	return crc32.Update(head, castagnoli, rec[offsetPayload:])
}

// openAs is OpenRecord for a record that must be of one format.
func openAs(want Format, key, rec []byte) ([]byte, error) {
	f, payload, err := OpenRecord(key, rec)
	if err != nil {
		return nil, err
	}
	if f != want {
		return nil, fmt.Errorf("%w: it is of format %s, not %s", ErrRecord, f, want)
	}
	return payload, nil
}

// beginRecord appends room for an envelope; SealRecord fills it.
func beginRecord(dst []byte) []byte {
	var room [RecordOverhead]byte
	return append(dst, room[:]...)
}

// AppendObjectRecord appends the record of a whole object.
func AppendObjectRecord(dst, key []byte, o *kv.Object) []byte {
	start := len(dst)
	dst = AppendObject(beginRecord(dst), o)
	SealRecord(dst[start:], FormatObject, key)
	return dst
}

// AppendHeaderRecord appends the record of an object whose values are in records of
// their own.
func AppendHeaderRecord(dst, key []byte, o *kv.Object) []byte {
	start := len(dst)
	dst = AppendObjectBare(beginRecord(dst), o)
	SealRecord(dst[start:], FormatHeader, key)
	return dst
}

// DecodeObjectRecord reads a record that AppendObjectRecord, AppendHeaderRecord or
// AppendRecord with an encoded object made. Of a header the versions come without their
// values, and whole is false. Values alias rec. It returns ErrRecord or ErrObject.
func DecodeObjectRecord(key, rec []byte) (o kv.Object, whole bool, err error) {
	f, payload, err := OpenRecord(key, rec)
	if err != nil {
		return kv.Object{}, false, err
	}
	switch f {
	case FormatObject:
		if o, err = DecodeObject(payload); err == nil && !o.HasValues() {
			err = fmt.Errorf("%w: a value is missing", ErrObject)
		}
	case FormatHeader:
		o, err = DecodeObjectBare(payload)
	default:
		err = fmt.Errorf("%w: it is of format %s, not an object", ErrRecord, f)
	}
	return o, f == FormatObject, err
}

// AppendVersionRecord appends the record of one version with its value.
func AppendVersionRecord(dst, key []byte, v *kv.Version) []byte {
	start := len(dst)
	dst = append(beginRecord(dst), 0x92)
	dst = appendUint(dst, uint64(v.Fence))
	dst = appendVersion(dst, v, true)
	SealRecord(dst[start:], FormatVersion, key)
	return dst
}

// DecodeVersionRecord reads a record that AppendVersionRecord made; the value aliases
// rec. It returns ErrRecord or ErrObject.
func DecodeVersionRecord(key, rec []byte) (kv.Version, error) {
	payload, err := openAs(FormatVersion, key, rec)
	if err != nil {
		return kv.Version{}, err
	}
	var v kv.Version
	r := reader{b: payload, field: "version"}
	extra := r.tuple(2)
	v.Fence = kv.Fence(r.uint64())
	r.version(&v, true)
	if r.err == nil && !v.HasValue() {
		r.fail(invalid(r.field, "its value is missing"))
	}
	r.extras(extra)
	if err := r.finish(); err != nil {
		return kv.Version{}, fmt.Errorf("%w: %w", ErrObject, err)
	}
	return v, nil
}
