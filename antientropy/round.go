// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/kv"
)

// Phase is how far a round has come.
type Phase uint8

const (
	// PhaseConfirm: every owner says which candidates it holds exactly so, durably, and
	// records the round.
	PhaseConfirm Phase = 1 + iota
	// PhaseCommit: the group commits the epoch.
	PhaseCommit
	// PhaseDrain: every registered node adopts the epoch and delivers what is older, while
	// the owners still hold the tombstones.
	PhaseDrain
	// PhasePurge: every owner raises its floor, and deletes what it still holds exactly so.
	PhasePurge
	// PhaseEnded: nothing is left to do.
	PhaseEnded
)

func (p Phase) String() string {
	switch p {
	case PhaseConfirm:
		return "confirm"
	case PhaseCommit:
		return "commit"
	case PhaseDrain:
		return "drain"
	case PhasePurge:
		return "purge"
	case PhaseEnded:
		return "ended"
	default:
		return fmt.Sprintf("phase(%d)", uint8(p))
	}
}

// Leading is a round at the owner that leads it. It is nowhere durable: a round whose leader
// stops has ended where it was. Nothing is lost by that, at any point; the next round does
// the whole work again.
type Leading struct {
	round  Round
	phase  Phase
	owners []kv.NodeID
	// candidates are what the round was begun over; gone[i]: not all owners hold the i-th.
	candidates []Item
	gone       []bool
	// done are those that have taken the present phase's step, in order.
	done []kv.NodeID
}

// Lead begins a round over candidates, whose partition has these owners.
func Lead(round Round, owners []kv.NodeID, candidates []Item) *Leading {
	l := &Leading{
		round: round, phase: PhaseConfirm, owners: inOrder(owners), candidates: candidates,
		gone: make([]bool, len(candidates)),
	}
	if len(candidates) == 0 || len(owners) == 0 {
		l.phase = PhaseEnded
	}
	return l
}

// Round is the round's name.
func (l *Leading) Round() Round { return l.round }

// Phase is how far the round has come.
func (l *Leading) Phase() Phase { return l.phase }

// Candidates are what the owners are asked to confirm. They must not be changed.
func (l *Leading) Candidates() []Item { return l.candidates }

// Items are those of the candidates that all owners which answered hold.
func (l *Leading) Items() []Item {
	var items []Item
	for i, gone := range l.gone {
		if !gone {
			items = append(items, l.candidates[i])
		}
	}
	return items
}

// Ask returns who has to take the present phase's step yet, in order. registered are the
// members of the cluster now: whoever registers meanwhile has to drain too.
func (l *Leading) Ask(registered []kv.NodeID) []kv.NodeID {
	var all []kv.NodeID
	switch l.phase {
	case PhaseConfirm, PhasePurge:
		all = slices.Clone(l.owners)
	case PhaseDrain:
		all = inOrder(append(slices.Clone(l.owners), registered...))
	}
	return slices.DeleteFunc(all, func(node kv.NodeID) bool {
		_, done := slices.BinarySearch(l.done, node)
		return done
	})
}

// Confirmed takes in that an owner has recorded the round, and which of the candidates it
// holds. What one of them does not hold is left to a later round (G2).
func (l *Leading) Confirmed(node kv.NodeID, holds []bool) {
	if l.phase != PhaseConfirm || len(holds) != len(l.candidates) {
		return
	}
	left := false
	for i, held := range holds {
		l.gone[i] = l.gone[i] || !held
		left = left || !l.gone[i]
	}
	l.take(node)
	switch {
	case !left:
		l.next(PhaseEnded) // before it has raised an epoch
	case len(l.Ask(nil)) == 0:
		l.next(PhaseCommit)
	}
}

// Committed takes in that the group has committed the epoch.
func (l *Leading) Committed() {
	if l.phase == PhaseCommit {
		l.next(PhaseDrain)
	}
}

// Drained takes in that a node has adopted the epoch and delivered what is older.
func (l *Leading) Drained(node kv.NodeID) {
	if l.phase == PhaseDrain {
		l.take(node)
	}
}

// Barrier goes on to the purge if everybody has drained who is registered (G3). The list
// must be newer than the last of their answers.
func (l *Leading) Barrier(registered []kv.NodeID) {
	if l.phase == PhaseDrain && len(l.Ask(registered)) == 0 {
		l.next(PhasePurge)
	}
}

// Purged takes in that an owner has deleted what it held of the items.
func (l *Leading) Purged(node kv.NodeID) {
	if l.phase != PhasePurge {
		return
	}
	if l.take(node); len(l.Ask(nil)) == 0 {
		l.next(PhaseEnded)
	}
}

// take notes that a node has taken the present phase's step.
func (l *Leading) take(node kv.NodeID) {
	if at, found := slices.BinarySearch(l.done, node); !found {
		l.done = slices.Insert(l.done, at, node)
	}
}

func (l *Leading) next(phase Phase) { l.phase, l.done = phase, nil }

func inOrder(nodes []kv.NodeID) []kv.NodeID {
	nodes = slices.Clone(nodes)
	slices.Sort(nodes)
	return slices.Compact(nodes)
}
