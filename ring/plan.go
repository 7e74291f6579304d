// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"slices"

	"github.com/dyno-kv/dyno/kv"
)

// ErrPlan is returned for a plan that may not be committed. The error names every rule
// that it breaks, with the places.
var ErrPlan = errors.New("ring: plan refused")

// Plan is a set of slot replacements that are decided and aborted together. It never
// changes; how far each move has come is its Progress.
type Plan struct {
	// ID names the plan in the group's log, in streams and in prefixes; never 0.
	ID uint64
	// Moves are in no particular order, at most one for each slot.
	Moves []Move
}

// The rules of a plan, in the words of its errors.
const (
	rulePlanID    = "a plan must have an id"
	rulePlanEmpty = "a plan must move something"
	rulePartition = "the ring has no such partition"
	ruleSlot      = "the partition has no such slot"
	ruleOnce      = "a plan must move a slot once"
	ruleMoving    = "the slot moves already; wait, or abort that move"
	ruleFrom      = "a move must begin at the slot's owner"
	ruleTo        = "a move must lead to a member that takes data"
	ruleTwice     = "a node would stand in two slots of one partition"
	ruleZones     = "the partition would be spread worse over the zones"
)

// CheckPlan returns why p may not be committed on r, in one error that wraps ErrPlan, or
// nil. Moves of other slots of the same partition may be under way: slots are counted
// one by one, so they can not harm each other (TRAPS T9), as long as no node is a member
// of two of them in any combination of phases.
func CheckPlan(r *Ring, p Plan) error {
	var f faults
	if p.ID == 0 {
		f.add(rulePlanID, "plan 0")
	}
	if len(p.Moves) == 0 {
		f.add(rulePlanEmpty, "plan %d", p.ID)
	}
	byPartition := make(map[uint16][]Move)
	for _, m := range p.Moves {
		if checkMove(&f, r, m, byPartition[m.Partition]) {
			byPartition[m.Partition] = append(byPartition[m.Partition], m)
		}
	}
	zones := newZoneCount(r)
	seen := make(map[uint16]bool, len(byPartition))
	for _, m := range p.Moves {
		if moves := byPartition[m.Partition]; len(moves) > 0 && !seen[m.Partition] {
			seen[m.Partition] = true
			checkNodes(&f, r.Placement(m.Partition), moves)
			zones.check(&f, r.Placement(m.Partition), moves)
		}
	}
	return f.err(ErrPlan)
}

// checkMove checks one move by itself and against earlier ones of its partition. It
// reports whether the move names a slot at all, so that more can be checked.
func checkMove(f *faults, r *Ring, m Move, earlier []Move) bool {
	const place = "partition %d, slot %d, from node %d to %d"
	at := []any{m.Partition, m.Slot, m.From, m.To}
	slots := r.Placement(m.Partition).Slots
	if len(slots) == 0 {
		f.add(rulePartition, place, at...)
		return false
	}
	if m.Slot < 0 || m.Slot >= len(slots) {
		f.add(ruleSlot, place, at...)
		return false
	}
	for _, other := range earlier {
		if other.Slot == m.Slot {
			f.add(ruleOnce, place, at...)
			return false
		}
	}
	slot := slots[m.Slot]
	if slot.Phase != kv.PhaseStable {
		f.add(ruleMoving, place, at...)
	}
	if m.From != slot.Owner {
		f.add(ruleFrom, place, at...)
	}
	if member, ok := r.Member(m.To); !ok || member.Weight == 0 {
		f.add(ruleTo, place, at...)
	}
	return true
}

// checkNodes checks that every node stands in one slot of the partition at most, all
// members of all slots counted: those of before, of during and of after.
func checkNodes(f *faults, p Placement, moves []Move) {
	for _, m := range moves {
		for j, slot := range p.Slots {
			if slot.Has(m.To) {
				f.add(ruleTwice, "partition %d: node %d is in slot %d and would be in %d",
					m.Partition, m.To, j, m.Slot)
			}
		}
		for _, other := range moves {
			if other.To == m.To && other.Slot < m.Slot {
				f.add(ruleTwice, "partition %d: node %d would be in slots %d and %d",
					m.Partition, m.To, other.Slot, m.Slot)
			}
		}
	}
}

// zoneCount measures how far a list is from the even spread over the zones (I7).
type zoneCount struct {
	zoneOf map[kv.NodeID]string // of all members, those that leave too
	bounds map[string]bounds    // a zone that is not in it should hold nothing
}

func newZoneCount(r *Ring) zoneCount {
	z := zoneCount{
		zoneOf: make(map[kv.NodeID]string, len(r.Members())),
		bounds: NewSpread(r.Members(), r.Replicas()).bounds,
	}
	for _, m := range r.Members() {
		z.zoneOf[m.ID] = m.Zone
	}
	return z
}

// check compares what the plan makes of the partition with what it would be without,
// both when its running moves come through and when they are aborted. It may leave a
// spread as bad as it is, so that a ring which is uneven for now can be mended slot by
// slot; it may never make it worse.
func (z zoneCount) check(f *faults, p Placement, moves []Move) {
	for _, aborted := range [...]bool{false, true} {
		before := make([]kv.NodeID, len(p.Slots))
		for j, slot := range p.Slots {
			before[j] = slot.Owner
			if slot.Next != 0 && !aborted {
				before[j] = slot.Next
			}
		}
		after := slices.Clone(before)
		for _, m := range moves {
			after[m.Slot] = m.To
		}
		if z.excess(after) > z.excess(before) {
			f.add(ruleZones, "partition %d: %v instead of %v", moves[0].Partition, after,
				before)
			return
		}
	}
}

// excess is the number of nodes that are too many or missing in their zones.
func (z zoneCount) excess(list []kv.NodeID) int {
	counts := make(map[string]int, len(list))
	for _, node := range list {
		counts[z.zoneOf[node]]++
	}
	excess := 0
	for zone, n := range counts {
		excess += max(n-z.bounds[zone].hi, 0)
	}
	for zone, b := range z.bounds {
		excess += max(b.lo-counts[zone], 0)
	}
	return excess
}
