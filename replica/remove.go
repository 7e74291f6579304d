// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
)

const (
	// removePage is how many objects are removed at a time: few enough that the operations
	// of clients, which wait in the same queues, hardly notice, and that one commit takes
	// them all.
	removePage = 64
	// removeRest is the least pause between two pages. After a page that took longer the
	// pause is as long as that: the removal takes half of the store's time at most.
	removeRest = 5 * time.Millisecond
	// removeBackoff is the pause where the store is too busy.
	removeBackoff = 500 * time.Millisecond
)

// RemoveDeleted removes what the store holds of buckets that the group has deleted, hints
// included, in small commits (TRAPS B6), and returns how many objects that were. It is for the
// background: it gives way to whatever else the store does, and ends with ctx. To remove
// again goes on where it ended; where nothing is left it costs one look at each bucket of
// each partition. What was under way when the bucket was deleted may become durable after
// it has looked: it is found the next time.
func (r *Replica) RemoveDeleted(ctx context.Context) (removed int, err error) {
	for p := range r.parts {
		n, err := r.removeFromAll(ctx, uint16(p))
		removed += n
		if err != nil {
			return removed, fmt.Errorf("remove deleted buckets from partition %d: %w", p, err)
		}
	}
	return removed, nil
}

// removeFromAll removes all deleted buckets from all spaces of a partition.
func (r *Replica) removeFromAll(ctx context.Context, partition uint16) (removed int, err error) {
	removed, err = r.removeFrom(ctx, 0, partition)
	for slot := 0; err == nil && slot <= math.MaxUint8; slot++ {
		next, found, err := r.store.HintsFrom(partition, uint8(slot))
		if err != nil || !found {
			return removed, err
		}
		n, err := r.removeFrom(ctx, storage.HintsFor(next), partition)
		removed += n
		if err != nil {
			return removed, err
		}
		slot = int(next)
	}
	return removed, err
}

// removeFrom removes all deleted buckets from a space of a partition.
func (r *Replica) removeFrom(
	ctx context.Context, space storage.Space, partition uint16,
) (removed int, err error) {
	for from := kv.BucketID(0); ; {
		bucket, found, err := r.store.In(space).BucketFrom(partition, from)
		if err != nil || !found {
			return removed, err
		}
		if r.deleted(bucket) {
			n, err := r.removeBucket(ctx, space, partition, bucket)
			removed += n
			if err != nil {
				return removed, err
			}
		}
		if from = bucket + 1; from == 0 {
			return removed, nil
		}
	}
}

// removeBucket removes one bucket from a space of a partition.
func (r *Replica) removeBucket(
	ctx context.Context, space storage.Space, partition uint16, bucket kv.BucketID,
) (removed int, err error) {
	var after []byte
	for {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		entries, more, err := r.store.In(space).Scan(partition, bucket, nil, after,
			removePage, maxScanBytes, storage.ModeBare)
		if err != nil {
			return removed, err
		}
		if len(entries) == 0 {
			return removed, nil
		}
		began := time.Now()
		n, err := r.removeAll(space, partition, bucket, entries)
		removed += n
		rest := max(removeRest, time.Since(began))
		switch {
		case errors.Is(err, storage.ErrOverloaded), errors.Is(err, storage.ErrDiskFull):
			rest = removeBackoff // and the same page again
		case err != nil:
			return removed, err
		case !more:
			return removed, nil
		default:
			after = entries[len(entries)-1].Key
		}
		if err := sleep(ctx, rest); err != nil {
			return removed, err
		}
	}
}

// removeAll removes the objects of a page, and returns when all that were taken in are
// gone durably.
func (r *Replica) removeAll(
	space storage.Space, partition uint16, bucket kv.BucketID, entries []storage.Entry,
) (removed int, err error) {
	done := make(chan error, len(entries))
	taken := 0
	for i := range entries {
		op := &storage.Op{
			Space: space, Partition: partition, Bucket: bucket, Key: entries[i].Key,
			// A bucket that is deleted stays so: there is nothing to look at again.
			Apply: func(storage.Current) storage.Next { return storage.Remove() },
			Done:  func(result storage.Result) { done <- result.Err },
		}
		if err = r.store.Do(op); err != nil {
			break
		}
		taken++
	}
	for range taken {
		if failed := <-done; failed != nil {
			err = failed
		} else {
			removed++
		}
	}
	return removed, err
}

// sleep waits, or returns the error with which ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
