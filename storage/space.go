// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// Space tells apart what a store holds of one key: the zero Space is what this node owns,
// the others are what it keeps for somebody else. A key is another object in each of them,
// and all of them belong to the shard of its partition.
type Space uint16

// HintsFor is the space of the hints for the members of a slot.
func HintsFor(slot uint8) Space { return 1 + Space(slot) }

// Slot is the slot whose hints stand in the space; false in that of what this node owns.
func (s Space) Slot() (slot uint8, hints bool) { return uint8(s - 1), s != 0 }

func (s Space) String() string {
	if slot, hints := s.Slot(); hints {
		return fmt.Sprintf("hints for slot %d", slot)
	}
	return "own"
}

// appendKey appends the key of an object's record; with a part of a key it is the prefix
// of all that begin so.
func (s Space) appendKey(dst []byte, partition uint16, bucket kv.BucketID, key []byte) []byte {
	if slot, hints := s.Slot(); hints {
		return wire.AppendHintKey(dst, partition, slot, bucket, key)
	}
	return wire.AppendObjectKey(dst, partition, bucket, key)
}

// appendVersionKey appends the key of a version's record.
func (s Space) appendVersionKey(
	dst []byte, partition uint16, bucket kv.BucketID, key []byte, d vclock.Dot,
) []byte {
	if slot, hints := s.Slot(); hints {
		return wire.AppendHintVersionKey(dst, partition, slot, bucket, key, d)
	}
	return wire.AppendVersionKey(dst, partition, bucket, key, d)
}

// appendPartition appends the prefix of all objects of a partition.
func (s Space) appendPartition(dst []byte, partition uint16) []byte {
	if slot, hints := s.Slot(); hints {
		return wire.AppendHintSlot(dst, partition, slot)
	}
	return wire.AppendObjectPartition(dst, partition)
}

// parseKey is the inverse of appendKey.
func (s Space) parseKey(record []byte) (wire.ObjectKeyParts, error) {
	if s == 0 {
		return wire.ParseObjectKey(record)
	}
	parts, err := wire.ParseHintKey(record)
	return parts.ObjectKeyParts, err
}

// parseVersionKey finds the dot in what appendVersionKey made.
func (s Space) parseVersionKey(record []byte) (d vclock.Dot, err error) {
	if s == 0 {
		_, d, err = wire.ParseVersionKey(record)
	} else {
		_, d, err = wire.ParseHintVersionKey(record)
	}
	return d, err
}

// Area is what a store holds in one space.
type Area struct {
	store *Store
	space Space
}

// In returns what the store holds in a space.
func (s *Store) In(space Space) Area { return Area{store: s, space: space} }

// Read is that of the area of what this node owns.
func (s *Store) Read(
	partition uint16, bucket kv.BucketID, key []byte, mode Mode,
) (Current, error) {
	return s.In(0).Read(partition, bucket, key, mode)
}

// Scan is that of the area of what this node owns.
func (s *Store) Scan(
	partition uint16, bucket kv.BucketID, prefix, after []byte, limit, size int, mode Mode,
) (entries []Entry, more bool, err error) {
	return s.In(0).Scan(partition, bucket, prefix, after, limit, size, mode)
}

// BucketFrom is that of the area of what this node owns.
func (s *Store) BucketFrom(partition uint16, from kv.BucketID) (
	bucket kv.BucketID, found bool, err error,
) {
	return s.In(0).BucketFrom(partition, from)
}

// Fold is that of the area of what this node owns.
func (s *Store) Fold(
	partition uint16, fn func(bucket kv.BucketID, key []byte, c Current) bool,
) error {
	return s.In(0).Fold(partition, fn)
}

// FoldAfter is Fold for what comes after a key of a bucket.
func (s *Store) FoldAfter(
	partition uint16, bucket kv.BucketID, key []byte,
	fn func(bucket kv.BucketID, key []byte, c Current) bool,
) error {
	own := s.In(0)
	return own.FoldFrom(partition, own.After(partition, bucket, key), fn)
}

// HintsFrom returns the least slot, not below the given one, for which the partition has
// durable hints; false where there is none.
func (s *Store) HintsFrom(partition uint16, from uint8) (slot uint8, found bool, err error) {
	if s.failure.Load() != nil {
		return 0, false, s.failed()
	}
	generation := s.reads.enter()
	defer s.reads.leave(generation)
	ts := s.shardOf(partition).overlay.readableAt()
	all := wire.AppendHintPartition(nil, partition)
	slotAt := len(all)
	err = s.engine.Iterate(ts, all, wire.AppendHintSlot(nil, partition, from),
		func(key, _ []byte) bool {
			if found = len(key) > slotAt; found {
				slot = key[slotAt]
			}
			return !found // a key without a slot is none of ours
		})
	if err != nil {
		return 0, false, fmt.Errorf("storage: slots with hints in partition %d: %w", partition, err)
	}
	return slot, found, nil
}
