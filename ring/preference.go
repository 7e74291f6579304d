// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"slices"

	"github.com/dyno-kv/dyno/kv"
)

// Preference is the preference list of a partition's keys (Dynamo 4.6): the slots that
// own them, then the nodes that take hints when owners can not be reached. Its slices
// are the ring's own: read them only.
type Preference struct {
	Partition uint16
	Version   kv.PlacementVersion
	// Slots are the partition's, in order.
	Slots []kv.Slot
	// Fallbacks are all the other members, each once: those that hold data in ring order
	// from the next partition on, first those in zones that no slot's member is in, then
	// the rest; then those that hold nothing, by id.
	Fallbacks []kv.NodeID
}

// Preference returns the preference list of partition p. A partition that the ring does
// not have has neither slots nor fallbacks.
func (r *Ring) Preference(p uint16) Preference {
	if int(p) >= len(r.preferences) {
		return Preference{Partition: p}
	}
	return r.preferences[p]
}

// preferences computes the list of every partition of a valid state whose members are
// in order of their ids.
//
// "Ring order from p on" is the order of first appearance in partitions p+1, p+2, and
// so on. Walking for each p would cost partitions squared where a member holds little;
// so the walk goes backwards once and keeps the order by moving the members of each
// partition that it passes to the front.
func preferences(s State) []Preference {
	holders, idle := holdersOf(s)
	zones := make(map[kv.NodeID]string, len(s.Members))
	for _, m := range s.Members {
		zones[m.ID] = m.Zone
	}
	// The first turn only finds the order in which the second begins.
	order := newFrontList(holders)
	for p := len(s.Placements) - 1; p >= 0; p-- {
		order.moveToFront(s.Placements[p].Slots)
	}
	list := make([]Preference, len(s.Placements))
	for p := len(s.Placements) - 1; p >= 0; p-- {
		placement := s.Placements[p]
		list[p] = Preference{
			Partition: uint16(p),
			Version:   placement.Version,
			Slots:     placement.Slots,
			Fallbacks: fallbacks(placement.Slots, order.nodes, idle, zones),
		}
		order.moveToFront(placement.Slots)
	}
	return list
}

// holdersOf splits the members, by id, into those that stand in a slot and the others.
func holdersOf(s State) (holders, idle []kv.NodeID) {
	holds := make(map[kv.NodeID]bool, len(s.Members))
	for _, placement := range s.Placements {
		for _, slot := range placement.Slots {
			holds[slot.Owner], holds[slot.Next] = true, true
		}
	}
	for _, m := range s.Members {
		if holds[m.ID] {
			holders = append(holders, m.ID)
		} else {
			idle = append(idle, m.ID)
		}
	}
	return holders, idle
}

// fallbacks picks from the holders, in ring order, and the idle members of a ring those
// that stand in none of the slots.
func fallbacks(
	slots []kv.Slot, holders, idle []kv.NodeID, zones map[kv.NodeID]string,
) []kv.NodeID {
	taken := make([]string, 0, 2*len(slots))
	inSlots := 0
	for _, slot := range slots {
		taken = append(taken, zones[slot.Owner])
		inSlots++
		if slot.Next != 0 {
			taken = append(taken, zones[slot.Next])
			inSlots++
		}
	}
	list := make([]kv.NodeID, 0, len(holders)+len(idle)-inSlots)
	var near []kv.NodeID
	for _, node := range holders {
		if slices.ContainsFunc(slots, func(s kv.Slot) bool { return s.Has(node) }) {
			continue
		}
		if slices.Contains(taken, zones[node]) {
			near = append(near, node)
		} else {
			list = append(list, node)
		}
	}
	list = append(list, near...)
	return append(list, idle...)
}

// frontList is a list of nodes, the most recently passed first.
type frontList struct {
	nodes, scratch []kv.NodeID
}

func newFrontList(nodes []kv.NodeID) *frontList {
	return &frontList{nodes: slices.Clone(nodes), scratch: make([]kv.NodeID, 0, len(nodes))}
}

// moveToFront puts the members of the slots first, in the order of the slots, and keeps
// the order of the others.
func (f *frontList) moveToFront(slots []kv.Slot) {
	next := f.scratch[:0]
	for _, slot := range slots {
		next = append(next, slot.Owner)
		if slot.Next != 0 {
			next = append(next, slot.Next)
		}
	}
	for _, node := range f.nodes {
		if !slices.ContainsFunc(slots, func(s kv.Slot) bool { return s.Has(node) }) {
			next = append(next, node)
		}
	}
	f.nodes, f.scratch = next, f.nodes
}
