// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"cmp"
	"errors"
	"slices"

	"github.com/dyno-kv/dyno/kv"
)

// ErrUnsolvable is returned where no placement keeps the rules. The error says why.
var ErrUnsolvable = errors.New("ring: no placement possible")

// problem is a Problem prepared for solving: nodes and zones are numbered from 0 in an
// order that depends on nothing but the members themselves (I9).
type problem struct {
	partitions, replicas int
	nodes                []solverNode // in order of zone, then id
	zones                []solverZone // in order of name
	index                map[kv.NodeID]int
}

type solverNode struct {
	id     kv.NodeID
	zone   int
	weight int64
}

type solverZone struct {
	bounds       // of one partition's slots
	nodes  []int // ascending
}

// prepare checks the input of Solve and numbers it.
func prepare(in Problem) (*problem, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	members := slices.DeleteFunc(slices.Clone(in.Members), func(m Member) bool {
		return m.Weight == 0
	})
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.ID, b.ID))
	})
	pr := &problem{
		partitions: in.Partitions,
		replicas:   in.Replicas,
		index:      make(map[kv.NodeID]int, len(members)),
	}
	for i, m := range members {
		if i == 0 || m.Zone != members[i-1].Zone {
			pr.zones = append(pr.zones, solverZone{})
		}
		z := len(pr.zones) - 1
		pr.zones[z].nodes = append(pr.zones[z].nodes, i)
		pr.nodes = append(pr.nodes, solverNode{m.ID, z, int64(m.Weight)})
		pr.index[m.ID] = i
	}
	sizes := make([]int, len(pr.zones))
	for z, zone := range pr.zones {
		sizes[z] = len(zone.nodes)
	}
	for z, b := range zoneBounds(sizes, pr.replicas) {
		pr.zones[z].bounds = b
	}
	return pr, nil
}

// check returns everything that makes the problem unsolvable, in one error.
func (in Problem) check() error {
	var f faults
	if !validPartitions(in.Partitions) {
		f.add(rulePartitions, "%d partitions", in.Partitions)
	}
	if in.Replicas < 1 || in.Replicas > MaxReplicas {
		f.add(ruleReplicas, "%d replicas", in.Replicas)
	}
	seen := make(map[kv.NodeID]bool, len(in.Members))
	able := 0
	for _, m := range in.Members {
		if m.ID == 0 {
			f.add(ruleMemberID, "member %q", m.Name)
		}
		if seen[m.ID] {
			f.add(ruleSameID, "member %q: number %d", m.Name, m.ID)
		}
		if m.Weight > MaxWeight {
			f.add(ruleWeight, "member %d: weight %d", m.ID, m.Weight)
		}
		seen[m.ID] = true
		if m.Weight > 0 {
			able++
		}
	}
	if able < in.Replicas {
		f.add(ruleEnough, "%d members take data, %d replicas", able, in.Replicas)
	}
	if n := len(in.Previous); n != 0 && n != in.Partitions {
		f.add(rulePrevious, "previous placement of %d partitions", n)
	}
	for p, list := range in.Previous {
		if len(list) != in.Replicas {
			f.add(ruleSlotCount, "previous partition %d: %d slots", p, len(list))
		}
	}
	return f.err(ErrUnsolvable)
}

// The rules of a problem that are not those of a state.
const (
	ruleEnough   = "every replica must be on a node of its own: add nodes or lower the replicas"
	rulePrevious = "the previous placement must have every partition or none"
)

// list turns a layout into the lists of node ids that Solve returns.
func (pr *problem) list(own []int32) [][]kv.NodeID {
	flat := make([]kv.NodeID, len(own))
	for s, i := range own {
		flat[s] = pr.nodes[i].id
	}
	lists := make([][]kv.NodeID, pr.partitions)
	for p := range lists {
		lists[p] = slices.Clip(flat[p*pr.replicas : (p+1)*pr.replicas])
	}
	return lists
}
