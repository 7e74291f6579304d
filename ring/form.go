// SPDX-License-Identifier: Apache-2.0

package ring

import "github.com/dyno-kv/dyno/kv"

// Form returns the first ring of a cluster: version 1, every slot stable, every placement
// at version first. The error wraps ErrUnsolvable or ErrInvalid and names what is wrong
// with the arguments.
func Form(
	cluster ClusterID, replicas, partitions int, members []Member, first kv.PlacementVersion,
) (State, error) {
	owners, err := Solve(Problem{Partitions: partitions, Replicas: replicas, Members: members})
	if err != nil {
		return State{}, err
	}
	s := State{
		Cluster:    cluster,
		Version:    1,
		Replicas:   replicas,
		Members:    append([]Member(nil), members...),
		Placements: make([]Placement, partitions),
	}
	for p, list := range owners {
		slots := make([]kv.Slot, len(list))
		for j, node := range list {
			slots[j] = kv.Stable(node)
		}
		s.Placements[p] = Placement{Version: first, Slots: slots}
	}
	if err := s.validate(); err != nil {
		return State{}, err
	}
	return s, nil
}
