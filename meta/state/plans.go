// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/ring"
)

const (
	// MaxPlans bounds the stored plans: more than anybody looks through.
	MaxPlans = 64
	// MaxPlanMoves bounds the moves of one plan, so that its command stays below
	// MaxCommand. Larger changes are several plans.
	MaxPlanMoves = 16_384
	// MaxMoves bounds the moves of all stored plans: at about 60 bytes each, 4 MiB of a
	// snapshot.
	MaxMoves = 65_536
)

// Plan is a stored plan and how far its moves have come.
type Plan struct {
	// ID is issued by the group, with its generation; 0 names no plan.
	ID uint64
	// Request is that of the command which proposed it, Index that of its entry.
	Request kv.RequestID
	Index   uint64
	// Moves are in the order in which they were proposed.
	Moves []ring.Progress
}

func (p Plan) clone() Plan {
	p.Moves = slices.Clone(p.Moves)
	return p
}

func (c ProposePlan) apply(s *State, at locks.At) Result { return s.once(c.Request, c, at.Index) }

func (c ProposePlan) carryOut(s *State, index uint64) (Result, uint64) {
	if !s.Formed() {
		return refuse(CodeNotReady, "there is no ring yet"), 0
	}
	id, err := kv.MakeID[uint64](s.generation, s.issued.plan+1)
	if err != nil {
		return refuse(CodeExhausted, "no plan number is left: %v", err), 0
	}
	if r := c.check(s, id); r.Code != CodeOK {
		return r, 0
	}
	s.issued.plan++
	p := Plan{ID: id, Request: c.Request, Index: index, Moves: make([]ring.Progress, len(c.Moves))}
	for i, m := range c.Moves {
		p.Moves[i] = ring.Planned(m)
	}
	s.plans = append(s.plans, p)
	return c.again(s, id), id
}

func (c ProposePlan) again(_ *State, id uint64) Result { return Result{Code: CodeOK, Plan: id} }

// check says why the plan may not be stored.
func (c ProposePlan) check(s *State, id uint64) Result {
	stored := len(c.Moves)
	taken := make(map[uint16]uint64)
	for _, p := range s.plans {
		stored += len(p.Moves)
		for _, m := range p.Moves {
			taken[m.Move.Partition] = p.ID
		}
	}
	switch {
	case len(c.Moves) > MaxPlanMoves:
		return refuse(CodeInvalid, "%d moves; a plan has at most %d: make several", len(c.Moves),
			MaxPlanMoves)
	case len(s.plans) == MaxPlans:
		return refuse(CodeExhausted, "%d plans are stored; abort those that are not wanted",
			MaxPlans)
	case stored > MaxMoves:
		return refuse(CodeExhausted, "the stored plans would have %d moves, at most %d; wait, or "+
			"abort some", stored, MaxMoves)
	}
	for _, m := range c.Moves {
		if other, ok := taken[m.Partition]; ok {
			return refuse(CodeRefused, "plan %d moves slots of partition %d already; wait, or "+
				"abort it", other, m.Partition)
		}
	}
	r, err := s.ring()
	if err != nil {
		return refuse(CodeRefused, "%v", err)
	}
	if err := ring.CheckPlan(r, ring.Plan{ID: id, Moves: c.Moves}); err != nil {
		return refuse(CodeRefused, "%v", err)
	}
	return Result{Code: CodeOK}
}

func (c AbortPlan) apply(s *State, _ locks.At) Result {
	i := slices.IndexFunc(s.plans, func(p Plan) bool { return p.ID == c.Plan })
	if i >= 0 {
		s.plans = slices.Delete(s.plans, i, i+1)
		return Result{Code: CodeOK, Plan: c.Plan}
	}
	generation, counter := kv.SplitID(c.Plan)
	if counter == 0 || generation > s.generation ||
		generation == s.generation && counter > s.issued.plan {
		return refuse(CodeNotFound, "there was never a plan %d", c.Plan)
	}
	return Result{Code: CodeOK, Plan: c.Plan}
}

const notYet = "plans are stored in this version, not carried out"

func (c CommitPlan) apply(*State, locks.At) Result { return refuse(CodeNotSupported, notYet) }
func (c MoveStep) apply(*State, locks.At) Result   { return refuse(CodeNotSupported, notYet) }
