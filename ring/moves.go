// SPDX-License-Identifier: Apache-2.0

package ring

import "github.com/dyno-kv/dyno/kv"

// Move is the replacement of one slot's node by another.
type Move struct {
	Partition uint16
	// Slot is the position in the partition's list.
	Slot int
	// From is 0 where the slot had no node before, To where it has none afterwards.
	From, To kv.NodeID
}

// Moves returns the slots in which two placements differ, by partition, then position.
// A slot that only one of them has is a move from or to node 0.
func Moves(prev, next [][]kv.NodeID) []Move {
	var moves []Move
	for p := range max(len(prev), len(next)) {
		before, after := listAt(prev, p), listAt(next, p)
		for j := range max(len(before), len(after)) {
			from, to := nodeAt(before, j), nodeAt(after, j)
			if from != to {
				moves = append(moves, Move{uint16(p), j, from, to})
			}
		}
	}
	return moves
}

func listAt(lists [][]kv.NodeID, p int) []kv.NodeID {
	if p >= len(lists) {
		return nil
	}
	return lists[p]
}

func nodeAt(list []kv.NodeID, j int) kv.NodeID {
	if j >= len(list) {
		return 0
	}
	return list[j]
}
