// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// LockShape says what histories [GenerateLocks] makes.
type LockShape struct {
	Attempts int
	Locks    int // at a time
	Clients  int // each with a session
	Holders  int // of each client
}

// DefaultLockShape is small, and has conflicts.
func DefaultLockShape() LockShape {
	return LockShape{Attempts: 250, Locks: 3, Clients: 4, Holders: 2}
}

func (s LockShape) check() error {
	if min(s.Attempts, s.Locks, s.Clients, s.Holders) < 1 {
		return errors.New("checker: a shape needs attempts, locks, clients and holders")
	}
	return nil
}

// GenerateLocks makes a valid history of locks from a model: a group that answers one
// request after the other, clients whose requests and answers are late or lost, sessions
// that are closed, left, or lost because a client is cut off for a while.
func GenerateLocks(rng *rand.Rand, shape LockShape) (*history.History, error) {
	if err := shape.check(); err != nil {
		return nil, err
	}
	w := &lockWorld{rng: rng, shape: shape, left: shape.Attempts, slots: make([]lockSlot, shape.Locks)}
	w.group = newLockGroup(&w.timeline)
	for c := range shape.Clients {
		client := &worldClient{id: c}
		for p := range shape.Holders {
			process := c*shape.Holders + p
			w.after(w.pause(), func() { w.start(client, process, p == 0) })
		}
	}
	for w.step() {
	}
	return &history.History{
		Header: history.Header{Version: history.Version, N: 3, Mode: "model"}, Ops: w.ops,
	}, nil
}

// lockWorld is a group with its clients.
type lockWorld struct {
	rng   *rand.Rand
	shape LockShape
	timeline
	group *lockGroup
	slots []lockSlot
	left  int
	ops   []history.Op
}

// lockSlot is a lock that changes its name when it has been used enough.
type lockSlot struct{ generation, attempts, unsure int }

type worldClient struct {
	id, sessions int
	cutUntil     int64
	session      *worldSession
}

// worldSession is a session as its client knows it.
type worldSession struct {
	name     string
	ttl      int64
	renewed  int64
	attempts uint64
	left     bool
}

// lost reports whether the client tells of its session's loss.
func (s *worldSession) lost(now int64) bool { return s.left || now >= s.renewed+s.ttl-s.ttl/8 }

func (w *lockWorld) hop() int64 { return w.rng.Int64N(2_000) }

func (w *lockWorld) pause() int64 { return w.rng.Int64N(8_000) }

func (w *lockWorld) op(k history.Kind, process int, key, session string) *history.Op {
	return &history.Op{
		Process: process, Kind: k, Key: key, Invoked: w.now, Lock: history.Lock{Session: session},
	}
}

// call sends a request and records what becomes of it: it may be lost, come late, or be
// refused at once, and so may its answer.
func (w *lockWorld) call(
	c *worldClient, op *history.Op, patience int64, serve func(func(groupReply)), done func(),
) {
	ended := false
	end := func(r groupReply) {
		if ended {
			return
		}
		ended = true
		op.Completed, op.Outcome = w.now, r.outcome
		op.Lock.Released, op.Lock.Expired = r.released, r.expired
		if op.Kind == history.Acquire {
			op.Lock.Fence = r.fence
		}
		w.ops = append(w.ops, *op)
		done()
	}
	luck, cut := w.rng.IntN(200), w.now < c.cutUntil
	if luck < 3 {
		w.after(w.hop(), func() { end(groupReply{outcome: history.Fail}) }) // no leader
		return
	}
	w.after(patience, func() { end(groupReply{outcome: history.Info}) })
	back := w.hop()
	if luck < 5 || cut && luck < 100 {
		back = never / 4 // the answer is lost
	}
	there := w.hop()
	switch {
	case luck >= 5 && luck < 8 || cut && luck >= 160:
		return // lost
	case luck < 10 || cut:
		there = w.rng.Int64N(60_000) // late
	}
	w.after(there, func() {
		serve(func(r groupReply) {
			if back < never/4 {
				w.after(back, func() { end(r) })
			}
		})
	})
}

// patience is how long a client waits for an answer that comes at once.
const patience = 12_000

func (w *lockWorld) start(c *worldClient, process int, owner bool) {
	again := func() { w.after(w.pause(), func() { w.start(c, process, owner) }) }
	if w.rng.IntN(150) == 0 {
		c.cutUntil = w.now + w.rng.Int64N(80_000)
	}
	s := c.session
	switch {
	case w.left == 0 && owner && s != nil:
		w.close(c, s, process, func() {})
	case w.left == 0:
	case s != nil && !s.lost(w.now):
		w.left--
		w.attempt(c, s, process, owner, again)
	case owner && s != nil:
		c.session = nil
		op := w.op(history.SessionLost, process, s.name, s.name)
		op.Completed, op.Outcome, op.Lock.Lost, op.Lock.Renewed = w.now, history.OK, true, s.renewed
		w.ops = append(w.ops, *op)
		again()
	case owner:
		w.open(c, process, again)
	default:
		again()
	}
}

func (w *lockWorld) open(c *worldClient, process int, done func()) {
	c.sessions++
	s := &worldSession{
		name: fmt.Sprintf("%d.%d", c.id, c.sessions), ttl: 40_000 + w.rng.Int64N(60_000),
		renewed: w.now,
	}
	op := w.op(history.SessionOpen, process, s.name, s.name)
	op.TTL = s.ttl
	w.call(c, op, patience, func(reply func(groupReply)) {
		w.group.open(s.name, s.ttl)
		reply(groupReply{outcome: history.OK})
	}, func() {
		if op.Outcome == history.OK {
			c.session = s
			w.renew(c, s)
		}
		done()
	})
}

// renew sends a renewal, and the next one after it.
func (w *lockWorld) renew(c *worldClient, s *worldSession) {
	if s.lost(w.now) {
		return
	}
	sent := w.now
	if w.now >= c.cutUntil && w.rng.IntN(10) > 0 {
		w.after(w.hop(), func() {
			if w.group.renew(s.name) {
				w.after(w.hop(), func() {
					if !s.lost(w.now) {
						s.renewed = max(s.renewed, sent)
					}
				})
			}
		})
	}
	w.after(s.ttl/4, func() { w.renew(c, s) })
}

func (w *lockWorld) close(c *worldClient, s *worldSession, process int, done func()) {
	c.session = nil
	op := w.op(history.SessionClose, process, s.name, s.name)
	op.Lock.Lost = s.lost(w.now)
	s.left = true
	op.Lock.Renewed = s.renewed
	w.call(c, op, patience, func(reply func(groupReply)) {
		w.group.close(s.name)
		reply(groupReply{outcome: history.OK})
	}, done)
}
