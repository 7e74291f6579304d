// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"fmt"
	"math/bits"
)

// MaxLeaves is how many leaves one exchange goes into: whatever has gone wrong, it lists
// no more than a quarter of a partition at a time (TRAPS M4).
const MaxLeaves = 256

// Diff returns the leaves in which two trees differ, in order, or ErrNotComparable. It
// goes down level by level, as two nodes do that have one tree each.
func Diff(mine, theirs *Tree) ([]uint16, error) {
	if mine.shape != theirs.shape {
		return nil, fmt.Errorf("%w: %s, and %s", ErrNotComparable, mine.shape, theirs.shape)
	}
	if mine.root == theirs.root {
		return nil, nil
	}
	var leaves []uint16
	left, right := mine.Branches(), theirs.Branches()
	for _, branch := range Differing(left[:], right[:]) {
		left, right := mine.Leaves(int(branch)), theirs.Leaves(int(branch))
		for _, leaf := range Differing(left[:], right[:]) {
			leaves = append(leaves, branch*Fanout+leaf)
		}
	}
	return leaves, nil
}

// Differing returns the places at which two rows of sums differ, in order. What one of
// them lacks at its end counts as empty.
func Differing(mine, theirs []Sum) []uint16 {
	var places []uint16
	for i := range max(len(mine), len(theirs)) {
		var left, right Sum
		if i < len(mine) {
			left = mine[i]
		}
		if i < len(theirs) {
			right = theirs[i]
		}
		if left != right {
			places = append(places, uint16(i))
		}
	}
	return places
}

// Both returns what is in both lists, which are in order: what differed twice. A write
// that one replica had and the other had not yet differs once (TRAPS M3).
func Both(first, second []uint16) []uint16 {
	var both []uint16
	for len(first) > 0 && len(second) > 0 {
		switch a, b := first[0], second[0]; {
		case a < b:
			first = first[1:]
		case a > b:
			second = second[1:]
		default:
			both = append(both, a)
			first, second = first[1:], second[1:]
		}
	}
	return both
}

// Choose returns at most most of the leaves, which are in order, beginning with the first
// that is not below from, and after the last one again from the beginning. Who goes on
// where it ended comes to all of them, also if some can not be repaired.
func Choose(leaves []uint16, from uint16, most int) LeafSet {
	var chosen LeafSet
	start := 0
	for start < len(leaves) && leaves[start] < from {
		start++
	}
	for i := range min(most, len(leaves)) {
		chosen.Add(leaves[(start+i)%len(leaves)])
	}
	return chosen
}

// LeafSet is a set of leaves. The zero LeafSet is empty.
type LeafSet [Leaves / 64]uint64

// Add puts a leaf in.
func (s *LeafSet) Add(leaf uint16) { s[leaf/64] |= 1 << (leaf % 64) }

// Has reports whether a leaf is in the set.
func (s *LeafSet) Has(leaf uint16) bool { return s[leaf/64]&(1<<(leaf%64)) != 0 }

// Len is how many leaves are in the set.
func (s *LeafSet) Len() int {
	n := 0
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}
