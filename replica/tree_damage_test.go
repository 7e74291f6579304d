// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// A record that can not be read is an entry that no other replica has: not absent, not in
// sync, and listed as what it is.
func TestTrapM2DamagedRecordIsNeverInSync(t *testing.T) {
	for _, state := range []storage.State{storage.StatePresent, storage.StateUnreadable} {
		t.Run("the shard finds it "+state.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) { damagedAndRepaired(t, state) })
		})
	}
}

// damagedAndRepaired repairs a record of which the shard, which has a cache, may have kept
// what was damaged.
func damagedAndRepaired(t *testing.T, state storage.State) {
	l := fresh(t)
	o := l.put("k", "v", vclock.Context{}).Object
	l.put("other", "v", vclock.Context{})
	p := l.target("k").Partition
	if state == storage.StateUnreadable {
		next := l.stopped()
		next.verdict = kv.VerdictConfirmed
		l = begin(t, next) // nothing is cached
	}
	l.rebuild()
	whole := l.stored(p)
	l.damage("k")
	if err := l.RebuildTree(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	l.checkTree(p)
	tree, _ := l.Tree(context.Background(), p)
	leaf := l.leaf("k")
	if got, err := antientropy.Diff(tree, whole); err != nil || !slices.Equal(got, []uint16{leaf}) {
		t.Errorf("it differs from a replica without damage in %v, %v; want leaf %d", got, err, leaf)
	}
	if tree.Root().Count != whole.Root().Count {
		t.Error("the damaged record counts as absent")
	}
	if l.Unreadable() != 1 {
		t.Errorf("%d damaged records were counted, want 1", l.Unreadable())
	}
	items := l.list(p, leaf)
	if len(items) != 1 || items[0].Held != antientropy.HeldDamaged {
		t.Errorf("it is listed as %+v", items)
	}
	if trees := l.CleanTrees(); len(trees) != partitions-1 {
		t.Errorf("%d trees are fit for a clean stop, want all but one", len(trees))
	}

	// What a peer sends in its place, and what removes it, find it as it is in the tree.
	target := l.target("k")
	done := make(chan error, 1)
	err := l.store.Do(&storage.Op{
		Partition: p, Bucket: 1, Key: target.Key,
		Apply: func(c storage.Current) storage.Next {
			if c.State != state {
				t.Errorf("it is %s", c.State)
			}
			return storage.Put(o, nil, nil)
		},
		Done: func(res storage.Result) { done <- res.Err },
	})
	if err = errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	tree, err = l.Tree(context.Background(), p)
	if err != nil || !tree.Equal(whole) {
		t.Errorf("after the repair: %v, not the tree of before", err)
	}
	l.put("k", "again", o.Context) // and from then on it is a record like others
	l.checkTree(p)
}

// Where a damaged record goes that was sound when the tree learned of it, nobody knows
// what the tree has of it: it is built anew.
func TestTrapM1TreeThatCanNotBeKnownIsBuiltAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := setup{verdict: kv.VerdictConfirmed}
		before := fresh(t)
		before.put("k", "v", vclock.Context{})
		before.put("other", "v", vclock.Context{})
		before.rebuild()
		p := before.target("k").Partition
		next := before.stopped() // so that nothing is cached
		next.past.Trees, next.verdict = before.CleanTrees(), s.verdict
		l := begin(t, next)
		l.damage("k")
		if err := <-l.remove("k"); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Root(context.Background(), p); !errors.Is(err, ErrTreeUnknown) {
			t.Errorf("%v, want ErrTreeUnknown", err)
		}
		l.keepTrees()
		time.Sleep(time.Second)
		l.checkTrees()
	})
}

// A read that meets damage has the partition scanned: until then the tree has the record
// as it was, in sync with the others.
func TestTrapM2DamageThatARequestMeetsComesIntoTheTree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.put("k", "v", vclock.Context{})
		p := l.target("k").Partition
		l.keepTrees()
		time.Sleep(time.Minute)
		whole, err := l.Tree(context.Background(), p)
		if err != nil {
			t.Fatal(err)
		}
		l.damage("k")
		if r := l.read("k"); r.Code != wire.ReplicaUnreadable {
			t.Fatalf("read: code %d", r.Code)
		}
		time.Sleep(2 * treeRetry)
		tree, err := l.Tree(context.Background(), p)
		if err != nil || tree.Equal(whole) {
			t.Errorf("the damage is not in the tree (%v)", err)
		}
		l.checkTree(p)
		l.damage("k") // the same bits again: it is well
		time.Sleep(2 * treeRetry)
		if tree, err = l.Tree(context.Background(), p); err != nil || !tree.Equal(whole) {
			t.Errorf("a record that is well again counts as damaged (%v)", err)
		}
	})
}

// Of a partition that has lost more than sectors nothing may be compared.
func TestPartitionWithTooMuchDamageHasNoTree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.rebuild()
		var sum summed
		sum.tree = antientropy.New(l.shape(0))
		for n := range treeDamage {
			e := antientropy.Damaged(1, self, 1, fmt.Append(nil, n))
			if !sum.put(fmt.Sprint(n), 0, e) {
				t.Fatalf("record %d is too many", n)
			}
		}
		if sum.put("one more", 0, antientropy.Damaged(1, self, 1, nil)) {
			t.Error("there is no bound")
		}
		page := []scanned{{place: "one more", entry: antientropy.Damaged(1, self, 1, nil)}}
		err, asked := ask(context.Background(), l.Replica, 0, func(part *partition) error {
			part.tree.build = &build{sum: sum, log: map[string]logged{}}
			return l.takePage(part, part.tree.build, page, "one more", true)
		})
		if asked != nil || !errors.Is(err, errTooDamaged) {
			t.Errorf("%v, %v; want errTooDamaged", err, asked)
		}
		if _, err := l.Root(context.Background(), 0); !errors.Is(err, ErrTreeUnknown) {
			t.Errorf("%v, want ErrTreeUnknown", err)
		}
	})
}

// An older object in the place of a newer one has a sound record: only a rebuild notices.
func TestTrapM2LostWriteIsNoticedByARebuild(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		old := l.put("k", "old", vclock.Context{}).Object
		l.put("k", "new", old.Context)
		l.rebuild()
		target := l.target("k")
		record := wire.AppendObjectKey(nil, target.Partition, target.Bucket, target.Key)
		l.engine.Damage(record, func([]byte) []byte {
			return wire.AppendObjectRecord(nil, record, &old)
		})
		before, err := l.Root(context.Background(), target.Partition)
		if err != nil {
			t.Fatal(err)
		}
		l.rebuild()
		l.checkTrees()
		after, err := l.Root(context.Background(), target.Partition)
		if s := l.TreeStats(); err != nil || after == before || s.Mismatches != 1 {
			t.Errorf("%+v, %v; the root was %+v and is %+v", s, err, before, after)
		}
	})
}
