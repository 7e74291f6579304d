// SPDX-License-Identifier: Apache-2.0

package ring

import "github.com/dyno-kv/dyno/kv"

// Problem is the input of Solve.
type Problem struct {
	// Partitions is a power of two, 1 to MaxPartitions.
	Partitions int
	// Replicas is the number of slots of each partition, 1 to MaxReplicas.
	Replicas int
	// Members may be in any order. Those of weight 0 get nothing; at least Replicas must
	// be of more. Only ID, Zone and Weight matter.
	Members []Member
	// Previous is where the slots stand now, by partition and position; nil or empty
	// where nothing stands yet. It may name nodes that are no members any more, and 0 for
	// a slot that nobody has.
	Previous [][]kv.NodeID
}

// Solve returns a node for every slot, by partition and position, such that
//
//   - a partition's nodes are distinct and spread over the zones as evenly as the zones'
//     nodes allow (I7); this is never given up;
//   - every node has its target of slots, in total and at each position, rounded up or
//     down (I8). The target is the node's share by weight, as far as the first rule lets
//     it: a node has at most one slot of a partition, a zone at most its part;
//   - of the answers that exchanges of slots lead to it is one that differs least from
//     Previous; a node that stays in a list keeps its position there, unless only
//     reordering leads to the balance (I10).
//
// The answer depends on the input alone (I9). The error wraps ErrUnsolvable and says
// why. For 1,024 partitions and 60 nodes it takes well under a second.
func Solve(in Problem) ([][]kv.NodeID, error) {
	pr, err := prepare(in)
	if err != nil {
		return nil, err
	}
	if !pr.keepsAny(in.Previous) {
		return pr.list(pr.fresh()), nil
	}
	l := newLayout(pr, in.Previous)
	newExchange(l).run()
	return pr.list(l.own), nil
}

// keepsAny reports whether any node of the previous placement still takes data.
func (pr *problem) keepsAny(previous [][]kv.NodeID) bool {
	for _, list := range previous {
		for _, node := range list {
			if _, ok := pr.index[node]; ok {
				return true
			}
		}
	}
	return false
}
