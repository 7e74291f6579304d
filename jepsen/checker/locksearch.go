// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// lockSearch is one lock's operations on their way into the search.
type lockSearch struct {
	run     *lockRun
	steps   []porcupine.Operation
	holders map[attempt]uint16
	fences  map[uint64]uint16 // whose grant it is
	late    map[uint16]bool   // whose attempt has an unknown outcome
	// unsure are the holders of which something may come at any time.
	unsure map[uint16]bool
}

// checkOrder searches for each lock an order of its operations in which a lock with fences
// would have answered as this one did. It finds what the rules do not look for, such as an
// attempt that was refused while nobody could have the lock. The time that a search takes
// is bounded by the size of a lock's history; beyond it, or where it takes too long all the
// same, the verdict is Unknown.
func (r *lockRun) checkOrder() *Result {
	out := &Result{Checker: "lock-order", Verdict: Valid}
	until := time.Now().Add(r.x.cfg.LockTimeout)
	model := lockModel()
	next := r.nextGrants()
	locks, largest, most := 0, 0, 0
	for i := range r.x.keys {
		key := &r.x.keys[i]
		if key.family != lockNames {
			continue
		}
		if len(key.ops) > r.x.cfg.MaxLockOps { // holders are numbered with two bytes
			out.unsure("lock %s has %d operations, more than %d", key.name, len(key.ops),
				r.x.cfg.MaxLockOps)
			continue
		}
		s := r.searchOf(key, next)
		locks, largest, most = locks+1, max(largest, len(s.steps)), max(most, len(s.unsure))
		if len(s.steps) > r.x.cfg.MaxLockOps || len(s.unsure) > r.x.cfg.MaxLockUnsure {
			out.unsure("lock %s has %d operations, and %d holders of unknown outcome: more than "+
				"%d or %d", key.name, len(s.steps), len(s.unsure), r.x.cfg.MaxLockOps,
				r.x.cfg.MaxLockUnsure)
			continue
		}
		left := max(time.Until(until), time.Millisecond)
		switch porcupine.CheckOperationsTimeout(model, s.steps, left) {
		case porcupine.Illegal:
			r.x.violate(out, "no-order", key.name, s.path(model, left),
				"its operations have no order in which a lock answers like this; an order of "+
					"as many as possible ends before the one told here")
		case porcupine.Unknown:
			out.unsure("the search for an order of lock %s took more than what was left of %v",
				key.name, r.x.cfg.LockTimeout)
		}
	}
	out.stat("locks", float64(locks))
	out.stat("largest", float64(largest))
	out.stat("most-unsure", float64(most))
	return out
}

// nextGrants is for each grant by when the next one that can not stand beside it was made:
// by then it had ended.
func (r *lockRun) nextGrants() []int64 {
	type after struct{ any, exclusive int64 }
	later := make(map[string]after)
	next := make([]int64, len(r.grants))
	for i := len(r.grants) - 1; i >= 0; i-- {
		g, op := &r.grants[i], r.op(&r.grants[i])
		a, known := later[op.Key]
		if !known {
			a = after{never, never}
		}
		next[i] = a.any
		if op.Lock.Shared {
			next[i] = a.exclusive
		}
		a.any = min(a.any, g.by)
		if !op.Lock.Shared {
			a.exclusive = min(a.exclusive, g.by)
		}
		later[op.Key] = a
	}
	return next
}

func (r *lockRun) searchOf(key *keyOps, next []int64) *lockSearch {
	s := &lockSearch{
		run: r, holders: make(map[attempt]uint16), fences: make(map[uint64]uint16),
		late: make(map[uint16]bool), unsure: make(map[uint16]bool),
	}
	cancelled := make(map[attempt]int64)
	for _, i := range key.ops {
		op := &r.x.h.Ops[i]
		who := attempt{op.Lock.Session, op.Lock.Holder}
		if op.Kind == history.Acquire {
			s.holders[who] = uint16(len(s.holders) + 1)
			s.late[s.holders[who]] = op.Outcome == history.Info
		}
		if op.Granted() {
			s.fences[op.Lock.Fence] = s.holders[who]
		}
		if op.Kind == history.Cancel && op.Outcome == history.OK {
			cancelled[who] = op.Completed
		}
	}
	for _, i := range key.ops {
		op := &r.x.h.Ops[i]
		if op.Outcome == history.Fail {
			continue
		}
		if op.Kind == history.Acquire {
			s.acquire(i, op, cancelled, next)
		} else {
			s.end(i, op, next)
		}
	}
	return s
}

// acquire adds an attempt, and the end of its session where that may end what it holds.
func (s *lockSearch) acquire(
	i int32, op *history.Op, cancelled map[attempt]int64, next []int64,
) {
	r, who := s.run, attempt{op.Lock.Session, op.Lock.Holder}
	session := r.session(op)
	step := lockStep{
		kind: history.Acquire, holder: s.holders[who], shared: op.Lock.Shared,
		fence: op.Lock.Fence, refused: op.Refused(), sure: op.Outcome == history.OK,
	}
	by := op.Completed
	if op.Outcome == history.Info {
		by = session.over
		if at, ok := cancelled[who]; ok {
			by = min(by, at)
		}
	}
	s.add(i, &step, op.Invoked, by)
	if op.Refused() {
		return
	}
	until := session.over
	if at, ok := cancelled[who]; ok {
		until = min(until, at)
	}
	if at, ok := r.of[who]; ok && op.Granted() {
		if r.grants[at].ended >= 0 {
			return // not by its session
		}
		until = min(until, next[at], r.grants[at].endBy)
	}
	over := lockStep{
		kind: history.SessionClose, holder: s.holders[who], late: s.late[s.holders[who]],
	}
	s.add(i, &over, session.endsFrom(), until)
}

// end adds what may have ended a grant.
func (s *lockSearch) end(i int32, op *history.Op, next []int64) {
	step := lockStep{
		kind: op.Kind, holder: s.holders[attempt{op.Lock.Session, op.Lock.Holder}],
		released: op.Lock.Released, sure: op.Outcome == history.OK, again: op.Again,
	}
	step.late = op.Kind == history.Cancel && s.late[step.holder]
	if op.Kind == history.ForceRelease {
		step.holder = s.fences[op.Lock.Fence] // 0, who never has it, where nobody was told
	}
	by := op.Completed
	if op.Outcome == history.Info {
		by = s.run.sessionOver(op)
		if at := s.run.target(op); at >= 0 {
			by = min(by, next[at])
		}
	}
	s.add(i, &step, op.Invoked, by)
}

// sessionOver is by when a late request changes nothing any more, because the session that
// it names is over.
func (r *lockRun) sessionOver(op *history.Op) int64 {
	if op.Kind == history.ForceRelease {
		return never
	}
	return r.session(op).over
}

// add takes a step. One that is over before it begins changes nothing: what it would have
// ended has ended without it.
func (s *lockSearch) add(i int32, step *lockStep, from, by int64) {
	if by < from {
		return
	}
	if by == never {
		s.unsure[step.holder] = true
	}
	s.steps = append(s.steps, porcupine.Operation{
		ClientId: len(s.steps), Input: step, Call: from, Return: by, Metadata: i,
	})
}

// path is the operation at which the search is stuck: of those that have no place in the
// longest order, the one that ends first.
func (s *lockSearch) path(model porcupine.Model, left time.Duration) func() []int32 {
	return func() []int32 {
		_, info := porcupine.CheckOperationsVerbose(model, s.steps, left)
		var longest []porcupine.Operation
		for _, orders := range info.PartialLinearizationsOperations() {
			for _, order := range orders {
				if len(order) > len(longest) {
					longest = order
				}
			}
		}
		placed := make(map[int]bool)
		var last []int32
		for _, o := range longest {
			placed[o.ClientId] = true
			last = append(last, o.Metadata.(int32))
		}
		var stuck *porcupine.Operation
		for i := range s.steps {
			if o := &s.steps[i]; !placed[o.ClientId] && (stuck == nil || o.Return < stuck.Return) {
				stuck = o
			}
		}
		const told = 4 // the end of the order says how it came to that
		last = slices.Clone(last[max(0, len(last)-told):])
		if stuck != nil {
			last = append(last, stuck.Metadata.(int32))
		}
		return last
	}
}
