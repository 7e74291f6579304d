// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// scrubBytes bounds what a page of a scrub holds at a time.
const scrubBytes = 4 << 20

// ScrubPage is what a scrub has read again.
type ScrubPage struct {
	Keys, Bytes int
	// Damaged are the keys whose records can not be read.
	Damaged []wire.TreePlace
	// More says that there may be others after Next.
	More bool
	Next wire.TreePlace
}

// Scrub reads records of a partition again after a place, with their values, whose checksums
// are looked at: at least one key where there is one, of one bucket, and about as many
// as asked for.
func (r *Replica) Scrub(partition uint16, after wire.TreePlace, keys int) (ScrubPage, error) {
	bucket, found, err := r.store.BucketFrom(partition, after.Bucket)
	if err != nil || !found {
		return ScrubPage{}, err
	}
	if bucket != after.Bucket {
		after = wire.TreePlace{Bucket: bucket}
	}
	entries, more, err := r.store.Scan(partition, bucket, nil, after.Key, keys, scrubBytes,
		storage.ModeFull)
	if err != nil {
		return ScrubPage{}, fmt.Errorf("replica: scrub partition %d: %w", partition, err)
	}
	page := ScrubPage{Keys: len(entries), More: true, Next: after}
	for _, e := range entries {
		page.Next.Key = e.Key
		page.Bytes += len(e.Key) + e.Object.Size()
		if e.State == storage.StateUnreadable {
			damaged := wire.Target{Bucket: bucket, Partition: partition, Key: e.Key}
			r.noteUnreadable(&damaged, e.Err)
			page.Damaged = append(page.Damaged, wire.TreePlace{Bucket: bucket, Key: e.Key})
		}
	}
	if !more {
		if bucket == ^kv.BucketID(0) {
			return ScrubPage{Keys: page.Keys, Bytes: page.Bytes, Damaged: page.Damaged}, nil
		}
		page.Next = wire.TreePlace{Bucket: bucket + 1}
	}
	return page, nil
}
