// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
)

// ErrTreeUnknown is returned where this replica can not say what it holds of a partition:
// its tree is being built, or the group has not confirmed the store.
var ErrTreeUnknown = errors.New("replica: the tree is not comparable")

const (
	// listKeys and listScan bound one page of a list: what it tells of, and what it reads for
	// that. A partition's keys of one leaf stand all over it, so a list reads all of it.
	listKeys = 1024
	listScan = 4096
)

// Root is the sum of what this replica holds of a partition, or ErrTreeUnknown. It reads
// no disk.
func (r *Replica) Root(ctx context.Context, number uint16) (antientropy.Sum, error) {
	return readTree(ctx, r, number, (*antientropy.Tree).Root)
}

// Tree is a copy of the tree of a partition, or ErrTreeUnknown: all of it is of one moment.
// It reads no disk.
func (r *Replica) Tree(ctx context.Context, number uint16) (*antientropy.Tree, error) {
	return readTree(ctx, r, number, (*antientropy.Tree).Clone)
}

// readTree reads of a tree that may be compared.
func readTree[T any](
	ctx context.Context, r *Replica, number uint16, read func(*antientropy.Tree) T,
) (told T, err error) {
	if err := r.mayCompare(number); err != nil {
		return told, err
	}
	type answer struct {
		told  T
		known bool
	}
	a, err := ask(ctx, r, number, func(part *partition) answer {
		if part.tree.whole == nil {
			return answer{}
		}
		return answer{read(part.tree.whole.tree), true}
	})
	if err == nil && !a.known {
		err = unbuilt(number)
	}
	return a.told, err
}

// mayCompare says why no tree of a partition may be shown: another store may have been
// copied over this one as long as the group has not confirmed it (ARCHITECTURE 6).
func (r *Replica) mayCompare(number uint16) error {
	switch status := r.Status(); {
	case int(number) >= len(r.parts) || !r.owns(number):
		return fmt.Errorf("%w: partition %d is not owned here", ErrTreeUnknown, number)
	case !status.Ready:
		return fmt.Errorf("%w: not ready: %s", ErrTreeUnknown, status.Reason)
	case !status.Confirmed:
		return fmt.Errorf("%w: the group has not confirmed the store", ErrTreeUnknown)
	}
	return nil
}

// TreeList is a page of the keys of some leaves.
type TreeList struct {
	Items []antientropy.Item // in order
	// Bucket and Key are where the page ends: the next one comes after them. They are set
	// where More says that there may be one.
	Bucket kv.BucketID
	Key    []byte
	More   bool
	// Scanned is how many objects were read.
	Scanned int
}

// ListTree returns what this replica holds of the keys in the given leaves of a partition
// which come after a key of a bucket (0 and nil: from the beginning), at most limit of
// them: all that the tree had when ListTree was called for the beginning, and perhaps some
// that came later. Keys of deleted buckets are left out; a record that can not be read is
// an item. It reads the partition page by page: whoever calls it goes on until there is no
// more, at the pace that his budget allows.
func (r *Replica) ListTree(
	ctx context.Context, number uint16, leaves *antientropy.LeafSet,
	bucket kv.BucketID, after []byte, limit int,
) (TreeList, error) {
	shape, err := readTree(ctx, r, number, (*antientropy.Tree).Shape)
	if err == nil && bucket == 0 && len(after) == 0 {
		err = r.settle(ctx, number)
	}
	if err != nil {
		return TreeList{}, err
	}
	var page TreeList
	limit = max(1, min(limit, listKeys))
	err = r.store.FoldAfter(number, bucket, after,
		func(bucket kv.BucketID, key []byte, c storage.Current) bool {
			if len(page.Items) >= limit || page.Scanned >= listScan {
				page.More = true
				return false
			}
			page.Scanned++
			if c.State == storage.StateUnreadable {
				r.parts[number].tree.suspect.Store(true) // whether the tree has it so is not known
			}
			if len(key) == 0 {
				return true // a record under a key that is none
			}
			page.Bucket, page.Key = bucket, key
			leaf := shape.Leaf(ring.Hash(shape.Seed, bucket, key))
			if leaves.Has(leaf) && !r.deleted(bucket) {
				page.Items = append(page.Items, antientropy.Item{
					Bucket: bucket, Key: key, Entry: r.listed(shape.Seed, bucket, key, &c),
				})
			}
			return ctx.Err() == nil
		})
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = r.mayCompare(number) // it may have been refused, or given up, meanwhile
	}
	if err != nil {
		return TreeList{}, err
	}
	return page, nil
}

// Owned are the partitions in which this node is a member of a slot, in order.
func (r *Replica) Owned() []uint16 {
	var owned []uint16
	for p := range r.parts {
		if r.owns(uint16(p)) {
			owned = append(owned, uint16(p))
		}
	}
	return owned
}

// Contents are how many entries this node's own copy of a partition has.
type Contents struct {
	Keys       uint64 // with a value, or a version that may have one
	Tombstones uint64 // with nothing but tombstones
	Damaged    uint64 // records that can not be read: which of both they were is not known
}

// Contents returns the numbers of a partition, or ErrTreeUnknown: they are counted in its
// tree. It reads no disk and waits for nobody; numbers of a partition that is being written
// may be of two moments.
func (r *Replica) Contents(number uint16) (Contents, error) {
	if err := r.mayCompare(number); err != nil {
		return Contents{}, err
	}
	t := &r.parts[number].tree
	if !t.known.Load() {
		return Contents{}, unbuilt(number)
	}
	return Contents{t.keys.Load(), t.tombstones.Load(), t.damaged.Load()}, nil
}

func unbuilt(number uint16) error {
	return fmt.Errorf("%w: that of partition %d is being built", ErrTreeUnknown, number)
}

// TreeStats tells of the trees of a replica.
type TreeStats struct {
	Known      int    // partitions whose tree is known
	Owned      int    // partitions that this node owns
	Builds     uint64 // from what is stored, since the start
	Mismatches uint64 // builds that came to another tree than the one that was there
}

// TreeStats returns the present numbers.
func (r *Replica) TreeStats() TreeStats {
	s := TreeStats{Builds: r.builds.Load(), Mismatches: r.mismatches.Load()}
	for p := range r.parts {
		if r.owns(uint16(p)) {
			s.Owned++
		}
		if r.parts[p].tree.known.Load() {
			s.Known++
		}
	}
	return s
}
