// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/kv"
)

// Held is what a replica has of a key. The zero Held is nothing.
type Held uint8

const (
	// HeldNothing: there is certainly no record of the key.
	HeldNothing Held = iota
	// HeldObject: there is an object.
	HeldObject
	// HeldDamaged: there is a record that can not be read (I5).
	HeldDamaged
	// HeldTombstone: there is an object that has nothing but tombstones. Its hash is that of
	// an object; who lists keys for others does not tell the two apart ([Entry.Listed]).
	HeldTombstone
)

func (h Held) String() string {
	switch h {
	case HeldNothing:
		return "nothing"
	case HeldObject:
		return "object"
	case HeldDamaged:
		return "damaged"
	case HeldTombstone:
		return "tombstone"
	default:
		return fmt.Sprintf("held(%d)", uint8(h))
	}
}

// Entry is what a tree knows of one key. The zero Entry is a key that is not there.
// Entries are compared by ==.
type Entry struct {
	Held Held
	Hash uint64 // 0 where nothing is held
}

// Of returns the entry of an object, which may stand without its values.
func Of(seed uint64, bucket kv.BucketID, key []byte, o *kv.Object) Entry {
	e := Entry{Held: HeldObject, Hash: EntryHash(seed, bucket, key, o)}
	if o.Deleted() {
		e.Held = HeldTombstone
	}
	return e
}

// Listed is the entry as lists of keys have it: with them two entries are compared of which
// one came from another node.
func (e Entry) Listed() Entry {
	if e.Held == HeldTombstone {
		e.Held = HeldObject
	}
	return e
}

// Damaged returns the entry of a record that node can not read. It is another one on each
// node: two replicas that have both lost a key are not in sync either.
func Damaged(seed uint64, node kv.NodeID, bucket kv.BucketID, key []byte) Entry {
	buf := make([]byte, 0, entryRoom)
	buf = appendName(buf, HeldDamaged, bucket, key)
	buf = binary.BigEndian.AppendUint16(buf, uint16(node))
	return Entry{Held: HeldDamaged, Hash: sum(seed, buf)}
}

// EntryHash is the hash of what a replica holds of a key (I2). It is the same on every
// node and never changes: another hash is another Algorithm. Big-endian throughout:
//
//	algorithm (1) | held (1) | bucket (4) | key length (4) | key | fence (8) | context |
//	number of versions (4) | of each: dot (16) | kind (1) | expires-at (8) | stamp (8) |
//	checksum (8)
//
// A context's encoding tells its own length (vclock), so no two objects share their bytes.
func EntryHash(seed uint64, bucket kv.BucketID, key []byte, o *kv.Object) uint64 {
	buf := make([]byte, 0, entryRoom)
	buf = appendName(buf, HeldObject, bucket, key)
	buf = binary.BigEndian.AppendUint64(buf, uint64(o.Fence))
	buf = o.Context.Append(buf)
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(o.Versions)))
	for i := range o.Versions {
		v := &o.Versions[i]
		buf = binary.BigEndian.AppendUint64(buf, uint64(v.Dot.Actor))
		buf = binary.BigEndian.AppendUint64(buf, v.Dot.Counter)
		buf = append(buf, byte(v.Kind))
		buf = binary.BigEndian.AppendUint64(buf, uint64(v.ExpiresAt))
		buf = binary.BigEndian.AppendUint64(buf, uint64(v.Stamp))
		buf = binary.BigEndian.AppendUint64(buf, v.Checksum)
	}
	return sum(seed, buf)
}

// entryRoom holds the usual entry without an allocation.
const entryRoom = 512

func appendName(buf []byte, held Held, bucket kv.BucketID, key []byte) []byte {
	buf = append(buf, Algorithm, byte(held))
	buf = binary.BigEndian.AppendUint32(buf, uint32(bucket))
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(key)))
	return append(buf, key...)
}

func sum(seed uint64, b []byte) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.Write(b) // never fails
	return d.Sum64()
}
