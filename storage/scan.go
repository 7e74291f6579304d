// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// Entry is one key of a scan.
type Entry struct {
	Key []byte
	Current
}

// Scan returns the keys of one bucket and partition that begin with prefix and come
// after a key, in order: at most limit of them, and after the first no more than bytes
// of keys and objects. more reports whether there are others. All entries are of one
// moment. What can not be read is an entry too, with StateUnreadable.
//
// An error says that the scan has to be repeated; it is ErrFailed after the store
// stopped.
func (s *Store) Scan(
	partition uint16, bucket kv.BucketID, prefix, after []byte, limit, size int, mode Mode,
) (entries []Entry, more bool, err error) {
	if s.failure.Load() != nil {
		return nil, false, s.failed()
	}
	d := bareObject
	if mode == ModeFull {
		d = wholeObject
	}
	generation := s.reads.enter()
	defer s.reads.leave(generation)
	ts := s.shardOf(partition).overlay.readableAt()
	scope := len(wire.AppendObjectKey(nil, partition, bucket, nil))
	var from []byte
	if len(after) > 0 {
		from = wire.AppendObjectKeyAfter(nil, partition, bucket, after)
	}
	err = s.engine.Iterate(ts, wire.AppendObjectKey(nil, partition, bucket, prefix), from,
		func(key, record []byte) bool {
			if len(entries) >= limit || len(entries) > 0 && size < len(key)+len(record) {
				more = true
				return false
			}
			at := place{partition: partition, bucket: bucket, record: bytes.Clone(key)}
			at.key = at.record[scope:]
			if d != bareObject {
				record = bytes.Clone(record) // it was lent; values will point into it
			}
			got := s.decode(at, record, ts, min(d, oneRecord))
			need := len(key) + len(record)
			if d == wholeObject && got.split {
				if need += got.separate(); len(entries) > 0 && size < need {
					more = true
					return false
				}
				got = s.decode(at, record, ts, d)
			}
			size -= need
			entries = append(entries, Entry{Key: at.key, Current: got.current})
			return true
		})
	if err != nil {
		return nil, false, fmt.Errorf("storage: scan: %w", err)
	}
	return entries, more, nil
}

// separate is how many bytes of values stand in records of their own.
func (s stored) separate() (bytes int) {
	for _, v := range s.current.Object.Versions {
		bytes += int(v.Size)
	}
	return bytes
}

// BucketFrom returns the least bucket, not below the given one, of which the partition has
// a durable object; false where there is none.
func (s *Store) BucketFrom(partition uint16, from kv.BucketID) (
	bucket kv.BucketID, found bool, err error,
) {
	if s.failure.Load() != nil {
		return 0, false, s.failed()
	}
	generation := s.reads.enter()
	defer s.reads.leave(generation)
	ts := s.shardOf(partition).overlay.readableAt()
	var malformed error
	err = s.engine.Iterate(ts, wire.AppendObjectPartition(nil, partition),
		wire.AppendObjectKey(nil, partition, from, nil), func(key, _ []byte) bool {
			parts, err := wire.ParseObjectKey(key)
			bucket, found, malformed = parts.Bucket, err == nil, err
			return false
		})
	if err = errors.Join(err, malformed); err != nil {
		return 0, false, fmt.Errorf("storage: buckets of partition %d: %w", partition, err)
	}
	return bucket, found, nil
}

// Fold shows every object of a partition, without values, bucket by bucket and in
// order of the keys, until fn returns false. It reads in short steps, each of its own
// moment: what is written meanwhile may be shown before or after, and what is neither
// written nor deleted is shown exactly once. key and c are fn's to keep.
func (s *Store) Fold(
	partition uint16, fn func(bucket kv.BucketID, key []byte, c Current) bool,
) error {
	return s.fold(partition, wire.AppendObjectPartition(nil, partition), fn)
}

// FoldAfter is Fold for what comes after a key of a bucket.
func (s *Store) FoldAfter(
	partition uint16, bucket kv.BucketID, key []byte,
	fn func(bucket kv.BucketID, key []byte, c Current) bool,
) error {
	return s.fold(partition, wire.AppendObjectKeyAfter(nil, partition, bucket, key), fn)
}

func (s *Store) fold(
	partition uint16, from []byte, fn func(bucket kv.BucketID, key []byte, c Current) bool,
) error {
	for {
		page, err := s.foldStep(partition, from)
		if err != nil {
			return err
		}
		for _, at := range page {
			if !fn(at.bucket, at.key, at.current) {
				return nil
			}
		}
		if len(page) < foldStep {
			return nil
		}
		from = append(page[len(page)-1].record, 0)
	}
}

// foldStep is how many objects one iterator of a Fold reads: few, so that it pins old
// versions only briefly (TRAPS B12).
const foldStep = 256

type placed struct {
	place
	current Current
}

func (s *Store) foldStep(partition uint16, from []byte) (page []placed, err error) {
	if s.failure.Load() != nil {
		return nil, s.failed()
	}
	generation := s.reads.enter()
	defer s.reads.leave(generation)
	ts := s.shardOf(partition).overlay.readableAt()
	all := wire.AppendObjectPartition(nil, partition)
	err = s.engine.Iterate(ts, all, from, func(key, record []byte) bool {
		p := placed{place: place{partition: partition, record: bytes.Clone(key)}}
		if parts, err := wire.ParseObjectKey(p.record); err == nil {
			p.bucket, p.key = parts.Bucket, parts.Key
			p.current = s.decode(p.place, record, ts, bareObject).current
		} else {
			p.current = unreadable(err).current
		}
		page = append(page, p)
		return len(page) < foldStep
	})
	if err != nil {
		return nil, fmt.Errorf("storage: fold partition %d: %w", partition, err)
	}
	return page, nil
}
