// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// place names the record of an object.
type place struct {
	space     Space
	partition uint16
	bucket    kv.BucketID
	key       []byte
	record    []byte // the record's key in the engine
}

func placeOf(space Space, partition uint16, bucket kv.BucketID, key []byte) place {
	record := make([]byte, 0, keyOverhead+len(key))
	record = space.appendKey(record, partition, bucket, key)
	return place{space, partition, bucket, key, record}
}

// keyOverhead is at least what a record's key has beside the object's.
const keyOverhead = 24

// versionKey is the key of the record of one value.
func (at place) versionKey(d vclock.Dot) []byte {
	key := make([]byte, 0, keyOverhead+len(at.key))
	return at.space.appendVersionKey(key, at.partition, at.bucket, at.key, d)
}

// Read returns what is durable of a key. It never waits for a commit, nor for the
// shard. Of a key that is being written it returns the last durable state.
//
// Current.State is StateUnreadable, with the reason, where the record is damaged or
// reading it failed. The error is ErrFailed after the store stopped.
func (a Area) Read(
	partition uint16, bucket kv.BucketID, key []byte, mode Mode,
) (Current, error) {
	s := a.store
	if s.failure.Load() != nil {
		return Current{}, s.failed()
	}
	sh, at := s.shardOf(partition), placeOf(a.space, partition, bucket, key)
	if mode == ModeFull {
		return s.fetch(sh, at, wholeObject).current, nil
	}
	if known, found := sh.overlay.readable(at.record); found {
		return known.current, nil
	}
	f := s.fetch(sh, at, bareObject)
	sh.overlay.learn(at.record, f.ts, f.stored)
	return f.current, nil
}

// depth is how much of an object is read.
type depth uint8

const (
	// bareObject: without values.
	bareObject depth = 1 + iota
	// oneRecord: what the object's record has: the values, unless they have their own.
	oneRecord
	// wholeObject: with all values.
	wholeObject
)

// fetch reads a key as of the shard's durable timestamp.
func (s *Store) fetch(sh *shard, at place, d depth) fetched {
	generation := s.reads.enter()
	defer s.reads.leave(generation)
	ts := sh.overlay.readableAt()
	return fetched{stored: s.readAt(at, ts, d), ts: ts}
}

func (s *Store) readAt(at place, ts uint64, d depth) stored {
	if err := s.cfg.Points.Hit(PointFetch); err != nil {
		return unreadable(err)
	}
	record, found, err := s.engine.Get(at.record, ts)
	switch {
	case err != nil:
		return unreadable(err)
	case !found:
		return stored{current: Current{State: StateAbsent, Full: true}}
	}
	return s.decode(at, record, ts, d)
}

// decode makes sense of an object's record. Unless d is bareObject the result points
// into record, which must not change any more then.
func (s *Store) decode(at place, record []byte, ts uint64, d depth) stored {
	object, whole, err := wire.DecodeObjectRecord(at.record, record)
	if err != nil {
		return unreadable(err)
	}
	out := stored{current: Current{Object: object, State: StatePresent}, split: !whole}
	switch {
	case d == bareObject:
		return out.bare()
	case whole:
		out.current.Encoded = record[wire.RecordOverhead:]
	case d == wholeObject:
		if out.current.Object, err = s.withValues(at, object, ts); err != nil {
			return unreadable(err)
		}
	}
	out.current.Full = out.current.Object.HasValues()
	return out
}

// withValues reads the values of a split object.
func (s *Store) withValues(at place, header kv.Object, ts uint64) (kv.Object, error) {
	whole := make([]kv.Version, len(header.Versions))
	for i, v := range header.Versions {
		whole[i] = v
		if v.HasValue() {
			continue
		}
		key := at.versionKey(v.Dot)
		record, found, err := s.engine.Get(key, ts)
		if err != nil {
			return kv.Object{}, err
		}
		if !found {
			return kv.Object{}, fmt.Errorf("version %s has no record", v.Dot)
		}
		stored, err := wire.DecodeVersionRecord(key, record)
		if err != nil {
			return kv.Object{}, fmt.Errorf("version %s: %w", v.Dot, err)
		}
		if stored.Dot != v.Dot || stored.Checksum != v.Checksum {
			return kv.Object{}, fmt.Errorf("version %s: its record is of another write", v.Dot)
		}
		whole[i] = stored
	}
	header.Versions = whole
	return header, nil
}

func unreadable(err error) stored {
	if mutant.On(mutant.UnreadableIsAbsent) {
		return stored{current: Current{State: StateAbsent, Full: true}}
	}
	return stored{current: Current{
		State: StateUnreadable,
		Err:   fmt.Errorf("%w: %w", ErrUnreadable, err),
	}}
}
