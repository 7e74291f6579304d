// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/vclock"
)

// Object is all that one replica knows of one key. The zero value is a key that was
// never written. Objects are immutable once shared (I5).
type Object struct {
	// Context holds every write that the object has seen, overwritten ones too.
	// Invariant: it contains the dot of each version (I1).
	Context vclock.Context
	// Versions are what nobody has overwritten. Invariant: in order of dots (I2).
	Versions []Version
	// Fence is the highest that the object ever held.
	// Invariant: every version's fence equals it (I3).
	Fence Fence
}

// IsZero reports whether the key was never written, as far as this object knows.
func (o Object) IsZero() bool { return o.Context.IsEmpty() && len(o.Versions) == 0 }

// Find returns the version with the given dot.
func (o Object) Find(d vclock.Dot) (Version, bool) {
	i, found := slices.BinarySearchFunc(o.Versions, d, compareDot)
	if !found {
		return Version{}, false
	}
	return o.Versions[i], true
}

// Live returns the versions that a reader at now (Unix milliseconds) is shown, in
// order of their dots: values that have not expired. Where a value and a tombstone
// are concurrent the value is shown and both are kept (TRAPS C13).
func (o Object) Live(now int64) []Version {
	live := make([]Version, 0, len(o.Versions))
	for _, v := range o.Versions {
		if v.Live(now) {
			live = append(live, v)
		}
	}
	return live
}

// Deleted reports whether the object has nothing but tombstones, and at least one: it shows
// nothing, and is kept for what it covers.
func (o Object) Deleted() bool {
	for i := range o.Versions {
		if o.Versions[i].Kind != KindTombstone {
			return false
		}
	}
	return len(o.Versions) > 0
}

// HasValues reports whether every version has its value.
func (o Object) HasValues() bool {
	for _, v := range o.Versions {
		if !v.HasValue() {
			return false
		}
	}
	return true
}

// WithoutValues returns the object as caches and digests keep it.
func (o Object) WithoutValues() Object {
	bare := make([]Version, len(o.Versions))
	for i, v := range o.Versions {
		bare[i] = v.withoutValue()
	}
	o.Versions = bare
	return o
}

// Size is about how many bytes the object takes stored: what limits count.
func (o Object) Size() int {
	const perVersion = 64 // dot, stamps, checksum and request id, encoded
	size := o.Context.EncodedSize()
	for _, v := range o.Versions {
		size += perVersion + int(v.Size)
	}
	return size
}

// Digest identifies the object's content: context, and for each version its dot and
// its checksum, which covers value, kind, expiry, stamp and fence (TRAPS M2).
// Replicas with equal digests hold the same.
func (o Object) Digest() uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(uint64(o.Fence))
	buf := make([]byte, 0, 256)
	buf = o.Context.Append(buf)
	for _, v := range o.Versions {
		buf = binary.BigEndian.AppendUint64(buf, uint64(v.Dot.Actor))
		buf = binary.BigEndian.AppendUint64(buf, v.Dot.Counter)
		buf = binary.BigEndian.AppendUint64(buf, v.Checksum)
	}
	_, _ = d.Write(buf) // never fails
	return d.Sum64()
}

// LatestStamp is the highest stamp among the versions, 0 where there is none.
func (o Object) LatestStamp() Stamp {
	var latest Stamp
	for _, v := range o.Versions {
		latest = max(latest, v.Stamp)
	}
	return latest
}

// Winner is the version of the highest stamp, and of equal ones that of the highest dot;
// false where there is none. The order is total, so all who merged the same name the same
// winner, and an object that learns of more versions goes on to a higher one only. It
// decides what an lww bucket shows, never what is kept (TRAPS C12).
func (o Object) Winner() (Version, bool) {
	var winner Version
	for i, v := range o.Versions { // in order of dots: of equal stamps the last one wins
		if i == 0 || v.Stamp >= winner.Stamp {
			winner = v
		}
	}
	return winner, len(o.Versions) > 0
}

func compareDot(v Version, d vclock.Dot) int { return v.Dot.Compare(d) }
