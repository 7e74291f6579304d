// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// never is later than all that happens.
const never = math.MaxInt64

// lockSession is what is known of one session.
type lockSession struct {
	open   int32 // the operation that opened it
	ttl    int64
	alive  int64 // its client claims to have had it then
	renew  int64 // when the last acknowledged renewal had been sent, as far as is known
	close  int64 // from when on its client may have closed it
	over   int64 // by when it was over for certain
	overBy int32 // who was told so, or closed it; -1
	left   bool  // its client left it or closed it
}

// endsFrom is from when on the session may be over. Nothing ends it before its time to
// live has passed since the last renewal was sent, but its client.
func (s *lockSession) endsFrom() int64 {
	return min(s.close, max(s.alive, s.renew+s.ttl))
}

// attempt names what can hold a lock.
type attempt struct {
	session string
	holder  uint64
}

// grant is a lock that was given to an attempt, with the times between which it came about
// and between which it ended, as far as is known.
type grant struct {
	op       int32
	from, by int64 // of the grant
	endFrom  int64 // of its end
	endBy    int64
	ended    int32 // the operation that ended it for certain, and found it in place; -1
}

// lockRun is what the checkers of locks know of a history.
type lockRun struct {
	x        *index
	out      *Result
	sessions map[string]*lockSession
	grants   []grant // in order of their fences, which are all different
	of       map[attempt]int32
	byFence  map[uint64]int32
	// enders are the operations that may have ended a grant, by its place in grants.
	enders map[int32][]int32
	counts struct{ attempts, answered, refused, lost int }
}

// newLockRun also says why the locks of a history can not be judged.
func newLockRun(x *index, out *Result) (*lockRun, string) {
	r := &lockRun{
		x: x, out: out, sessions: make(map[string]*lockSession), of: make(map[attempt]int32),
		byFence: make(map[uint64]int32), enders: make(map[int32][]int32),
	}
	if why := r.readSessions(); why != "" {
		return nil, why
	}
	if why := r.readGrants(); why != "" {
		return nil, why
	}
	r.readEnds()
	return r, ""
}

// readSessions learns when sessions may have been over, and when they were.
func (r *lockRun) readSessions() string {
	ops := r.x.h.Ops
	for i := range ops {
		if op := &ops[i]; op.Kind == history.SessionOpen {
			if r.sessions[op.Key] != nil {
				return fmt.Sprintf("session %s is opened twice, the second time by %s", op.Key, op)
			}
			r.sessions[op.Key] = &lockSession{
				open: int32(i), ttl: op.TTL, renew: op.Invoked, close: never, over: never, overBy: -1,
			}
		}
	}
	for i := range ops {
		op := &ops[i]
		if !op.Kind.Locks() || op.Lock.Session == "" {
			continue
		}
		s := r.sessions[op.Lock.Session]
		if s == nil {
			return "nobody opened the session of " + op.String()
		}
		r.readSession(int32(i), op, s)
	}
	return ""
}

func (r *lockRun) readSession(i int32, op *history.Op, s *lockSession) {
	if !op.Lock.Lost && op.Kind != history.SessionOpen {
		s.alive = max(s.alive, op.Invoked)
	}
	s.renew = max(s.renew, op.Lock.Renewed)
	closed := op.Kind == history.SessionClose && op.Outcome != history.Fail
	s.left = s.left || closed || op.Kind == history.SessionLeave
	if closed {
		s.close = min(s.close, op.Invoked)
	}
	if (closed && op.Outcome == history.OK || op.Lock.Expired) && op.Completed < s.over {
		s.over, s.overBy = op.Completed, i
	}
	if op.Kind == history.SessionLost {
		r.counts.lost++
	}
}

// readGrants puts the grants in order, and breaks rule equal-fences where two have one fence.
func (r *lockRun) readGrants() string {
	ops := r.x.h.Ops
	tried := make(map[attempt]int32)
	for i := range ops {
		op := &ops[i]
		if op.Kind != history.Acquire {
			continue
		}
		r.counts.attempts++
		if op.Outcome == history.OK {
			r.counts.answered++
		}
		if op.Refused() {
			r.counts.refused++
		}
		who := attempt{op.Lock.Session, op.Lock.Holder}
		if other, twice := tried[who]; twice {
			return fmt.Sprintf("two attempts have one number: %s; %s", &ops[other], op)
		}
		tried[who] = int32(i)
		if op.Granted() {
			r.grants = append(r.grants, grant{op: int32(i), from: op.Invoked, by: op.Completed})
		}
	}
	slices.SortStableFunc(r.grants, func(a, b grant) int {
		return cmp.Compare(ops[a.op].Lock.Fence, ops[b.op].Lock.Fence)
	})
	kept := r.grants[:0]
	for _, g := range r.grants {
		if n := len(kept); n > 0 && ops[kept[n-1].op].Lock.Fence == ops[g.op].Lock.Fence {
			r.x.violate(r.out, "equal-fences", ops[g.op].Key, path(kept[n-1].op, g.op),
				"two grants have the fence %d", ops[g.op].Lock.Fence)
			continue
		}
		kept = append(kept, g)
	}
	r.grants = kept
	for i := range r.grants {
		op := r.op(&r.grants[i])
		r.of[attempt{op.Lock.Session, op.Lock.Holder}] = int32(i)
		r.byFence[op.Lock.Fence] = int32(i)
	}
	return ""
}

func (r *lockRun) op(g *grant) *history.Op { return &r.x.h.Ops[g.op] }

func (r *lockRun) session(op *history.Op) *lockSession { return r.sessions[op.Lock.Session] }

// target is the grant that an operation may end, -1 where there is none.
func (r *lockRun) target(op *history.Op) int32 {
	at, ok := int32(-1), false
	switch op.Kind {
	case history.Release, history.Cancel:
		at, ok = r.of[attempt{op.Lock.Session, op.Lock.Holder}]
	case history.ForceRelease:
		at, ok = r.byFence[op.Lock.Fence]
	}
	if !ok {
		return -1
	}
	held := r.op(&r.grants[at])
	other := held.Key != op.Key
	if other || op.Kind != history.Cancel && held.Lock.Fence != op.Lock.Fence {
		return -1
	}
	return at
}

// readEnds learns when grants ended: first from their sessions, then from what ended them.
func (r *lockRun) readEnds() {
	for i := range r.grants {
		g := &r.grants[i]
		s := r.session(r.op(g))
		g.ended, g.endFrom, g.endBy = -1, s.endsFrom(), s.over
	}
	ops := r.x.h.Ops
	for i := range ops {
		op := &ops[i]
		ends := op.Kind == history.Release || op.Kind == history.Cancel ||
			op.Kind == history.ForceRelease
		if !ends || op.Outcome == history.Fail {
			continue
		}
		at := r.target(op)
		if at < 0 {
			if op.Lock.Released {
				r.x.violate(r.out, "released-nothing", op.Key, path(int32(i)),
					"a release found a grant that nobody was told of")
			}
			continue
		}
		r.enders[at] = append(r.enders[at], int32(i))
		r.end(&r.grants[at], int32(i), op)
	}
	for i := range r.grants {
		if g := &r.grants[i]; g.ended >= 0 { // it was in place until then
			g.endFrom = ops[g.ended].Invoked
		}
	}
}

// end takes in one operation that may have ended a grant.
func (r *lockRun) end(g *grant, i int32, op *history.Op) {
	switch {
	case op.Lock.Released && g.ended >= 0:
		r.x.violate(r.out, "released-twice", op.Key, path(g.op, g.ended, i),
			"the grant with fence %d was ended twice", r.op(g).Lock.Fence)
	case op.Lock.Released:
		g.ended = i
		g.endBy = min(g.endBy, op.Completed)
	case op.Outcome == history.Info || op.Again:
		g.endFrom = min(g.endFrom, op.Invoked)
		if op.Outcome == history.OK {
			g.endBy = min(g.endBy, op.Completed)
		}
	case op.Kind == history.Cancel:
		g.endFrom, g.endBy = min(g.endFrom, op.Invoked), min(g.endBy, op.Completed)
	default: // it found no such grant any more: something else had ended it
		g.endBy = min(g.endBy, op.Completed)
	}
}
