// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/kv"
)

// ErrStep is returned, wrapped with the reason, for a step of a move whose conditions
// do not hold. Nothing has changed; it may hold later.
var ErrStep = errors.New("ring: step not allowed")

// Step is how far a move has come (TRAPS 5.4). Every step is stable for ever: no time
// and no failure leads from one to the next, only the group's decision (TRAPS T18).
type Step uint8

const (
	// StepPlanned: nothing has changed yet; the slot is stable on From. (P0.)
	StepPlanned Step = 1 + iota
	// StepFilling: writes need From and To, reads use From, To is being filled. (P1.)
	StepFilling
	// StepSwitched: writes need From and To, reads use To. (P2.)
	StepSwitched
	// StepAborting: as StepFilling, on the way back; To is to be fenced. (P1'.)
	StepAborting
	// StepDone: the slot is stable on To. (P3.)
	StepDone
	// StepAborted: the slot is stable on From again.
	StepAborted
)

func (s Step) String() string {
	switch s {
	case StepPlanned:
		return "planned"
	case StepFilling:
		return "filling"
	case StepSwitched:
		return "switched"
	case StepAborting:
		return "aborting"
	case StepDone:
		return "done"
	case StepAborted:
		return "aborted"
	default:
		return fmt.Sprintf("step(%d)", uint8(s))
	}
}

// Store names one opening of one life of a node's store. A copy that was complete in
// one opening is proof of nothing in the next (TRAPS T12).
type Store struct {
	Instance kv.Instance
	OpenSeq  uint64
}

// Progress is a move and what the group has recorded of it. It is a value: the methods
// return the one that follows.
type Progress struct {
	Move Move
	Step Step
	// Since is the placement version that the present step began at; 0 while planned.
	Since kv.PlacementVersion
	// FromInstance and ToInstance are the stores' lives that the move counts with. Begin
	// takes them from the ring.
	FromInstance, ToInstance kv.Instance
	// FromFence and ToFence are the highest fences that the two nodes have acknowledged:
	// durable, and with everything older drained.
	FromFence, ToFence kv.PlacementVersion
	// Synced is the store that the copy was complete in; zero while it is not.
	Synced Store
}

// Planned is the beginning of a move.
func Planned(m Move) Progress { return Progress{Move: m, Step: StepPlanned} }

// Begin is P0 to P1: from version v on, writes need both nodes, reads use From. The
// slot must be stable on From, and To must stand nowhere in the partition. from and to
// are the nodes' present instances. That To is registered and takes data, CheckPlan has
// checked; that what it holds of the partition is not older than the move follows from
// its new, empty prefix (TRAPS T11).
func (g Progress) Begin(
	p Placement, v kv.PlacementVersion, from, to kv.Instance,
) (Placement, Progress, error) {
	if g.Step != StepPlanned {
		return g.refuse(p, "it has begun: %v", g.Step)
	}
	if g.Move.To == 0 || g.Move.From == 0 {
		return g.refuse(p, "it does not lead from a node to a node")
	}
	for j, slot := range p.Slots {
		if slot.Has(g.Move.To) {
			return g.refuse(p, "node %d stands in slot %d already", g.Move.To, j)
		}
	}
	next := g
	next.Step, next.FromInstance, next.ToInstance = StepFilling, from, to
	return g.change(p, v, next, kv.Stable(g.Move.From), g.both(kv.PhaseWriteBothReadOld))
}

// Restart stays in P1 and begins it anew at version v, because To's store was replaced
// by the instance to. What the lost store had acknowledged of writes that are still
// under way must not count together with what From will: so From is fenced once more
// before the new copy.
//
// There is no such way where From's store was replaced before the copy was complete:
// what it had is then to be had from the other owners only. Abort, and refill it.
func (g Progress) Restart(
	p Placement, v kv.PlacementVersion, to kv.Instance,
) (Placement, Progress, error) {
	if g.Step != StepFilling {
		return g.refuse(p, "it restarts while filling only, not when %v", g.Step)
	}
	if to == g.ToInstance {
		return g.refuse(p, "node %d still has the instance %d that it began with", g.Move.To, to)
	}
	next := g
	next.ToInstance, next.Synced = to, Store{}
	both := g.both(kv.PhaseWriteBothReadOld)
	return g.change(p, v, next, both, both)
}

// MayCopy reports whether From may be copied to To. Only what From takes in after it
// has acknowledged the fence of P1 reaches To by itself (TRAPS T3, and I2 of 5.4).
func (g Progress) MayCopy() bool {
	return g.Step == StepFilling && g.FromFence >= g.Since
}

// Copied records that To holds all that From holds, durably and checked, in its store
// as it is open now. It is refused where the copy was not allowed to begin, and where
// either node lives another life than the one that the move counts with.
func (g Progress) Copied(from kv.Instance, to Store) (Progress, error) {
	switch {
	case !g.MayCopy():
		return g, g.fault("a copy counts only while filling, and if node %d acknowledged the "+
			"fence at version %d before", g.Move.From, g.Since)
	case from != g.FromInstance:
		return g, g.fault("instance %d of node %d is not the one to be copied, %d; abort", from,
			g.Move.From, g.FromInstance)
	case to.Instance != g.ToInstance:
		return g, g.fault("instance %d of node %d is not the one to be filled, %d; restart",
			to.Instance, g.Move.To, g.ToInstance)
	}
	g.Synced = to
	return g, nil
}

// ReadNew is P1 to P2: from version v on, reads use To. To's store must be the one that
// the copy was complete in, opened once and not again since.
func (g Progress) ReadNew(
	p Placement, v kv.PlacementVersion, to Store,
) (Placement, Progress, error) {
	switch {
	case g.Step != StepFilling:
		return g.refuse(p, "reads switch from filling only, not from %v", g.Step)
	case g.Synced == (Store{}):
		return g.refuse(p, "the copy is not complete")
	case g.Synced != to:
		return g.refuse(p, "node %d was opened or replaced since its copy was complete: %v, "+
			"not %v; copy again", g.Move.To, to, g.Synced)
	}
	return g.change(p, v, g.at(StepSwitched), g.both(kv.PhaseWriteBothReadOld),
		g.both(kv.PhaseWriteBothReadNew))
}

// Finish is P2 to P3: from version v on, the slot is To's alone. From must have
// acknowledged the fence of P2, so that no request of an older layout gets an answer
// from it any more (I4 of TRAPS 5.4).
func (g Progress) Finish(p Placement, v kv.PlacementVersion) (Placement, Progress, error) {
	if g.Step != StepSwitched {
		return g.refuse(p, "it finishes from switched only, not from %v", g.Step)
	}
	if g.FromFence < g.Since {
		return g.refuse(p, "node %d has not acknowledged the fence at version %d", g.Move.From,
			g.Since)
	}
	return g.change(p, v, g.at(StepDone), g.both(kv.PhaseWriteBothReadNew),
		kv.Stable(g.Move.To))
}

// Abort turns back, from P1 or P2 to P1': from version v on, reads use From, and writes
// still need both, because there may be readers at To that know no better (TRAPS T16).
func (g Progress) Abort(p Placement, v kv.PlacementVersion) (Placement, Progress, error) {
	now := g.both(kv.PhaseWriteBothReadOld)
	switch g.Step {
	case StepFilling:
	case StepSwitched:
		now.Phase = kv.PhaseWriteBothReadNew
	default:
		return g.refuse(p, "there is nothing to turn back: %v", g.Step)
	}
	return g.change(p, v, g.at(StepAborting), now, g.both(kv.PhaseWriteBothReadOld))
}

// Restore is P1' to P0: from version v on, the slot is From's alone again. To must have
// acknowledged the fence of P1'.
func (g Progress) Restore(p Placement, v kv.PlacementVersion) (Placement, Progress, error) {
	if g.Step != StepAborting {
		return g.refuse(p, "only an aborting move is restored, not one that is %v", g.Step)
	}
	if g.ToFence < g.Since {
		return g.refuse(p, "node %d has not acknowledged the fence at version %d", g.Move.To,
			g.Since)
	}
	return g.change(p, v, g.at(StepAborted), g.both(kv.PhaseWriteBothReadOld),
		kv.Stable(g.Move.From))
}

// FenceWanted returns the node whose acknowledgement the present step waits for, and
// the version to fence at; node 0 where none is wanted or it has come.
func (g Progress) FenceWanted() (kv.NodeID, kv.PlacementVersion) {
	switch g.Step {
	case StepFilling, StepSwitched:
		if g.FromFence < g.Since {
			return g.Move.From, g.Since
		}
	case StepAborting:
		if g.ToFence < g.Since {
			return g.Move.To, g.Since
		}
	}
	return 0, 0
}

// Fenced records that node has acknowledged the fence at version v. Nodes that do not
// take part, and fences below the recorded one, change nothing: a fence never falls.
func (g Progress) Fenced(node kv.NodeID, v kv.PlacementVersion) Progress {
	switch node {
	case g.Move.From:
		g.FromFence = max(g.FromFence, v)
	case g.Move.To:
		g.ToFence = max(g.ToFence, v)
	}
	return g
}

// both is the moving slot.
func (g Progress) both(phase kv.Phase) kv.Slot {
	return kv.Slot{Owner: g.Move.From, Next: g.Move.To, Phase: phase}
}

// at is the move one step further.
func (g Progress) at(step Step) Progress {
	g.Step = step
	return g
}

// change replaces the slot, which must be as the move left it, and raises the
// partition's version to v, from which on the move is at next.
func (g Progress) change(
	p Placement, v kv.PlacementVersion, next Progress, from, to kv.Slot,
) (Placement, Progress, error) {
	j := g.Move.Slot
	if j < 0 || j >= len(p.Slots) {
		return g.refuse(p, "the partition has %d slots", len(p.Slots))
	}
	if p.Slots[j] != from {
		return g.refuse(p, "the slot is %+v, not %+v", p.Slots[j], from)
	}
	if v <= p.Version {
		return g.refuse(p, "version %d is not above the partition's, %d", v, p.Version)
	}
	p.Slots = slices.Clone(p.Slots)
	p.Slots[j] = to
	p.Version = v
	next.Since = v
	return p, next, nil
}

// refuse leaves everything as it is and says why.
func (g Progress) refuse(p Placement, why string, args ...any) (Placement, Progress, error) {
	return p, g, g.fault(why, args...)
}

func (g Progress) fault(why string, args ...any) error {
	return fmt.Errorf("%w: move of partition %d, slot %d, from node %d to %d: %s", ErrStep,
		g.Move.Partition, g.Move.Slot, g.Move.From, g.Move.To, fmt.Sprintf(why, args...))
}
