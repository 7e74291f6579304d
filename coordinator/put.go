// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// PutRequest is a client's put or delete. Key and Value are kept: they must not share
// memory with a buffer that is used again.
type PutRequest struct {
	Bucket kv.Bucket
	Key    []byte
	Kind   kv.Kind
	Value  []byte
	Seen   vclock.Context // what the writer read; empty for a blind put
	After  kv.Stamp       // the highest stamp that the writer was shown, in an lww bucket
	// Informed: a context was sent, if one that covers nothing. A delete deletes what it
	// covers then, and a blind one what a quorum read finds.
	Informed bool
	W, PW    kv.Level // LevelUnset: the bucket's
	TTL      int64    // milliseconds; 0: the bucket's; below 0: none
	Fence    kv.Fence
	Request  kv.RequestID
	// StandIn: no owner can be reached; this node coordinates as a fallback (TRAPS C14).
	StandIn bool

	// stamp is that of the write, where the clock shall not say; see Expire.
	stamp kv.Stamp
}

// PutResult is an acknowledged put.
type PutResult struct {
	// Context is what the writer may base its next write on, Stamp the highest stamp of what
	// it covers.
	Context vclock.Context
	Stamp   kv.Stamp
	// Object is the key at the coordinating node right after the write.
	Object kv.Object
	// Dot is the write's. Repeat says that an earlier try of the same request was given it.
	Dot    vclock.Dot
	Repeat bool
}

// put is one write under way. One goroutine at a time owns it: the request's, and once
// that has answered the one that sees the sends to their end.
type put struct {
	c       *Coordinator
	plan    *plan
	req     *PutRequest
	request kv.RequestID // the request's, whose caller may use it again
	self    quorum.Target
	round   *quorum.Write

	events chan *writeEvent
	// mint and commit are written by the local replica before it sends their event, and
	// read after that was received.
	mint, commit replica.MintReply
	minted       bool // the write has its dot
	committed    bool // the local commit is over, or there is none
	began        time.Time
	sends        time.Time // deadline of the sends
	copy         sending

	ticket uint64 // in the coordinator's open

	try   time.Duration // the longest that those asked last are given
	timer *time.Timer   // nil, and late with it, while nobody could be asked in their place
	late  <-chan time.Time
}

// writeEvent is something that a put waits for.
type writeEvent struct {
	kind   writeEventKind
	target quorum.Target
	reply  wire.StoreReply
	err    error
}

type writeEventKind uint8

const (
	eventMinted    writeEventKind = 1 + iota // the write has its dot; send it
	eventCommitted                           // the local commit is over, or there is none
	eventStored                              // another node answered
	eventAgain                               // another copy for whoever refused an old one
)

// Put carries a write to W owners, or in a sloppy bucket to fallbacks that stand in for
// them. This node must be an owner that may coordinate, or a fallback where none can be
// reached (Route tells). The error is an *Error.
func (c *Coordinator) Put(ctx context.Context, req *PutRequest) (PutResult, error) {
	plan, err := c.planFor(req.Bucket, req.Key, req.W.Or(req.Bucket.W), req.PW.Or(req.Bucket.PW))
	if err != nil {
		return PutResult{}, err
	}
	if req.Fence != 0 {
		plan.strict() // fallbacks know no promises (TRAPS F8)
	}
	if err := plan.hopeless(writersOf); err != nil {
		return PutResult{}, err
	}
	round, err := quorum.NewWrite(plan.spec)
	if err != nil {
		return PutResult{}, invalid(err)
	}
	self, err := c.seat(plan, round, req)
	if err != nil {
		return PutResult{}, err
	}
	w := &put{
		c: c, plan: plan, req: req, request: req.Request, self: self, round: round,
		// Room for mint, commit and one answer to each copy: nobody ever waits (I7).
		events: make(chan *writeEvent, 2+plan.maxSent()),
	}
	w.ticket = c.open.add() // until nothing of the write is awaited any more: rest
	w.startMint(c.deadlineOf(ctx))
	defer w.letGo()
	return w.wait(ctx)
}

// seat gives this node its place in the write: that of an owner, or, where it stands in,
// that of a fallback which keeps a hint for an owner. All that a fallback mints of a key it
// keeps for one slot, so that it always finds all its own dots there; any slot will do.
func (c *Coordinator) seat(
	p *plan, round *quorum.Write, req *PutRequest,
) (quorum.Target, error) {
	if !req.StandIn {
		self, more := round.Next()
		if more && self.Node == c.cfg.Node {
			return self, nil
		}
		return quorum.Target{}, misrouted("this node does not own the key; its ring may be old")
	}
	self := quorum.Target{Node: c.cfg.Node, Slot: replica.StandInSlot, Role: kv.RoleFallback}
	if !mayStandIn(req, len(p.spec.Slots)) ||
		!round.Expect(self.Node, self.Slot, p.ring.Instance(self.Node)) {
		return quorum.Target{}, misrouted("this node may not stand in for the owners of the key")
	}
	return self, nil
}

func misrouted(text string) error { return &Error{Code: wire.CodeNotReady, Text: text} }

// startMint hands the write to this node's own replica, which gives it its dot.
func (w *put) startMint(deadline time.Time) {
	req := w.req
	w.c.local.Mint(&replica.MintRequest{
		Target: w.plan.target(w.self, time.Until(deadline).Milliseconds()), Role: w.self.Role,
		Kind: req.Kind, Value: req.Value, ExpiresAt: w.c.expiry(req), Seen: req.Seen,
		LWW: req.Bucket.LWW, After: req.After, Stamp: req.stamp,
		Fence: req.Fence, Request: req.Request, Deadline: deadline,
		Minted: func(m replica.MintReply) {
			w.mint = m
			w.events <- &writeEvent{kind: eventMinted}
		},
		Done: func(m replica.MintReply) {
			w.commit = m
			w.events <- &writeEvent{kind: eventCommitted}
		},
	})
}

// wait feeds what comes back to the round until it decides or time is up.
func (w *put) wait(ctx context.Context) (PutResult, error) {
	for {
		select {
		case e := <-w.events:
			w.take(e)
		case <-w.late:
			w.replace()
		case <-ctx.Done():
			return w.expire(ctx)
		}
		if done, err := w.verdict(); done {
			return w.answer(err)
		}
	}
}

// expire ends a put whose time is up, or whose client is gone. What has come by now may
// still decide. A write that gets its dot later is sent nevertheless: else it would stand
// at this node alone, for nobody to find (I2).
func (w *put) expire(ctx context.Context) (PutResult, error) {
	w.takeAll()
	if done, err := w.verdict(); done {
		return w.answer(err)
	}
	return PutResult{}, overdue(ctx, w.plan.textOf(w.round.Tally(), w.round.Entries()))
}

// takeAll takes the events that are there.
func (w *put) takeAll() {
	for range cap(w.events) {
		select {
		case e := <-w.events:
			w.take(e)
		default:
			return
		}
	}
}

// take tells the round of one event, and asks whomever it names then.
func (w *put) take(e *writeEvent) {
	switch e.kind {
	case eventMinted:
		w.minted, w.began = true, time.Now()
		w.sends = w.began.Add(w.c.cfg.SendTimeout)
		w.copy = sending{object: w.mint.Object, raw: w.mint.Encoded, epoch: w.mint.Epoch}
	case eventCommitted:
		w.committed = true
		if !w.minted {
			return // no dot, no send: nothing happened
		}
		m := &w.commit
		if m.Code == wire.ReplicaOK {
			w.c.latenciesOf(w.self.Node).stores.observe(time.Since(w.began))
		}
		w.round.Add(replyOf(w.self, m.Standing, m.Code, m.Detail, quorum.ResultStored))
	case eventStored:
		if w.again(e) {
			return
		}
		w.round.Add(stored(e.target, e.reply, e.err))
	case eventAgain:
		w.resend(e)
	}
	if w.minted {
		w.ask()
	}
}

// verdict reports whether the client can be answered, and with which error.
func (w *put) verdict() (done bool, err error) {
	if w.committed && !w.minted {
		return true, refusal(w.commit)
	}
	switch w.round.Decision() {
	case quorum.Reached:
		return true, nil
	case quorum.Unreachable:
		return true, w.shortOf()
	default:
		return false, nil
	}
}

// shortOf is the error of a write that can not reach its quorum any more.
func (w *put) shortOf() error {
	text := w.plan.textOf(w.round.Tally(), w.round.Entries())
	if mutant.On(mutant.UnknownIsNone) {
		return &Error{Code: wire.CodeUnavailable, Text: text}
	}
	if w.round.Fenced() && w.round.Outcome() == quorum.OutcomeNone {
		return &Error{Code: wire.CodeFenced, Text: text}
	}
	return &Error{Code: wire.CodeQuorum, Text: text}
}

// answer is what the writer hears.
func (w *put) answer(err error) (PutResult, error) {
	if err != nil {
		return PutResult{}, err
	}
	if err := w.c.hitAnswer(PointAcknowledge); err != nil {
		return PutResult{}, err
	}
	w.c.traceAcknowledged(w)
	m := &w.mint
	result := PutResult{
		Context: m.Object.WriterContext(w.req.Seen, m.Dot), Object: m.Object, Dot: m.Dot,
		Repeat: m.Repeat, Stamp: max(w.req.After, m.Object.LatestStamp()),
	}
	if w.mint.Repeat {
		result.Context = w.req.Seen.Add(m.Dot) // the object may have gone on since
	}
	return result, nil
}

// expiry is the absolute time at which the new version expires, set once, here, so that
// all replicas agree on it (TRAPS K2). It is in whole milliseconds, so the present one
// counts as over: a value lives for its time at least.
func (c *Coordinator) expiry(req *PutRequest) int64 {
	ttl := req.TTL
	if ttl == 0 {
		ttl = req.Bucket.TTL
	}
	if ttl <= 0 || req.Kind != kv.KindValue {
		return 0
	}
	return c.cfg.Now().Add(time.Millisecond-1).UnixMilli() + ttl
}
