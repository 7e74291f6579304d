// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"fmt"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// try is one attempt under way.
type try struct {
	client  *worldClient
	session *worldSession
	process int
	owner   bool
	slot    int
	name    string
	who     attempt
	fence   uint64
}

// name draws a lock. One that was used much gets another name, as in package workload.
func (w *lockWorld) name() (int, string) {
	const attempts, unsure = 60, 2
	i := w.rng.IntN(len(w.slots))
	s := &w.slots[i]
	if s.attempts >= attempts || s.unsure >= unsure {
		*s = lockSlot{generation: s.generation + 1}
	}
	s.attempts++
	return i, fmt.Sprintf("lock %d.%d", i, s.generation)
}

// attempt asks for a lock, and ends what it is granted in one way or another.
func (w *lockWorld) attempt(
	c *worldClient, s *worldSession, process int, owner bool, done func(),
) {
	s.attempts++
	slot, name := w.name()
	t := &try{
		client: c, session: s, process: process, owner: owner, slot: slot, name: name,
		who: attempt{s.name, s.attempts},
	}
	op := w.ask(history.Acquire, t)
	op.Lock.Shared = w.rng.IntN(3) == 0
	if w.rng.IntN(4) > 0 {
		op.Lock.Wait = 1 + w.rng.Int64N(40_000)
	}
	w.call(c, op, op.Lock.Wait+patience, func(reply func(groupReply)) {
		w.group.acquire(name, groupHolder{attempt: t.who, shared: op.Lock.Shared, reply: reply},
			op.Lock.Wait)
	}, func() {
		switch {
		case op.Outcome == history.Info:
			w.slots[slot].unsure++
			w.end(history.Cancel, t, done)
		case op.Granted():
			t.fence = op.Lock.Fence
			w.after(w.pause(), func() { w.finish(t, done) })
		default:
			done()
		}
	})
}

// finish ends a grant.
func (w *lockWorld) finish(t *try, done func()) {
	n := w.rng.IntN(40)
	switch {
	case n < 3 && t.owner && t.client.session == t.session:
		w.close(t.client, t.session, t.process, done)
	case n == 3 && t.owner && t.client.session == t.session:
		t.client.session = nil
		op := w.op(history.SessionLeave, t.process, t.session.name, t.session.name)
		op.Lock.Lost = t.session.lost(w.now)
		t.session.left = true
		op.Completed, op.Outcome, op.Lock.Renewed = w.now, history.OK, t.session.renewed
		w.ops = append(w.ops, *op)
		done()
	case n < 6:
		w.end(history.Cancel, t, done)
	case n == 6:
		w.end(history.ForceRelease, t, done)
	default:
		w.end(history.Release, t, done)
	}
}

// ask is an operation about the attempt's lock that begins now.
func (w *lockWorld) ask(k history.Kind, t *try) *history.Op {
	op := w.op(k, t.process, t.name, t.session.name)
	op.Lock.Lost = t.session.lost(w.now)
	if k != history.ForceRelease {
		op.Lock.Holder = t.who.holder
	}
	if k == history.Release || k == history.ForceRelease {
		op.Lock.Fence = t.fence
	}
	return op
}

// end sends what ends an attempt.
func (w *lockWorld) end(k history.Kind, t *try, done func()) {
	op := w.ask(k, t)
	op.Again = k == history.Release && w.rng.IntN(20) == 0
	serve := func(reply func(groupReply)) {
		if k == history.Cancel {
			reply(w.group.cancel(t.name, t.who))
			return
		}
		got := w.group.release(t.name, t.fence)
		if op.Again { // a second try answers
			got = w.group.release(t.name, t.fence)
		}
		reply(got)
	}
	w.call(t.client, op, patience, serve, func() {
		if op.Outcome == history.Info {
			w.slots[t.slot].unsure++
		}
		done()
	})
}
