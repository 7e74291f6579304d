// SPDX-License-Identifier: Apache-2.0

package checker

import "github.com/dyno-kv/dyno/jepsen/history"

// checkLocks judges locks by rules of their own, and then each of them by a search for an
// order of its operations.
func checkLocks(x *index) []*Result {
	out := &Result{Checker: "locks", Verdict: Valid}
	r, why := newLockRun(x, out)
	if why != "" {
		out.unsure("%s", why)
		return []*Result{out}
	}
	r.order()
	r.losses()
	r.claims()
	out.stat("grants", float64(len(r.grants)))
	out.stat("refused", float64(r.counts.refused))
	out.stat("answered-rate", rate(r.counts.answered, r.counts.attempts))
	out.stat("sessions", float64(len(r.sessions)))
	out.stat("sessions-lost", float64(r.counts.lost))
	if len(r.grants) < x.cfg.MinGrants {
		out.unsure("%d grants, fewer than %d", len(r.grants), x.cfg.MinGrants)
	}
	return []*Result{out, r.checkOrder()}
}

// hold is the latest time from which on some earlier grants of a lock may be over, and the
// grant that it is of.
type hold struct {
	from int64
	of   int32 // -1: none
}

func (h *hold) add(from int64, of int32) {
	if h.of < 0 || from > h.from {
		*h = hold{from, of}
	}
}

// held is what was granted of one lock so far.
type held struct{ any, exclusive hold }

// order goes through all grants in the order of their fences, which is that in which the
// group made them: each comes after the one before, after what it can not stand beside may
// have ended, and before its session is over.
func (r *lockRun) order() {
	names := make(map[string]*held)
	last := hold{of: -1}
	for i := range r.grants {
		g, op := &r.grants[i], r.op(&r.grants[i])
		name := names[op.Key]
		if name == nil {
			name = &held{any: hold{of: -1}, exclusive: hold{of: -1}}
			names[op.Key] = name
		}
		conflict := name.any
		if op.Lock.Shared {
			conflict = name.exclusive
		}
		r.place(g, last, conflict)
		g.endFrom = max(g.endFrom, g.from)
		last.add(g.from, int32(i))
		name.any.add(g.endFrom, int32(i))
		if !op.Lock.Shared {
			name.exclusive.add(g.endFrom, int32(i))
		}
	}
}

// place bounds the time of a grant by what must be before it, and breaks a rule where that
// leaves no time. A grant for which there is none does not push others.
func (r *lockRun) place(g *grant, last, conflict hold) {
	op, s := r.op(g), r.session(r.op(g))
	fence := op.Lock.Fence
	switch {
	case last.of >= 0 && last.from > op.Completed:
		late := &r.grants[last.of]
		r.x.violate(r.out, "fence-order", op.Key, path(g.op, late.op),
			"fence %d was granted before fence %d, which is lower, could be",
			fence, r.op(late).Lock.Fence)
	case conflict.of >= 0 && conflict.from > op.Completed:
		other := &r.grants[conflict.of]
		r.x.violate(r.out, "two-holders", op.Key, path(append([]int32{other.op, g.op},
			r.enders[conflict.of]...)...),
			"fence %d was granted by %s, and what was granted with fence %d can not have ended "+
				"before %s", fence, history.Clock(op.Completed), r.op(other).Lock.Fence,
			history.Clock(conflict.from))
	case max(op.Invoked, last.from, conflict.from) > s.over:
		r.x.violate(r.out, "dead-session", op.Key, path(s.open, s.overBy, g.op),
			"fence %d was granted to session %s, which was over by %s",
			fence, op.Lock.Session, history.Clock(s.over))
	}
	g.by = min(op.Completed, s.over)
	g.from = min(max(op.Invoked, last.from, conflict.from), g.by)
}

// losses looks for clients that were told of the loss of what nothing may have taken from
// them.
func (r *lockRun) losses() {
	ops := r.x.h.Ops
	for i := range ops {
		op := &ops[i]
		if op.Kind == history.SessionLost && r.x.cfg.KeepSessions {
			r.x.violate(r.out, "session-lost", op.Key, path(r.session(op).open, int32(i)),
				"session %s was lost, and none may be in this run", op.Key)
		}
		if op.Lock.Expired {
			s := r.session(op)
			if s.endsFrom() > op.Completed {
				r.x.violate(r.out, "session-gone", op.Key, path(s.open, int32(i)),
					"session %s was over, and can not have ended before %s",
					op.Lock.Session, history.Clock(s.endsFrom()))
			}
		}
	}
	for i := range r.grants {
		g := &r.grants[i]
		if g.ended < 0 && g.endFrom > g.endBy {
			r.x.violate(r.out, "lock-gone", r.op(g).Key, path(append([]int32{g.op},
				r.enders[int32(i)]...)...),
				"what was granted with fence %d was over by %s, and can not have ended before %s",
				r.op(g).Lock.Fence, history.Clock(g.endBy), history.Clock(g.endFrom))
		}
	}
}

// claims looks for clients that told of a loss too late: when the session may have been
// over already.
func (r *lockRun) claims() {
	ops := r.x.h.Ops
	for i := range ops {
		op := &ops[i]
		if !op.Kind.Locks() || op.Lock.Session == "" || op.Lock.Lost ||
			op.Kind == history.SessionOpen {
			continue
		}
		s := r.session(op)
		if known := ops[s.open].Invoked; s.renew > known && op.Invoked > s.renew+s.ttl {
			r.x.violate(r.out, "late-loss", op.Key, path(s.open, int32(i)),
				"the client of session %s has not told of its loss by %s, and may have lost it at %s",
				op.Lock.Session, history.Clock(op.Invoked), history.Clock(s.renew+s.ttl))
		}
	}
}
