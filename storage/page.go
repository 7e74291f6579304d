// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"fmt"
	"math"

	"github.com/dyno-kv/dyno/kv"
)

// Located is one object of a page that goes over all buckets. Where the record's key is
// damaged it has neither bucket nor key, and StateUnreadable.
type Located struct {
	Bucket kv.BucketID
	Key    []byte
	Current
}

// Position is a place in the order of a partition's objects, between two of them. The
// zero Position is before the first.
type Position struct {
	from []byte // the least key of a record that comes after it
}

// Page returns objects of a partition, bucket by bucket and in order of the keys, from a
// position on: at most limit of them, and after the first no more than size bytes of keys
// and objects. next is the position after the last of them; more reports whether there are
// others. All are of one moment. What can not be read is among them, with StateUnreadable.
//
// An error says that the page has to be asked for again; it is ErrFailed after the store
// stopped.
func (a Area) Page(partition uint16, from Position, limit, size int, mode Mode) (
	page []Located, next Position, more bool, err error,
) {
	s := a.store
	if s.failure.Load() != nil {
		return nil, from, false, s.failed()
	}
	generation := s.reads.enter()
	defer s.reads.leave(generation)
	ts := s.shardOf(partition).overlay.readableAt()
	p := pager{store: s, ts: ts, limit: limit, size: size, depth: depthOf(mode)}
	next = from
	err = s.engine.Iterate(ts, a.space.appendPartition(nil, partition), from.from,
		func(key, record []byte) bool {
			if p.full(len(key) + len(record)) {
				return false
			}
			at := place{space: a.space, partition: partition, record: bytes.Clone(key)}
			got, fits := a.locate(&p, &at, record)
			if fits {
				page = append(page, got)
				next = Position{from: append(at.record[:len(key):len(key)], 0)}
			}
			return fits
		})
	if err != nil {
		return nil, from, false, fmt.Errorf("storage: page of partition %d: %w", partition, err)
	}
	return page, next, p.more, nil
}

// locate reads the object of a record for a page.
func (a Area) locate(p *pager, at *place, record []byte) (Located, bool) {
	parts, err := a.space.parseKey(at.record)
	if err != nil {
		p.taken++
		return Located{Current: unreadable(err).current}, true
	}
	at.bucket, at.key = parts.Bucket, parts.Key
	got, fits := p.read(*at, record)
	return Located{Bucket: at.bucket, Key: at.key, Current: got}, fits
}

// Fold shows every object of a partition, without values, bucket by bucket and in
// order of the keys, until fn returns false. It reads in short steps, each of its own
// moment: what is written meanwhile may be shown before or after, and what is neither
// written nor deleted is shown exactly once. key and c are fn's to keep.
func (a Area) Fold(
	partition uint16, fn func(bucket kv.BucketID, key []byte, c Current) bool,
) error {
	return a.FoldFrom(partition, Position{}, fn)
}

// After is the position directly after a key of a bucket.
func (a Area) After(partition uint16, bucket kv.BucketID, key []byte) Position {
	return Position{from: append(a.space.appendKey(nil, partition, bucket, key), 0)}
}

// FoldFrom is Fold for what comes after a position.
func (a Area) FoldFrom(
	partition uint16, from Position, fn func(bucket kv.BucketID, key []byte, c Current) bool,
) error {
	for {
		page, next, more, err := a.Page(partition, from, foldStep, math.MaxInt, ModeBare)
		if err != nil {
			return err
		}
		for _, at := range page {
			if !fn(at.Bucket, at.Key, at.Current) {
				return nil
			}
		}
		if !more {
			return nil
		}
		from = next
	}
}

// foldStep is how many objects one iterator of a Fold reads: few, so that it pins old
// versions only briefly (TRAPS B12).
const foldStep = 256
