// SPDX-License-Identifier: Apache-2.0

package antientropy

import "github.com/dyno-kv/dyno/internal/invariant"

// Sum sums up entries. Sums are compared by ==.
type Sum struct {
	Hash  uint64 // exclusive or of the entries' hashes
	Count uint64 // of the entries (I3)
}

// add puts an entry in.
func (s *Sum) add(hash uint64) {
	s.Hash ^= hash
	s.Count++
}

// take takes an entry out that was put in before.
func (s *Sum) take(hash uint64) {
	invariant.Check(s.Count > 0, "an entry that leaves a sum is in it")
	s.Hash ^= hash
	s.Count--
}

// Tree sums up what one replica holds of one partition (I1). Whoever owns it may change
// it; it has no lock.
type Tree struct {
	shape    Shape
	root     Sum
	branches [Branches]Sum
	// leaves of each branch; nil where none was ever put in, so that trees of nearly empty
	// partitions, of which a cluster may have 65,536, take little.
	leaves [Branches]*[Fanout]Sum
	// tombstones is how many entries are objects with nothing but tombstones.
	tombstones uint64
}

// New returns the tree of an empty partition.
func New(shape Shape) *Tree { return &Tree{shape: shape} }

// Shape is what the tree can be compared with.
func (t *Tree) Shape() Shape { return t.shape }

// Change tells that the key of a leaf had the entry before, and has the entry after.
// A before that is not what the tree was told last spoils it: neither may be guessed
// (TRAPS M1).
func (t *Tree) Change(leaf uint16, before, after Entry) {
	if before == after {
		return
	}
	branch := leaf / Fanout
	leaves := t.leaves[branch]
	if leaves == nil {
		leaves = new([Fanout]Sum)
		t.leaves[branch] = leaves
	}
	sums := [...]*Sum{&t.root, &t.branches[branch], &leaves[leaf%Fanout]}
	for _, s := range sums {
		if before.Held != HeldNothing {
			s.take(before.Hash)
		}
		if after.Held != HeldNothing {
			s.add(after.Hash)
		}
	}
	if before.Held == HeldTombstone {
		t.tombstones--
	}
	if after.Held == HeldTombstone {
		t.tombstones++
	}
}

// Root is the sum of the whole tree.
func (t *Tree) Root() Sum { return t.root }

// Tombstones is how many of the entries have nothing but tombstones.
func (t *Tree) Tombstones() uint64 { return t.tombstones }

// Branches are the sums below the root.
func (t *Tree) Branches() [Branches]Sum { return t.branches }

// Leaves are the sums below a branch.
func (t *Tree) Leaves(branch int) [Fanout]Sum {
	if leaves := t.leaves[branch]; leaves != nil {
		return *leaves
	}
	return [Fanout]Sum{}
}

// Leaf is the sum of one leaf.
func (t *Tree) Leaf(leaf uint16) Sum {
	if leaves := t.leaves[leaf/Fanout]; leaves != nil {
		return leaves[leaf%Fanout]
	}
	return Sum{}
}

// Equal reports whether both trees sum up the same, of the same shape.
func (t *Tree) Equal(other *Tree) bool {
	if t.shape != other.shape || t.root != other.root || t.branches != other.branches {
		return false
	}
	if t.tombstones != other.tombstones {
		return false
	}
	for branch := range Branches {
		if t.Leaves(branch) != other.Leaves(branch) {
			return false
		}
	}
	return true
}

// Clone returns a copy that shares nothing with the tree.
func (t *Tree) Clone() *Tree {
	c := *t
	for i, leaves := range t.leaves {
		if leaves != nil {
			copied := *leaves
			c.leaves[i] = &copied
		}
	}
	return &c
}
