// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
)

// ErrInvalid is returned by New for a state that breaks a rule. The error names each
// broken rule with the places where it is broken.
var ErrInvalid = errors.New("ring: invalid state")

// maxFaultsPerRule bounds an error's text: a ring has up to 65,536 partitions, and one
// mistake usually breaks the same rule in all of them.
const maxFaultsPerRule = 4

// faults collects broken rules.
type faults struct {
	errs    []error
	perRule map[string]int
}

// add records that rule is broken at a place. Beyond the bound of the rule it counts.
func (f *faults) add(rule, place string, args ...any) {
	if f.perRule == nil {
		f.perRule = make(map[string]int)
	}
	f.perRule[rule]++
	if f.perRule[rule] <= maxFaultsPerRule {
		f.errs = append(f.errs, fmt.Errorf("%s: %s", fmt.Sprintf(place, args...), rule))
	}
}

// err returns what was collected as one error that wraps kind, or nil.
func (f *faults) err(kind error) error {
	if len(f.errs) == 0 {
		return nil
	}
	all := f.errs
	for _, rule := range rules {
		if more := f.perRule[rule] - maxFaultsPerRule; more > 0 {
			all = append(all, fmt.Errorf("and %d more: %s", more, rule))
		}
	}
	return fmt.Errorf("%w:\n%w", kind, errors.Join(all...))
}

// The rules of a state, in the words of its errors.
const (
	ruleCluster    = "the cluster id must not be zero"
	ruleVersion    = "the ring version must not be zero"
	rulePartitions = "partitions must be a power of two, 1 to 65536"
	ruleReplicas   = "replicas must be 1 to 16"
	ruleMemberID   = "node number 0 means no node"
	ruleSameID     = "two members must not share a node number"
	ruleNoName     = "a member must have a name"
	ruleSameName   = "two members must not share a name"
	ruleWeight     = "the weight must be at most 1048576"
	ruleInstance   = "the instance's generation must be at most 31"
	rulePlacement  = "the placement version must be above zero, its generation at most 31"
	ruleSlotCount  = "a partition must have as many slots as there are replicas"
	rulePhase      = "a slot's phase must be stable, write-both/read-old or write-both/read-new"
	ruleOwner      = "a slot must have an owner"
	ruleNextStable = "a stable slot must have one member"
	ruleNextMoving = "a moving slot must have a second member"
	ruleNextOwner  = "a slot must not move from a node to itself"
	ruleKnown      = "a slot's member must be a member of the ring"
	ruleDistinct   = "a node must not stand in two slots of one partition"
)

// rules lists the rules in the order in which errors count their further breaches.
var rules = [...]string{
	ruleCluster, ruleVersion, rulePartitions, ruleReplicas, ruleMemberID, ruleSameID,
	ruleNoName, ruleSameName, ruleWeight, ruleInstance, rulePlacement, ruleSlotCount,
	rulePhase, ruleOwner, ruleNextStable, ruleNextMoving, ruleNextOwner, ruleKnown,
	ruleDistinct,
}

// validate returns every broken rule of s in one error, or nil.
func (s State) validate() error {
	var f faults
	if s.Cluster.IsZero() {
		f.add(ruleCluster, "cluster")
	}
	if s.Version == 0 {
		f.add(ruleVersion, "version")
	}
	if !validPartitions(len(s.Placements)) {
		f.add(rulePartitions, "%d placements", len(s.Placements))
	}
	if s.Replicas < 1 || s.Replicas > MaxReplicas {
		f.add(ruleReplicas, "%d replicas", s.Replicas)
	}
	known := validateMembers(&f, s.Members)
	for p, placement := range s.Placements {
		validatePlacement(&f, p, placement, s.Replicas, known)
	}
	return f.err(ErrInvalid)
}

// validPartitions reports whether a ring can have that many partitions.
func validPartitions(n int) bool { return n >= 1 && n <= MaxPartitions && n&(n-1) == 0 }

// validateMembers checks the members and returns the set of their ids.
func validateMembers(f *faults, members []Member) map[kv.NodeID]bool {
	known := make(map[kv.NodeID]bool, len(members))
	names := make(map[string]bool, len(members))
	for _, m := range members {
		if m.ID == 0 {
			f.add(ruleMemberID, "member %q", m.Name)
		} else if known[m.ID] {
			f.add(ruleSameID, "member %q: number %d", m.Name, m.ID)
		}
		if m.Name == "" {
			f.add(ruleNoName, "member %d", m.ID)
		} else if names[m.Name] {
			f.add(ruleSameName, "member %d: name %q", m.ID, m.Name)
		}
		if m.Weight > MaxWeight {
			f.add(ruleWeight, "member %d: weight %d", m.ID, m.Weight)
		}
		if generation, _ := kv.SplitID(m.Instance); generation > kv.MaxGeneration {
			f.add(ruleInstance, "member %d: instance %d", m.ID, m.Instance)
		}
		known[m.ID], names[m.Name] = true, true
	}
	delete(known, 0)
	return known
}

// validatePlacement checks one partition. A node that stands in two slots of it is
// refused whatever their phases: moves run side by side, so any combination of phases
// may come (TRAPS T9).
func validatePlacement(f *faults, p int, pl Placement, replicas int, known map[kv.NodeID]bool) {
	if generation, _ := kv.SplitID(pl.Version); pl.Version == 0 || generation > kv.MaxGeneration {
		f.add(rulePlacement, "partition %d: version %d", p, pl.Version)
	}
	if len(pl.Slots) != replicas {
		f.add(ruleSlotCount, "partition %d: %d slots, %d replicas", p, len(pl.Slots), replicas)
	}
	for j, slot := range pl.Slots {
		validateSlot(f, p, j, slot)
		for _, node := range [...]kv.NodeID{slot.Owner, slot.Next} {
			if node != 0 && !known[node] {
				f.add(ruleKnown, "partition %d, slot %d: node %d", p, j, node)
			}
			for _, earlier := range pl.Slots[:j] {
				if earlier.Has(node) {
					f.add(ruleDistinct, "partition %d, slot %d: node %d", p, j, node)
				}
			}
		}
	}
}

// validateSlot checks the invariant of kv.Slot.
func validateSlot(f *faults, p, j int, slot kv.Slot) {
	const place = "partition %d, slot %d"
	if slot.Owner == 0 {
		f.add(ruleOwner, place, p, j)
	} else if slot.Owner == slot.Next {
		f.add(ruleNextOwner, place, p, j)
	}
	switch slot.Phase {
	case kv.PhaseStable:
		if slot.Next != 0 {
			f.add(ruleNextStable, place, p, j)
		}
	case kv.PhaseWriteBothReadOld, kv.PhaseWriteBothReadNew:
		if slot.Next == 0 {
			f.add(ruleNextMoving, place, p, j)
		}
	default:
		f.add(rulePhase, place+": %v", p, j, slot.Phase)
	}
}
