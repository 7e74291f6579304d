// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
)

const (
	// treePage is how many objects are read between two visits of the shard: as many as the
	// store reads in one step.
	treePage = 256
	// treeRest is the least pause between two pages. After a page that took longer the pause
	// is as long as that: a rebuild takes half of one core at most.
	treeRest = time.Millisecond
	// treeBackoff is the pause where the shard's queue is full.
	treeBackoff = 100 * time.Millisecond
	// maxLogBytes bounds what a build remembers of keys that change before it comes to them:
	// more than a partition is written while a million keys of it are read.
	maxLogBytes = 32 << 20
	// logOverhead is what a change takes in the log beside its place.
	logOverhead = 96
)

var (
	// errSpoiled ends a build of which something can not be known any more: too much has
	// changed, another one has begun, or what a damaged record was is not known.
	errSpoiled = errors.New("replica: the build of the tree was overtaken")
	// errTooDamaged ends a build of a partition with more than treeDamage damaged records.
	errTooDamaged = errors.New("replica: too many records of the partition can not be read")
)

// build is a tree that is being built from what is stored, while the store goes on. It
// begins between two operations of its shard, with the cursor before all keys (TRAPS M6):
//
//	keys up to the cursor     are in the tree; their changes are changes of the tree
//	keys beyond the cursor    are not; what they are after a change is in the log
//
// What a page of the scan says of a key counts only if the key is not in the log: then it
// has not changed since the beginning, so that the page, which was read after all that
// came before the beginning was durable, has it as it is.
type build struct {
	sum      summed
	cursor   string // place of the last key that was taken over, "" for none
	log      map[string]logged
	logBytes int
}

// logged is what a key beyond the cursor is by now.
type logged struct {
	leaf  uint16
	entry antientropy.Entry // zero: removed
}

// scanned is a key as a page has it.
type scanned struct {
	place string
	leaf  uint16
	entry antientropy.Entry
}

// apply has the build follow a change; false says that it is spoiled.
func (b *build) apply(c *treeChange) bool {
	if string(c.place) <= b.cursor {
		return b.sum.apply(c)
	}
	if _, known := b.log[string(c.place)]; !known {
		more := len(c.place) + logOverhead
		if b.logBytes+more > maxLogBytes {
			return false
		}
		b.logBytes += more
	}
	b.log[string(c.place)] = logged{c.leaf, c.after}
	return true
}

// take takes a page over, up to a place and with it: what the page and the log say of the
// keys that come after the cursor. all says that no page follows.
func (b *build) take(page []scanned, upTo string, all bool) error {
	for i := range page {
		s := &page[i]
		if _, changed := b.log[s.place]; changed {
			continue
		}
		if !b.sum.put(s.place, s.leaf, s.entry) {
			return errTooDamaged
		}
	}
	for place, l := range b.log { // in any order: the tree does not know of one
		if all || place <= upTo {
			b.sum.tree.Change(l.leaf, antientropy.Entry{}, l.entry)
			b.logBytes -= len(place) + logOverhead
			delete(b.log, place)
		}
	}
	b.cursor = max(b.cursor, upTo)
	return nil
}

// RebuildTree builds the tree of a partition anew from what is stored. It is for the
// background: it reads page by page, with pauses, while the store goes on; a tree that is
// there stays in use until the new one is whole. It ends with ctx.
//
// Where a tree was there and the new one is another one, the store has lost something
// without telling (TRAPS M2): that is counted, and the peers will see it now.
func (r *Replica) RebuildTree(ctx context.Context, partition uint16) error {
	current := r.cfg.Ring()
	if current == nil || int(partition) >= len(r.parts) {
		return fmt.Errorf("%w: partition %d is not served here", ErrTreeUnknown, partition)
	}
	s := treeScan{r: r, partition: partition, seed: current.HashSeed()}
	s.shape = antientropy.ShapeOf(s.seed, len(r.parts), partition)
	err := s.run(ctx)
	if err != nil {
		return fmt.Errorf("build the tree of partition %d: %w", partition, err)
	}
	r.builds.Add(1)
	return nil
}

// treeScan is one rebuild on its way through a partition.
type treeScan struct {
	r         *Replica
	partition uint16
	seed      uint64
	shape     antientropy.Shape

	build *build // begun, and owned by the shard since
	page  []scanned
	began time.Time // of the page
	// What can not be read: how many records, and the first of them.
	damaged int
	first   []byte
	why     error
}

func (s *treeScan) run(ctx context.Context) (err error) {
	s.build, err = ask(ctx, s.r, s.partition, func(part *partition) *build {
		b := &build{log: make(map[string]logged)}
		b.sum.tree = antientropy.New(s.shape)
		part.tree.build = b // another one that is under way ends here
		return b
	})
	if err != nil {
		return err
	}
	defer s.abandon()
	defer s.tell()
	if err := s.r.settle(ctx, s.partition); err != nil {
		return err
	}
	s.began = time.Now()
	var failed error
	err = s.r.store.Fold(s.partition, func(bucket kv.BucketID, key []byte, c storage.Current) bool {
		s.add(bucket, key, &c)
		if len(s.page) >= s.r.treePage {
			failed = s.takeOver(ctx, false)
		}
		return failed == nil
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return s.takeOver(ctx, true)
}

// add puts what was read into the page.
func (s *treeScan) add(bucket kv.BucketID, key []byte, c *storage.Current) {
	if c.State == storage.StateUnreadable {
		if s.damaged++; s.damaged == 1 {
			s.first, s.why = key, c.Err
		}
		if len(key) == 0 {
			return // a record under a key that is none; nobody can have written it
		}
		if s.r.cfg.Damaged != nil {
			s.r.cfg.Damaged(s.partition, bucket, key)
		}
	}
	s.page = append(s.page, scanned{
		place: string(appendPlace(nil, bucket, key)),
		leaf:  s.shape.Leaf(ring.Hash(s.seed, bucket, key)),
		entry: s.r.listed(s.seed, bucket, key, c),
	})
}

// takeOver hands the page to the shard, and rests.
func (s *treeScan) takeOver(ctx context.Context, all bool) error {
	page, upTo := s.page, ""
	if len(page) > 0 {
		upTo = page[len(page)-1].place
	}
	for {
		err, asked := ask(ctx, s.r, s.partition, func(part *partition) error {
			return s.r.takePage(part, s.build, page, upTo, all)
		})
		switch {
		case errors.Is(asked, storage.ErrOverloaded):
			if err := sleep(ctx, treeBackoff); err != nil {
				return err
			}
			continue
		case asked != nil:
			return asked
		case err != nil || all:
			return err
		}
		break
	}
	s.page = s.page[:0]
	if err := sleep(ctx, max(treeRest, time.Since(s.began))); err != nil {
		return err
	}
	s.began = time.Now()
	return nil
}

// takePage runs in the shard.
func (r *Replica) takePage(
	part *partition, b *build, page []scanned, upTo string, all bool,
) error {
	t := &part.tree
	if t.build != b {
		return errSpoiled
	}
	if err := b.take(page, upTo, all); err != nil {
		// The present tree, if any, has these records as they were: it must not be believed.
		t.build = nil
		t.setWhole(nil)
		return err
	}
	if !all {
		return nil
	}
	if t.whole != nil && len(b.sum.damaged) == 0 && !t.whole.tree.Equal(b.sum.tree) {
		r.mismatches.Add(1)
		r.log.Error("the store has lost something since the partition's tree was built",
			zap.Uint16("partition", b.sum.tree.Shape().Partition))
	}
	t.build = nil
	t.setWhole(&b.sum)
	if len(b.sum.damaged) > 0 {
		t.suspect.Store(true) // to look again: what is damaged may be repaired, or may spread
	}
	return nil
}

// tell reports the damage that the scan has met.
func (s *treeScan) tell() {
	if s.damaged == 0 {
		return
	}
	s.r.unreadable.Add(uint64(s.damaged))
	s.r.log.Error("records unreadable", zap.Uint16("partition", s.partition),
		zap.Int("records", s.damaged), zap.Binary("key", s.first), zap.Error(s.why))
}

// abandon ends the build, unless it is whole or another one has begun. Where the shard can
// not be reached the build ends with its log.
func (s *treeScan) abandon() {
	_ = s.r.store.Visit(s.partition, func(err error) {
		if t := &s.r.parts[s.partition].tree; err == nil && t.build == s.build {
			t.build = nil
		}
	})
}

// listed is the entry of what a scan found.
func (r *Replica) listed(
	seed uint64, bucket kv.BucketID, key []byte, c *storage.Current,
) antientropy.Entry {
	switch c.State {
	case storage.StatePresent:
		return antientropy.Of(seed, bucket, key, &c.Object)
	case storage.StateUnreadable:
		return antientropy.Damaged(seed, r.cfg.Node, bucket, key)
	default:
		return antientropy.Entry{}
	}
}

// settle waits until all that the partition's shard has applied is durable.
func (r *Replica) settle(ctx context.Context, partition uint16) error {
	settled := make(chan error, 1)
	if err := r.store.Settle(partition, func(err error) { settled <- err }); err != nil {
		return err
	}
	select {
	case err := <-settled:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask runs fn in the shard of a partition and returns what it says. fn may touch what the
// shard owns and nothing that the caller goes on with: it may run when ask has given up.
func ask[T any](
	ctx context.Context, r *Replica, number uint16, fn func(*partition) T,
) (told T, err error) {
	type answer struct {
		told T
		err  error
	}
	answers := make(chan answer, 1)
	err = r.store.Visit(number, func(err error) {
		if err != nil {
			answers <- answer{err: err}
			return
		}
		answers <- answer{told: fn(&r.parts[number])}
	})
	if err != nil {
		return told, err
	}
	select {
	case a := <-answers:
		return a.told, a.err
	case <-ctx.Done():
		return told, ctx.Err()
	}
}
