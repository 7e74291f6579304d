// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/vclock"
)

// keepTrees runs KeepTrees until the test or the life ends.
func (l *life) keepTrees() {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.KeepTrees(ctx) }()
	l.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			l.t.Errorf("KeepTrees: %v", err)
		}
	})
}

func TestMissingTreesAreBuiltInTheBackground(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		w := newLoad(l, 1, 40)
		for range 60 {
			w.step()
		}
		w.settle()
		if s := l.TreeStats(); s.Known != 0 || s.Owned != partitions {
			t.Errorf("before: %+v", s)
		}
		l.keepTrees()
		time.Sleep(time.Second)
		l.checkTrees()
		time.Sleep(time.Hour)
		if s := l.TreeStats(); s.Builds != partitions || s.Known != partitions {
			t.Errorf("after an hour: %+v", s)
		}
	})
}

// Reads and writes are served while trees are built: between two pages there is a pause as
// long as the page took.
func TestBuildLeavesHalfOfTheTimeToOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		for n := range 50 {
			l.put(fmt.Sprintf("key-%d", n), "v", vclock.Context{})
		}
		l.treePage = 1
		pages := l.stored(0).Root().Count
		began := time.Now()
		if err := l.RebuildTree(context.Background(), 0); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < time.Duration(pages)*treeRest {
			t.Errorf("%d pages took %s without a pause", pages, took)
		}
	})
}

// A partition that is given up loses its tree, and gets another one when it comes back:
// what was written in between is somebody else's.
func TestTrapM7OnlyOwnedPartitionsHaveTrees(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.put("k", "v", vclock.Context{})
		p := l.target("k").Partition
		l.keepTrees()
		time.Sleep(time.Second)
		l.checkTrees()
		owned := l.ring.Load()
		l.ring.Store(changed(t, owned, func(s *ring.State) { giveAway(s, p) }))
		if _, err := l.Root(context.Background(), p); !errors.Is(err, ErrTreeUnknown) {
			t.Errorf("of a partition that was given away: %v", err)
		}
		time.Sleep(2 * time.Second)
		if s := l.TreeStats(); s.Known != partitions-1 || s.Owned != partitions-1 {
			t.Errorf("%+v, want one less of each", s)
		}
		l.ring.Store(owned)
		time.Sleep(2 * treeRetry)
		l.checkTrees()
	})
}

// giveAway takes this node out of the slots of a partition.
func giveAway(s *ring.State, p uint16) {
	s.Members = append(s.Members, ring.Member{
		ID: 4, Name: "n4", Weight: 1, Instance: instance, Client: "h4:1", Peer: "h4:2", Gossip: "h4:3",
	})
	slots := s.Placements[p].Slots
	for i := range slots {
		if slots[i].Owner == self {
			slots[i] = kv.Stable(4)
		}
	}
	s.Placements[p].Version++
	s.Version++
}

// What the store holds is only this member's once the group has said so: an older copy of
// the directory would be behind, and look as if the others were ahead.
func TestTreesAreNotComparableUntilTheStoreIsConfirmed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		after := fresh(t)
		after.put("k", "v", vclock.Context{})
		next := after.crashed(nil)
		l := begin(t, next)
		l.keepTrees()
		compare := func() error {
			_, root := l.Root(context.Background(), 0)
			_, tree := l.Tree(context.Background(), 0)
			_, list := l.ListTree(context.Background(), 0, &antientropy.LeafSet{}, 0, nil, 10)
			if errors.Is(root, ErrTreeUnknown) != errors.Is(tree, ErrTreeUnknown) ||
				errors.Is(root, ErrTreeUnknown) != errors.Is(list, ErrTreeUnknown) {
				t.Errorf("root: %v, tree: %v, list: %v", root, tree, list)
			}
			return root
		}
		for _, verdict := range []kv.Verdict{0, kv.VerdictUnknown} {
			if verdict != 0 {
				l.Confirm(verdict)
			}
			time.Sleep(time.Minute)
			if err := compare(); !errors.Is(err, ErrTreeUnknown) {
				t.Errorf("verdict %s: %v, want ErrTreeUnknown", verdict, err)
			}
		}
		l.Confirm(kv.VerdictConfirmed)
		if err := compare(); err != nil {
			t.Errorf("confirmed: %v", err)
		}
		l.checkTrees()
		l.Confirm(kv.VerdictForked)
		if err := compare(); !errors.Is(err, ErrTreeUnknown) {
			t.Errorf("forked: %v, want ErrTreeUnknown", err)
		}
		if trees := l.CleanTrees(); len(trees) != 0 {
			t.Errorf("a store that the group refused keeps %d trees", len(trees))
		}
	})
}

// The trees of a clean stop are those of the store, are taken over, and follow what comes.
func TestTreesOfACleanStopAreTakenOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.rebuild()
		w := newLoad(l, 3, 40)
		for range 60 {
			w.step()
		}
		w.settle()
		next := l.stopped()
		next.past.Trees = l.CleanTrees()
		if len(next.past.Trees) != partitions {
			t.Fatalf("%d trees were kept", len(next.past.Trees))
		}
		strange := antientropy.New(antientropy.ShapeOf(77, partitions, 0))
		far := antientropy.New(antientropy.ShapeOf(l.ring.Load().HashSeed(), partitions, partitions))
		next.past.Trees = append(next.past.Trees, strange, far)
		again := begin(t, next)
		if _, err := again.Root(context.Background(), 0); !errors.Is(err, ErrTreeUnknown) {
			t.Errorf("before the group has confirmed the store: %v", err)
		}
		again.Confirm(kv.VerdictConfirmed)
		again.checkTrees()
		w = newLoad(again, 4, 40)
		for range 60 {
			w.step()
		}
		w.settle()
		again.checkTrees()
		if s := again.TreeStats(); s.Builds != 0 {
			t.Errorf("%+v: trees were built although they were there", s)
		}
	})
}

// After anything but a clean stop trees are those of another store.
func TestTreesOfAnUncleanStopAreNotTakenOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.rebuild()
		l.put("k", "v", vclock.Context{})
		trees := l.Replica
		next := l.crashed(nil)
		next.past.Trees, next.verdict = trees.CleanTrees(), kv.VerdictConfirmed
		if len(next.past.Trees) != partitions {
			t.Fatalf("%d trees", len(next.past.Trees))
		}
		again := begin(t, next)
		if s := again.TreeStats(); s.Known != 0 {
			t.Errorf("%+v: the trees of a crash were taken over", s)
		}
	})
}

// What a copy holds is counted as it changes; not known is not nothing.
func TestContentsAreCountedByTheTree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		p := l.target("k").Partition
		check := func(when string, want Contents) {
			t.Helper()
			if got, err := l.Contents(p); err != nil || got != want {
				t.Errorf("%s: %+v, %v, want %+v", when, got, err, want)
			}
		}
		l.put("k", "v", vclock.Context{})
		if got, err := l.Contents(p); !errors.Is(err, ErrTreeUnknown) {
			t.Errorf("before there is a tree: %+v, %v", got, err)
		}
		l.rebuild()
		check("a key", Contents{Keys: 1})
		l.bury("k")
		check("deleted", Contents{Tombstones: 1})
		l.rebuild()
		check("built anew", Contents{Tombstones: 1})
		l.put("k", "again", vclock.Context{})
		check("written beside the tombstone", Contents{Keys: 1})
		if err := <-l.remove("k"); err != nil {
			t.Fatal(err)
		}
		check("purged", Contents{})
		l.put("k", "v", vclock.Context{})
		l.damage("k")
		l.rebuild()
		check("damaged", Contents{Damaged: 1})
		if _, err := l.Contents(99); !errors.Is(err, ErrTreeUnknown) {
			t.Errorf("of no partition: %v", err)
		}
		l.Confirm(kv.VerdictLost)
		if got, err := l.Contents(p); !errors.Is(err, ErrTreeUnknown) {
			t.Errorf("of a store that was refused: %+v, %v", got, err)
		}
	})
}
