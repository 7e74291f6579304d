// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/dyno-kv/dyno/kv"
)

// Ring answers where keys live. It is immutable: a change is a new State and a new
// Ring, so a request that holds one sees one layout from beginning to end. All methods
// but State take constant time and allocate nothing.
type Ring struct {
	// Immutable after New.
	state       State // Members in order of their ids
	seed        uint64
	shift       int // 64 - log2(partitions)
	byID        map[kv.NodeID]int
	byName      map[string]int
	preferences []Preference // one per partition
}

// New checks a state and builds its ring; it keeps no reference to s. The error wraps
// ErrInvalid and names every broken rule (I1 to I4).
//
// Time and memory grow with partitions x members (the fallbacks of every partition).
func New(s State) (*Ring, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	s = s.Clone()
	slices.SortFunc(s.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	r := &Ring{
		state:  s,
		seed:   s.Cluster.HashSeed(),
		shift:  hashBits - bits.TrailingZeros(uint(len(s.Placements))),
		byID:   make(map[kv.NodeID]int, len(s.Members)),
		byName: make(map[string]int, len(s.Members)),
	}
	for i, m := range s.Members {
		r.byID[m.ID], r.byName[m.Name] = i, i
	}
	r.preferences = preferences(s)
	return r, nil
}

// Cluster returns the id of the cluster.
func (r *Ring) Cluster() ClusterID { return r.state.Cluster }

// HashSeed returns the seed of the key hash, for clients that route by themselves.
func (r *Ring) HashSeed() uint64 { return r.seed }

// Version returns the version of the whole ring.
func (r *Ring) Version() uint64 { return r.state.Version }

// Replicas returns the number of slots of every partition.
func (r *Ring) Replicas() int { return r.state.Replicas }

// Partitions returns the number of partitions, a power of two.
func (r *Ring) Partitions() int { return len(r.state.Placements) }

// Members returns the members in order of their ids. The slice is the ring's own: read
// it only.
func (r *Ring) Members() []Member { return r.state.Members }

// Member returns the member of that number.
func (r *Ring) Member(id kv.NodeID) (Member, bool) {
	i, ok := r.byID[id]
	if !ok {
		return Member{}, false
	}
	return r.state.Members[i], true
}

// MemberByName returns the member of that name.
func (r *Ring) MemberByName(name string) (Member, bool) {
	i, ok := r.byName[name]
	if !ok {
		return Member{}, false
	}
	return r.state.Members[i], true
}

// Placement returns where partition p lives; its slots are the ring's own: read them
// only. A partition that the ring does not have is nowhere: version 0, no slots.
func (r *Ring) Placement(p uint16) Placement {
	if int(p) >= len(r.state.Placements) {
		return Placement{}
	}
	return r.state.Placements[p]
}

// SlotOf returns the position of the slot of p that node is a member of, in whatever
// phase. There is at most one (I3).
func (r *Ring) SlotOf(p uint16, node kv.NodeID) (int, bool) {
	for j, slot := range r.Placement(p).Slots {
		if slot.Has(node) {
			return j, true
		}
	}
	return 0, false
}

// State returns a copy of the ring's state, for storing and for changing.
func (r *Ring) State() State { return r.state.Clone() }
