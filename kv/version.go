// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/vclock"
)

// Kind tells a value from a tombstone.
type Kind uint8

const (
	// KindValue is a value, possibly empty.
	KindValue Kind = 1 + iota
	// KindTombstone marks a deletion. It is an ordinary version until a purge.
	KindTombstone
)

func (k Kind) String() string {
	switch k {
	case KindValue:
		return "value"
	case KindTombstone:
		return "tombstone"
	default:
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
}

// RequestID is chosen by a client for one write and kept over its retries. The
// zero value means "none".
type RequestID [16]byte

// IsZero reports whether r is "none".
func (r RequestID) IsZero() bool { return r == RequestID{} }

// Version is one write that nobody who read it has overwritten yet.
//
// All of it belongs to the write and never changes, the fence included: what is written
// again under a higher fence is a new write with a dot of its own. Two versions of one
// dot and different fences would make the merge depend on its order.
//
// A version may stand without its value (in caches and digests); then Value is nil
// while Size is not 0. All else, the checksum included, is always there.
type Version struct {
	Dot       vclock.Dot
	Kind      Kind
	Value     []byte // nil for a tombstone; owned by the version, never modified
	Size      uint32 // of the value, bytes
	ExpiresAt int64  // Unix milliseconds; 0 means never
	Fence     Fence
	Stamp     Stamp
	Request   RequestID
	Checksum  uint64 // over all of the above but Dot; set by Sealed
}

// Sealed returns v with Size and Checksum set from its content.
func (v Version) Sealed() Version {
	v.Size = uint32(len(v.Value))
	v.Checksum = v.sum()
	return v
}

// Intact reports whether the checksum fits the content. The value must be there.
func (v Version) Intact() bool {
	return v.HasValue() && int(v.Size) == len(v.Value) && v.Checksum == v.sum()
}

// HasValue reports whether the value is there (a tombstone has none to miss).
func (v Version) HasValue() bool { return v.Size == 0 || v.Value != nil }

// Expired reports whether the version's time to live is over at now (Unix
// milliseconds). An expired version still stands in its object until a tombstone
// replaces it; the read coordinator hides it (ARCHITECTURE 7, TRAPS K2).
func (v Version) Expired(now int64) bool { return v.ExpiresAt != 0 && v.ExpiresAt <= now }

// Live reports whether a reader at now is shown the version.
func (v Version) Live(now int64) bool { return v.Kind == KindValue && !v.Expired(now) }

// withoutValue returns v as caches and digests keep it.
func (v Version) withoutValue() Version {
	v.Value = nil
	return v
}

func (v Version) sum() uint64 {
	var head [1 + 8 + 8 + 8 + 16]byte
	head[0] = byte(v.Kind)
	binary.BigEndian.PutUint64(head[1:], uint64(v.ExpiresAt))
	binary.BigEndian.PutUint64(head[9:], uint64(v.Fence))
	binary.BigEndian.PutUint64(head[17:], uint64(v.Stamp))
	copy(head[25:], v.Request[:])
	var d xxhash.Digest
	d.ResetWithSeed(0)
	_, _ = d.Write(head[:]) // never fails
	_, _ = d.Write(v.Value) // never fails
	return d.Sum64()
}
