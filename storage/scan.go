// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
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
func (a Area) Scan(
	partition uint16, bucket kv.BucketID, prefix, after []byte, limit, size int, mode Mode,
) (entries []Entry, more bool, err error) {
	s := a.store
	if s.failure.Load() != nil {
		return nil, false, s.failed()
	}
	generation := s.reads.enter()
	defer s.reads.leave(generation)
	ts := s.shardOf(partition).overlay.readableAt()
	scope := len(a.space.appendKey(nil, partition, bucket, nil))
	var from []byte
	if len(after) > 0 {
		from = append(a.space.appendKey(nil, partition, bucket, after), 0)
	}
	p := pager{store: s, ts: ts, limit: limit, size: size, depth: depthOf(mode)}
	err = s.engine.Iterate(ts, a.space.appendKey(nil, partition, bucket, prefix), from,
		func(key, record []byte) bool {
			if p.full(len(key) + len(record)) {
				return false
			}
			at := place{
				space: a.space, partition: partition, bucket: bucket, record: bytes.Clone(key),
			}
			at.key = at.record[scope:]
			got, fits := p.read(at, record)
			if fits {
				entries = append(entries, Entry{Key: at.key, Current: got})
			}
			return fits
		})
	if err != nil {
		return nil, false, fmt.Errorf("storage: scan: %w", err)
	}
	return entries, p.more, nil
}

func depthOf(mode Mode) depth {
	if mode == ModeFull {
		return wholeObject
	}
	return bareObject
}

// pager fills one page: at most limit objects, and after the first no more than size bytes
// of keys and objects.
type pager struct {
	store *Store
	ts    uint64
	depth depth
	limit int
	size  int
	taken int
	more  bool // something was left out
}

// full reports whether there is no room for an object whose record has so many bytes.
func (p *pager) full(need int) bool {
	p.more = p.taken >= p.limit || p.taken > 0 && p.size < need
	return p.more
}

// read makes sense of a record, which is lent. It reports false where the object has
// values in records of their own, and there is no room for these.
func (p *pager) read(at place, record []byte) (Current, bool) {
	if p.depth != bareObject {
		record = bytes.Clone(record) // values will point into it
	}
	got := p.store.decode(at, record, p.ts, min(p.depth, oneRecord))
	need := len(at.record) + len(record)
	if p.depth == wholeObject && got.split {
		if need += got.separate(); p.full(need) {
			return Current{}, false
		}
		got = p.store.decode(at, record, p.ts, p.depth)
	}
	p.size -= need
	p.taken++
	return got.current, true
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
func (a Area) BucketFrom(partition uint16, from kv.BucketID) (
	bucket kv.BucketID, found bool, err error,
) {
	s := a.store
	if s.failure.Load() != nil {
		return 0, false, s.failed()
	}
	generation := s.reads.enter()
	defer s.reads.leave(generation)
	ts := s.shardOf(partition).overlay.readableAt()
	var malformed error
	err = s.engine.Iterate(ts, a.space.appendPartition(nil, partition),
		a.space.appendKey(nil, partition, from, nil), func(key, _ []byte) bool {
			parts, err := a.space.parseKey(key)
			bucket, found, malformed = parts.Bucket, err == nil, err
			return false
		})
	if err = errors.Join(err, malformed); err != nil {
		return 0, false, fmt.Errorf("storage: buckets of partition %d: %w", partition, err)
	}
	return bucket, found, nil
}
