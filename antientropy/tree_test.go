// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

// I1: changes one by one, in any order, and a tree from scratch come to the same.
func TestTrapM1TreeIsThatOfItsEntriesWhateverHappenedBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := ShapeOf(seed, 4, 1)
		tree, m := New(shape), model{}
		for range rapid.IntRange(0, 200).Draw(t, "changes") {
			key := drawKey(t)
			after := drawEntry(t, key)
			tree.Change(leafOf(shape, key), m[key], after)
			if m[key] = after; after == (Entry{}) {
				delete(m, key)
			}
		}
		if scratch := m.tree(shape); !tree.Equal(scratch) {
			t.Fatalf("root %+v after changes, %+v from scratch", tree.Root(), scratch.Root())
		}
		if n := tree.Root().Count; n != uint64(len(m)) {
			t.Fatalf("the root counts %d entries of %d", n, len(m))
		}
		if n := m.tombstones(); tree.Tombstones() != n {
			t.Fatalf("%d tombstones are counted of %d", tree.Tombstones(), n)
		}
		checkLevels(t, tree)
	})
}

// checkLevels adds the levels up.
func checkLevels(t rapid.TB, tree *Tree) {
	t.Helper()
	var root Sum
	for i, branch := range tree.Branches() {
		var leaves Sum
		for j, leaf := range tree.Leaves(i) {
			leaves.Hash ^= leaf.Hash
			leaves.Count += leaf.Count
			if one := tree.Leaf(uint16(i*Fanout + j)); one != leaf {
				t.Fatalf("leaf %d of branch %d is %+v in the row, %+v alone", j, i, leaf, one)
			}
		}
		if leaves != branch {
			t.Fatalf("branch %d is %+v, its leaves are %+v", i, branch, leaves)
		}
		root.Hash ^= branch.Hash
		root.Count += branch.Count
	}
	if root != tree.Root() {
		t.Fatalf("the root is %+v, the branches are %+v", tree.Root(), root)
	}
}

// Two entries of equal hashes cancel out in the exclusive or, as a change that is applied
// twice does: their number is there still.
func TestTrapM1CountsTellWhatTheExclusiveOrHides(t *testing.T) {
	shape := ShapeOf(seed, 4, 1)
	twice := Entry{Held: HeldObject, Hash: 77}
	tree := New(shape)
	tree.Change(5, Entry{}, twice)
	tree.Change(5, Entry{}, twice)
	if tree.Root().Hash != 0 || tree.Equal(New(shape)) {
		t.Errorf("a tree with two entries that cancel out equals an empty one: %+v", tree.Root())
	}
	leaves, err := Diff(tree, New(shape))
	if err != nil || len(leaves) != 1 || leaves[0] != 5 {
		t.Errorf("the trees differ in %v, %v; want leaf 5", leaves, err)
	}
	zero := New(shape) // and a hash of 0 leaves no other trace
	zero.Change(5, Entry{}, Entry{Held: HeldObject})
	if zero.Equal(New(shape)) {
		t.Error("an entry whose hash is 0 does not show")
	}
}

func TestTreesAreEqualOnlyLevelByLevel(t *testing.T) {
	shape := ShapeOf(seed, 4, 1)
	entry := Entry{Held: HeldObject, Hash: 77}
	one, sameBranch, otherBranch := New(shape), New(shape), New(shape)
	one.Change(5, Entry{}, entry)
	sameBranch.Change(6, Entry{}, entry)
	otherBranch.Change(5+Fanout, Entry{}, entry)
	if one.Equal(sameBranch) || one.Equal(otherBranch) {
		t.Error("trees with equal roots and other leaves are equal")
	}
	if other := New(ShapeOf(seed, 4, 2)); other.Equal(New(shape)) {
		t.Error("empty trees of two partitions are equal")
	}
}

func TestCloneHasNothingInCommon(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := ShapeOf(seed, 4, 1)
		m := drawModel(t)
		tree := m.tree(shape)
		clone := tree.Clone()
		if !clone.Equal(tree) {
			t.Fatal("a clone differs")
		}
		leaf := uint16(rapid.IntRange(0, Leaves-1).Draw(t, "leaf"))
		clone.Change(leaf, Entry{}, Entry{Held: HeldObject, Hash: 1})
		if !tree.Equal(m.tree(shape)) {
			t.Fatal("a change of the clone changed the tree")
		}
	})
}

func TestBranchWithoutKeysHasEmptyLeaves(t *testing.T) {
	if leaves := New(ShapeOf(seed, 4, 1)).Leaves(7); leaves != [Fanout]Sum{} {
		t.Errorf("the leaves of an empty branch are %+v", leaves)
	}
}

// A tombstone is counted once, whatever takes its place, and only where there is nothing else:
// the number is what people are shown, and not compared with other nodes.
func TestTombstonesAreCountedOnce(t *testing.T) {
	of := func(o kv.Object) Entry { return Of(seed, bucket, []byte("k"), &o) }
	first, second := deleted(dot(1, 1)), deleted(dot(2, 2))
	beside := kv.Merge(first, written(dot(3, 3), "beside"))
	if !first.Deleted() || beside.Deleted() || len(beside.Versions) != 2 || (kv.Object{}).Deleted() {
		t.Fatal("the objects are not what they are to be")
	}
	shape := ShapeOf(seed, 4, 1)
	tree, at := New(shape), Entry{}
	for i, step := range []struct {
		to   Entry
		want uint64
	}{
		{of(first), 1}, {of(second), 1}, {of(beside), 0}, {of(first), 1}, {Entry{}, 0},
		{of(beside), 0}, {Damaged(seed, 1, bucket, []byte("k")), 0}, {of(second), 1},
	} {
		tree.Change(7, at, step.to)
		if at = step.to; tree.Tombstones() != step.want {
			t.Errorf("step %d: %d tombstones, want %d", i, tree.Tombstones(), step.want)
		}
		scratch := New(shape)
		if scratch.Change(7, Entry{}, at); !tree.Equal(scratch) {
			t.Errorf("step %d: the tree is not that of its entries", i)
		}
	}
	counted, other := New(shape), New(shape)
	counted.Change(7, Entry{}, of(first))
	other.Change(7, Entry{}, of(first).Listed())
	if counted.Equal(other) || counted.Root() != other.Root() {
		t.Error("the number is not compared, or others could see it")
	}
}
