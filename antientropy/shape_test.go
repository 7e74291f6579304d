// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"errors"
	"fmt"
	"testing"
)

// Trees of another algorithm, seed, number of partitions or partition sum up other things.
func TestTrapM7TreesOfOtherShapesAreNotCompared(t *testing.T) {
	shape := ShapeOf(seed, 4, 1)
	others := map[string]Shape{
		"algorithm":  {Algorithm + 1, seed, 4, 1},
		"seed":       ShapeOf(seed+1, 4, 1),
		"partitions": ShapeOf(seed, 8, 1),
		"partition":  ShapeOf(seed, 4, 2),
	}
	for what, other := range others {
		if other.ID() == shape.ID() {
			t.Errorf("another %s has the same name in messages", what)
		}
		if _, err := Diff(New(shape), New(other)); !errors.Is(err, ErrNotComparable) {
			t.Errorf("trees of another %s were compared: %v", what, err)
		}
	}
	if leaves, err := Diff(New(shape), New(ShapeOf(seed, 4, 1))); err != nil || leaves != nil {
		t.Errorf("two empty trees: %v, %v", leaves, err)
	}
	const pinned = 0xefd202ed22b7aff4
	if id := shape.ID(); id != pinned {
		t.Errorf("the name of a shape, which other releases know, is now %#x", id)
	}
}

// The keys of one partition come to all leaves, about evenly, whatever their number: the
// leaf is none of the bits that they share.
func TestKeysOfOnePartitionComeToAllLeaves(t *testing.T) {
	for _, partitions := range []int{1, 128, 1 << 16} {
		const keys = 20 * Leaves
		counts := make([]int, Leaves)
		shape := ShapeOf(seed, partitions, 0)
		for n := range keys {
			// The hash of a key of partition 0.
			hash := keyHash(seed, fmt.Append(nil, n)) >> log2(partitions)
			counts[shape.Leaf(hash)]++
		}
		for leaf, n := range counts {
			if n < 2 || n > 60 {
				t.Errorf("%d partitions: leaf %d has %d keys of %d", partitions, leaf, n, keys)
			}
		}
	}
}

// The leaf of a key is part of the algorithm: nodes of two releases must agree.
func TestLeavesAreThoseOfTheVectors(t *testing.T) {
	const hash = 0xfedcba9876543210
	for partitions, want := range map[int]uint16{1: 0x3fb, 2: 0x3f6, 128: 0x1b9, 1 << 16: 0x2ea} {
		wantByHand := uint16(uint64(hash) << log2(partitions) >> 54)
		if got := ShapeOf(seed, partitions, 0).Leaf(hash); got != want || got != wantByHand {
			t.Errorf("%d partitions: leaf %#x, want %#x (by hand %#x)", partitions, got, want, wantByHand)
		}
	}
}

func log2(n int) (bits int) {
	for ; n > 1; n /= 2 {
		bits++
	}
	return bits
}
