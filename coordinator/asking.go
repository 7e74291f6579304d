// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/wire"
)

// asking is one round of a read under way.
type asking struct {
	c        *Coordinator
	plan     *plan
	mode     readMode
	round    *quorum.Read
	deadline time.Time

	events  chan *readEvent
	replies []readEvent // those that count
	say     verdicts
	whole   bool // somebody who may still answer has been asked for values
	try     time.Duration
}

// readEvent is one replica's answer.
type readEvent struct {
	target quorum.Target
	reply  wire.ReadReply
	err    error
}

func (c *Coordinator) newAsking(ctx context.Context, p *plan, mode readMode) (*asking, error) {
	round, err := quorum.NewRead(p.spec)
	if err != nil {
		return nil, invalid(err)
	}
	return &asking{
		c: c, plan: p, mode: mode, round: round, deadline: c.deadlineOf(ctx),
		// Room for one answer of whoever may be asked: nobody ever waits (I7).
		events:  make(chan *readEvent, p.maxAsked()),
		replies: make([]readEvent, 0, len(p.spec.Slots)),
	}, nil
}

// collect asks replicas until enough have answered.
func (g *asking) collect(ctx context.Context) error {
	var timer *time.Timer // nil, and late with it, while nobody remote was asked
	var late <-chan time.Time
	for {
		switch asked := g.ask(); {
		case asked && timer == nil:
			timer = time.NewTimer(g.try)
			defer timer.Stop()
			late = timer.C
		case asked:
			timer.Reset(g.try)
		}
		select {
		case e := <-g.events:
			switch g.add(e) {
			case quorum.Reached:
				return nil
			case quorum.Unreachable:
				return g.say.shortOf(g.plan, g.round.Tally(), g.round.Entries())
			}
		case <-late:
			g.late()
		case <-ctx.Done():
			return overdue(ctx, g.plan.textOf(g.round.Tally(), g.round.Entries()))
		}
	}
}

// ask sends to whomever the round names now: remote ones first, so that they work while
// the local copy is read. It reports whether anybody remote was asked.
func (g *asking) ask() bool {
	var self quorum.Target
	var selfMode wire.ReadMode
	asked := false
	for {
		target, more := g.round.Next()
		if !more {
			break
		}
		mode := g.modeFor()
		if target.Node == g.c.cfg.Node {
			self, selfMode = target, mode
			continue
		}
		asked = true
		g.send(target, mode)
	}
	if self.Node != 0 {
		req := &wire.ReadRequest{
			Target: g.plan.target(self, time.Until(g.deadline).Milliseconds()), Mode: selfMode,
		}
		g.events <- &readEvent{target: self, reply: g.c.local.Read(req)}
	}
	return asked
}

// modeFor is how much the next replica is asked for.
func (g *asking) modeFor() wire.ReadMode {
	if g.mode == readWhole || (g.mode == readDigests && !g.whole) {
		g.whole = true
		return wire.ReadFull
	}
	return wire.ReadBare
}

func (g *asking) send(target quorum.Target, mode wire.ReadMode) {
	req := &wire.ReadRequest{
		Target: g.plan.target(target, time.Until(g.deadline).Milliseconds()), Mode: mode,
	}
	events, open, began := g.events, &g.c.open, time.Now()
	times := &g.c.latenciesOf(target.Node).reads
	g.try = max(g.try, times.try(tryFloor))
	if err := g.c.hitSend(PointAsk); err != nil {
		events <- &readEvent{target: target, err: err}
		return
	}
	ticket := open.add()
	g.c.peers.Read(target.Node, req, g.deadline, func(reply wire.ReadReply, err error) {
		if err == nil {
			// Also of answers that nobody waits for any more: else a slow replica, which is
			// always replaced in time, would be taken for a fast one.
			times.observe(time.Since(began))
		}
		events <- &readEvent{target: target, reply: reply, err: err}
		open.done(ticket)
	})
}

// add takes one answer.
func (g *asking) add(e *readEvent) quorum.Decision {
	g.say.add(e.reply.Code, e.err)
	if e.err != nil {
		g.whole = false
		return g.round.Add(unanswered(e.target, e.err))
	}
	success := quorum.ResultNotFound
	if !e.reply.Object.IsZero() {
		success = quorum.ResultFound
	}
	before := g.round.Tally().Got
	decision := g.round.Add(
		replyOf(e.target, e.reply.Standing, e.reply.Code, e.reply.Detail, success))
	if g.round.Tally().Got > before {
		g.replies = append(g.replies, *e)
	} else {
		// Its replacement is asked for values: this one may have been the one that was.
		g.whole = false
	}
	return decision
}

// late marks all open tries as late, so that others are asked in their place, the first
// of them for values.
func (g *asking) late() {
	g.try, g.whole = 0, false
	for e := range g.round.Entries() {
		if e.Standing == quorum.StandingAsked {
			g.round.Late(e.Target)
		}
	}
}

// held returns the answer of a node whose copy is the given object.
func held(counted []readEvent, node kv.NodeID, o *kv.Object) (wire.Standing, bool) {
	for i := range counted {
		if e := &counted[i]; e.target.Node == node && same(&e.reply.Object, o) {
			return e.reply.Standing, true
		}
	}
	return wire.Standing{}, false
}
