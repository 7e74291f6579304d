// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/kv"
)

// ErrRefill is returned, wrapped with the reason, for a step of a refill whose conditions
// do not hold. Nothing has changed; it may hold later.
var ErrRefill = errors.New("ring: refill not allowed")

// Refill is the filling of a node's store whose last life is lost: TRAPS T8, with the lost
// life as L and the new, empty one as X (docs/adr/0022). While it lasts the node stands in
// its slots and counts for nothing there, so that writes and reads need the others. The
// zero Refill: the store is whole.
type Refill struct {
	// Since is the placement version that all of the node's partitions were raised to when
	// the new life began. What is stamped lower may have been acknowledged by the lost one.
	Since kv.PlacementVersion
	// Accepted: an operator has said that what no intact owner has is lost. Without are the
	// owners that are not waited for, in order of their numbers.
	Accepted bool
	Without  []kv.NodeID
}

// Source is a store that was copied, in the life that acknowledged the fence.
type Source struct {
	Node     kv.NodeID
	Instance kv.Instance
}

// Filled is what a node tells of its store when it takes it for full.
type Filled struct {
	// Store is the life and the opening that is full (TRAPS T12).
	Store Store
	// Fence is the highest placement version of the node's partitions at the time when the
	// node itself promised, durably, to refuse what is older in each of them.
	Fence kv.PlacementVersion
	// Sources were fenced at Since before they were copied, and all they held is durable
	// here.
	Sources []Source
}

// Whole tells of a member's store its present life, and whether it is whole: known, and
// not being filled.
type Whole func(kv.NodeID) (kv.Instance, bool)

// NewestPlacement is the highest version of all these placements.
func NewestPlacement(placements []Placement) (newest kv.PlacementVersion) {
	for _, p := range placements {
		newest = max(newest, p.Version)
	}
	return newest
}

// Newest is the highest version of the partitions that node stands in.
func Newest(placements []Placement, node kv.NodeID) (newest kv.PlacementVersion) {
	for _, p := range placements {
		if p.Has(node) {
			newest = max(newest, p.Version)
		}
	}
	return newest
}

// BeginRefill raises all partitions that node stands in to version v, which must be above
// that of every partition: one number then says for all of them what is older. A node
// without a slot has nothing to be filled with.
//
// It is refused while a slot of the node moves: the copy of that move was made from the
// lost store, or counts with it. Abort the move first.
func BeginRefill(
	placements []Placement, node kv.NodeID, v kv.PlacementVersion,
) ([]Placement, Refill, error) {
	if newest := NewestPlacement(placements); v <= newest {
		return placements, Refill{}, fmt.Errorf("%w: version %d is not above %d", ErrRefill, v,
			newest)
	}
	var g Refill
	raised := slices.Clone(placements)
	for i, p := range placements {
		for _, slot := range p.Slots {
			if !slot.Has(node) {
				continue
			}
			if slot.Phase != kv.PhaseStable {
				return placements, Refill{}, fmt.Errorf("%w: partition %d moves from node %d to "+
					"%d; abort that move first", ErrRefill, i, slot.Owner, slot.Next)
			}
			g.Since = v
			raised[i].Version = v
		}
	}
	return raised, g, nil
}

// Active reports that the store is being filled.
func (g Refill) Active() bool { return g.Since != 0 }

// MayCopy reports whether a store that has acknowledged this fence may be copied: from
// then on it takes in nothing that the lost life could have acknowledged, so that the copy
// has all of that (TRAPS T3).
func (g Refill) MayCopy(fence kv.PlacementVersion) bool { return g.Active() && fence >= g.Since }

// Accept records the operator's word that what the intact owners do not have is lost, and
// that these owners are not waited for. Words add up.
func (g Refill) Accept(without []kv.NodeID) Refill {
	all := append(slices.Clone(g.Without), without...)
	slices.Sort(all)
	g.Accepted, g.Without = true, slices.Compact(all)
	return g
}

// Missing returns the owners of node's partitions that are whole and not among the
// sources, in order of their numbers: those that are still to be fenced and copied. All of
// them are needed, so that the refill is right for every w and r (TRAPS T8, T3).
func (g Refill) Missing(
	placements []Placement, node kv.NodeID, whole Whole, sources []Source,
) (missing []kv.NodeID) {
	for _, p := range placements {
		for _, other := range p.others(node) {
			if slices.Contains(missing, other) || slices.Contains(g.Without, other) {
				continue
			}
			life, ok := whole(other)
			if ok && !slices.Contains(sources, Source{Node: other, Instance: life}) {
				missing = append(missing, other)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// Orphaned returns those of node's partitions that have no other owner among the sources:
// nobody is left who has what the lost store had.
func (g Refill) Orphaned(
	placements []Placement, node kv.NodeID, sources []Source,
) (orphaned []uint16) {
	for i, p := range placements {
		if p.Has(node) && !slices.ContainsFunc(sources, func(s Source) bool {
			return s.Node != node && p.Has(s.Node)
		}) {
			orphaned = append(orphaned, uint16(i))
		}
	}
	return orphaned
}

// Finish says why the refill is not over, or nil: from then on the store counts for
// everything. present is the node's store as the group knows it now.
//
// The node's own fence matters where another owner's store was lost after this one began
// to be filled. A write that the lost one acknowledged must not be completed by this one,
// which was no source of the other's refill as it was not whole.
func (g Refill) Finish(
	placements []Placement, node kv.NodeID, present Store, whole Whole, f Filled,
) error {
	newest := Newest(placements, node)
	switch {
	case !g.Active():
		return fmt.Errorf("%w: the store of node %d is not being filled", ErrRefill, node)
	case f.Store != present:
		return fmt.Errorf("%w: node %d was opened or replaced since its store was full: %v, "+
			"not %v", ErrRefill, node, present, f.Store)
	case f.Fence < newest:
		return fmt.Errorf("%w: node %d has fenced itself at version %d, a partition is at %d",
			ErrRefill, node, f.Fence, newest)
	}
	if missing := g.Missing(placements, node, whole, f.Sources); len(missing) > 0 {
		return fmt.Errorf("%w: node %d lacks what nodes %v have", ErrRefill, node, missing)
	}
	if n := len(g.Orphaned(placements, node, f.Sources)); n > 0 && !g.Accepted {
		return fmt.Errorf("%w: of %d partitions no intact owner is left; accept the loss, or bring "+
			"one back", ErrRefill, n)
	}
	return nil
}

// Has reports whether node stands in a slot, in whatever phase.
func (p Placement) Has(node kv.NodeID) bool {
	for _, slot := range p.Slots {
		if slot.Has(node) {
			return true
		}
	}
	return false
}

// others are all members of the slots but node; none where node stands in none.
func (p Placement) others(node kv.NodeID) (others []kv.NodeID) {
	if !p.Has(node) {
		return nil
	}
	for _, slot := range p.Slots {
		for _, member := range [...]kv.NodeID{slot.Owner, slot.Next} {
			if member != 0 && member != node {
				others = append(others, member)
			}
		}
	}
	return others
}
