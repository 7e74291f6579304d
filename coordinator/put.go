// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// PutRequest is a client's put or delete. Key and Value are kept: they must not share
// memory with a buffer that is used again.
type PutRequest struct {
	Bucket  kv.Bucket
	Key     []byte
	Kind    kv.Kind
	Value   []byte
	Seen    vclock.Context // what the writer read; empty for a blind put
	W, PW   kv.Level       // LevelUnset: the bucket's
	TTL     int64          // milliseconds; 0: the bucket's; below 0: none
	Fence   kv.Fence
	Request kv.RequestID
}

// PutResult is an acknowledged put.
type PutResult struct {
	// Context is what the writer may base its next write on.
	Context vclock.Context
	// Object is the key at the coordinating owner right after the write.
	Object kv.Object
}

// put is one write under way.
type put struct {
	c     *Coordinator
	plan  *plan
	req   *PutRequest
	round *quorum.Write

	events chan writeEvent
	mint   replica.MintReply
	minted bool
	sends  time.Time // deadline of the sends
}

// writeEvent is something that a put waits for.
type writeEvent struct {
	kind  writeEventKind
	mint  replica.MintReply
	node  kv.NodeID
	slot  int
	reply wire.StoreReply
	err   error
}

type writeEventKind uint8

const (
	eventMinted    writeEventKind = 1 + iota // the write has its dot; send it
	eventCommitted                           // the local commit is over
	eventStored                              // another owner answered
)

// Put carries a write to W owners. This node must be an owner that may coordinate
// (Route tells). The error is an *Error.
func (c *Coordinator) Put(ctx context.Context, req *PutRequest) (PutResult, error) {
	plan, err := c.planFor(req.Bucket, req.Key, req.W.Or(req.Bucket.W), req.PW.Or(req.Bucket.PW))
	if err != nil {
		return PutResult{}, err
	}
	if err := plan.hopeless(writersOf); err != nil {
		return PutResult{}, err
	}
	round, err := quorum.NewWrite(plan.spec)
	if err != nil {
		return PutResult{}, invalid(err)
	}
	w := &put{
		c: c, plan: plan, req: req, round: round,
		// Room for mint, commit and one answer of each member: nobody ever waits (I7).
		events: make(chan writeEvent, 2+2*len(plan.spec.Slots)),
		sends:  time.Now().Add(c.cfg.SendTimeout),
	}
	self, more := round.Next()
	if !more || self.Node != c.cfg.Node {
		return PutResult{}, &Error{
			Code: wire.CodeNotReady, Text: "this node does not own the key; its ring may be old",
		}
	}
	w.startMint(ctx, self)
	return w.wait(ctx)
}

// startMint hands the write to this node's own replica, which gives it its dot.
func (w *put) startMint(ctx context.Context, self quorum.Target) {
	deadline, _ := ctx.Deadline()
	req := w.req
	w.c.open.Add(1)
	w.c.local.Mint(&replica.MintRequest{
		Target: w.plan.target(self, time.Until(w.sends).Milliseconds()),
		Kind:   req.Kind, Value: req.Value, ExpiresAt: w.c.expiry(req), Seen: req.Seen,
		Fence: req.Fence, Request: req.Request, Deadline: deadline,
		Minted: func(m replica.MintReply) { w.events <- writeEvent{kind: eventMinted, mint: m} },
		Done: func(m replica.MintReply) {
			w.events <- writeEvent{kind: eventCommitted, mint: m, node: self.Node, slot: self.Slot}
			w.c.open.Done()
		},
	})
}

// wait feeds what comes back to the round until it decides or time is up.
func (w *put) wait(ctx context.Context) (PutResult, error) {
	for {
		select {
		case e := <-w.events:
			if done, err := w.handle(e); done {
				return w.result(), err
			}
		case <-ctx.Done():
			text := w.plan.textOf(w.round.Tally(), w.round.Entries())
			return PutResult{}, overdue(ctx, text)
		}
	}
}

// handle takes one event; done says that the client can be answered.
func (w *put) handle(e writeEvent) (done bool, err error) {
	decision := w.round.Decision()
	switch e.kind {
	case eventMinted:
		w.mint, w.minted = e.mint, true
		decision = w.sendToOthers()
	case eventCommitted:
		if !w.minted {
			return true, refusal(e.mint) // no dot, no send: nothing happened
		}
		decision = w.round.Add(quorum.Reply{
			Node: e.node, Slot: e.slot, Role: e.mint.Role, Confirmed: e.mint.Confirmed,
			Version: e.mint.Placement, Instance: e.mint.Instance, Reason: e.mint.Detail,
			Result: resultOf(e.mint.Code, quorum.ResultStored),
		})
	case eventStored:
		decision = w.round.Add(w.answer(e))
	}
	switch decision {
	case quorum.Reached:
		return true, nil
	case quorum.Unreachable:
		fencedNone := w.round.Fenced() && w.round.Outcome() == quorum.OutcomeNone
		return true, shortOf(w.plan.textOf(w.round.Tally(), w.round.Entries()), fencedNone)
	default:
		return false, nil
	}
}

// answer is another owner's reply in the round's words.
func (w *put) answer(e writeEvent) quorum.Reply {
	if e.err != nil {
		return quorum.Reply{
			Node: e.node, Slot: e.slot, Result: resultOfError(e.err), Reason: e.err.Error(),
		}
	}
	return quorum.Reply{
		Node: e.node, Slot: e.slot, Role: e.reply.Role, Confirmed: e.reply.Confirmed,
		Version: e.reply.Placement, Instance: e.reply.Instance, Reason: e.reply.Detail,
		Result: resultOf(e.reply.Code, quorum.ResultStored),
	}
}

// sendToOthers sends the merged object to every other member. The sends have their own
// deadline: the client's answer or absence does not end them (I2).
func (w *put) sendToOthers() quorum.Decision {
	remaining := time.Until(w.sends).Milliseconds()
	for {
		target, more := w.round.Next()
		if !more {
			return w.round.Decision()
		}
		req := &wire.StoreRequest{
			Target: w.plan.target(target, remaining), Role: target.Role,
			Class: kv.ClassClientWrite, Epoch: w.mint.Epoch, Request: w.req.Request,
			Object: w.mint.Object, Raw: w.mint.Encoded,
		}
		w.c.open.Add(1)
		w.c.peers.Store(target.Node, req, w.sends, func(reply wire.StoreReply, err error) {
			w.events <- writeEvent{
				kind: eventStored, node: target.Node, slot: target.Slot, reply: reply, err: err,
			}
			w.c.open.Done()
		})
	}
}

// result is what an acknowledged writer hears.
func (w *put) result() PutResult {
	if w.mint.Repeat {
		return PutResult{Context: w.req.Seen.Add(w.mint.Dot), Object: w.mint.Object}
	}
	return PutResult{
		Context: w.mint.Object.WriterContext(w.req.Seen, w.mint.Dot), Object: w.mint.Object,
	}
}

// expiry is the absolute time at which the new version expires, set once, here, so that
// all replicas agree on it (TRAPS K2).
func (c *Coordinator) expiry(req *PutRequest) int64 {
	ttl := req.TTL
	if ttl == 0 {
		ttl = req.Bucket.TTL
	}
	if ttl <= 0 || req.Kind != kv.KindValue {
		return 0
	}
	return c.cfg.Now().UnixMilli() + ttl
}
