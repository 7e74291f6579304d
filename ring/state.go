// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"slices"

	"github.com/dyno-kv/dyno/kv"
)

const (
	// MaxPartitions is the most partitions that a ring can have; a partition's number
	// then still fits 16 bits.
	MaxPartitions = 1 << 16
	// DefaultPartitions is the number of partitions of a cluster that names none.
	DefaultPartitions = 128
	// MaxReplicas is the most slots of a partition. More copies would cost more than
	// they protect, and the quorum rules are proven for small numbers only.
	MaxReplicas = 16
	// MaxWeight is the largest weight of a member. With it the solver's exact
	// arithmetic fits 64 bits.
	MaxWeight = 1 << 20
)

// Member is a node that the metadata group has registered.
type Member struct {
	// ID is the member's number; never 0, never issued twice.
	ID kv.NodeID
	// Name is the operator's name of the node; distinct within the ring.
	Name string
	// Zone is what fails together (a rack, a data centre). Members that name no zone
	// are all in one, the zone "".
	Zone string
	// Weight is the member's share of the data relative to the others', at most
	// MaxWeight. 0: it gets none, because it leaves.
	Weight uint32
	// Instance is the present life of the member's store.
	Instance kv.Instance
	// Client, Peer, Gossip and Admin are the member's addresses, host:port. The ring
	// carries them and reads none of them.
	Client, Peer, Gossip, Admin string
}

// Placement says where one partition lives.
type Placement struct {
	// Version is raised by every change of Slots.
	Version kv.PlacementVersion
	// Slots are the replicas, in order of preference.
	Slots []kv.Slot
}

// State is a ring as it is stored and sent: plain data that New checks.
type State struct {
	Cluster ClusterID
	// Version counts the changes of the whole ring; the first ring has 1. It says which
	// of two rings is newer and nothing else: requests carry placement versions.
	Version uint64
	// Replicas is the number of slots of every partition, 1 to MaxReplicas.
	Replicas int
	// Members are in no particular order.
	Members []Member
	// Placements has one entry per partition, at the partition's number.
	Placements []Placement
}

// Clone returns a copy that shares nothing with s.
func (s State) Clone() State {
	s.Members = slices.Clone(s.Members)
	s.Placements = slices.Clone(s.Placements)
	for p := range s.Placements {
		s.Placements[p].Slots = slices.Clone(s.Placements[p].Slots)
	}
	return s
}

// Owners returns the owner of every slot by partition and position, as the solver
// takes and gives them. Of a slot that moves it is the old one.
func (s State) Owners() [][]kv.NodeID {
	owners := make([][]kv.NodeID, len(s.Placements))
	for p, placement := range s.Placements {
		owners[p] = make([]kv.NodeID, len(placement.Slots))
		for j, slot := range placement.Slots {
			owners[p][j] = slot.Owner
		}
	}
	return owners
}
