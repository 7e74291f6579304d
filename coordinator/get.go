// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/wire"
)

// GetRequest is a client's read of one key.
type GetRequest struct {
	Bucket kv.Bucket
	Key    []byte // lent until Get returns and Drain has waited for its repairs
	R, PR  kv.Level
	// Atomic reads do not go back behind each other (ARCHITECTURE 1).
	Atomic bool
	// MetaOnly leaves the values out.
	MetaOnly bool
}

// readRounds bounds how often a read starts over: the first round may find that copies
// differ, the second then reads whole copies; a third is for a copy that changed or a
// replica that fell away in between.
const readRounds = 3

// errDiffer ends a round of digests whose answers do not agree.
var errDiffer = errors.New("coordinator: the copies differ")

// Get reads a key from R replicas, merges what they hold, repairs those that are
// behind, and returns the merged object. The error is an *Error; its outcome is none.
func (c *Coordinator) Get(ctx context.Context, req *GetRequest) (kv.Object, error) {
	plan, err := c.planFor(req.Bucket, req.Key, req.R.Or(req.Bucket.R), req.PR.Or(req.Bucket.PR))
	if err != nil {
		return kv.Object{}, err
	}
	if plan.spec.Atomic = req.Atomic; req.Atomic {
		plan.spec.NeedConfirmed = plan.spec.Need
	}
	if err := plan.hopeless(readerOf); err != nil {
		return kv.Object{}, err
	}
	mode := readDigests
	if req.MetaOnly {
		mode = readBare
	}
	var object kv.Object
	for range readRounds {
		object, err = c.getOnce(ctx, plan, mode)
		if !errors.Is(err, errDiffer) {
			return object, err
		}
		mode = readWhole
	}
	return kv.Object{}, &Error{
		Code: wire.CodeQuorum, Text: "the replicas' copies changed while they were read", Err: err,
	}
}

// readMode says which replicas send values.
type readMode uint8

const (
	readDigests readMode = 1 + iota // the first one asked; the others send digests
	readWhole                       // all
	readBare                        // none
)

// get is one round of a read under way.
type get struct {
	c     *Coordinator
	plan  *plan
	mode  readMode
	round *quorum.Read

	events  chan readEvent
	replies []readEvent
	whole   bool // somebody has been asked for values
	try     time.Duration
}

// readEvent is one replica's answer.
type readEvent struct {
	target quorum.Target
	reply  wire.ReadReply
	err    error
	took   time.Duration
}

// getOnce runs one round: ask, count, merge, write back or repair.
func (c *Coordinator) getOnce(ctx context.Context, plan *plan, mode readMode) (kv.Object, error) {
	round, err := quorum.NewRead(plan.spec)
	if err != nil {
		return kv.Object{}, invalid(err)
	}
	g := &get{
		c: c, plan: plan, mode: mode, round: round,
		// Room for one answer of each slot: nobody ever waits (I7).
		events:  make(chan readEvent, len(plan.spec.Slots)),
		replies: make([]readEvent, 0, len(plan.spec.Slots)),
	}
	if err := g.collect(ctx); err != nil {
		return kv.Object{}, err
	}
	counted, epoch := g.counted()
	merged, err := g.merge(counted)
	if err != nil {
		return kv.Object{}, err
	}
	if plan.spec.Atomic && mode != readBare {
		return merged, c.writeBack(ctx, plan, merged, epoch, counted)
	}
	if mode == readWhole {
		c.repair(plan, merged, epoch, counted)
	}
	return merged, nil
}

// collect asks replicas until enough have answered.
func (g *get) collect(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if g.ask(ctx) {
			timer.Reset(g.try)
		}
		select {
		case e := <-g.events:
			switch g.add(e) {
			case quorum.Reached:
				return nil
			case quorum.Unreachable:
				return shortOf(g.plan.textOf(g.round.Tally(), g.round.Entries()), false)
			}
		case <-timer.C:
			g.late()
		case <-ctx.Done():
			return overdue(ctx, g.plan.textOf(g.round.Tally(), g.round.Entries()))
		}
	}
}

// ask sends to whomever the round names now: remote ones first, so that they work while
// the local copy is read. It reports whether anybody remote was asked.
func (g *get) ask(ctx context.Context) bool {
	deadline, _ := ctx.Deadline()
	var self *quorum.Target
	var selfMode wire.ReadMode
	asked := false
	for {
		target, more := g.round.Next()
		if !more {
			break
		}
		mode := g.modeFor()
		if target.Node == g.c.cfg.Node {
			self, selfMode = &target, mode
			continue
		}
		asked = true
		g.try = max(g.try, g.c.latencyOf(target.Node).try())
		g.send(target, mode, deadline)
	}
	if self != nil {
		req := &wire.ReadRequest{Target: g.plan.target(*self, 0), Mode: selfMode}
		g.events <- readEvent{target: *self, reply: g.c.local.Read(req)}
	}
	return asked
}

// modeFor is how much the next replica is asked for.
func (g *get) modeFor() wire.ReadMode {
	if g.mode == readWhole || (g.mode == readDigests && !g.whole) {
		g.whole = true
		return wire.ReadFull
	}
	return wire.ReadBare
}

func (g *get) send(target quorum.Target, mode wire.ReadMode, deadline time.Time) {
	req := &wire.ReadRequest{
		Target: g.plan.target(target, time.Until(deadline).Milliseconds()), Mode: mode,
	}
	events, began := g.events, time.Now()
	g.c.open.Add(1)
	g.c.peers.Read(target.Node, req, deadline, func(reply wire.ReadReply, err error) {
		events <- readEvent{target: target, reply: reply, err: err, took: time.Since(began)}
		g.c.open.Done()
	})
}

// add takes one answer.
func (g *get) add(e readEvent) quorum.Decision {
	if e.target.Node != g.c.cfg.Node {
		g.c.latencyOf(e.target.Node).observe(e.took)
	}
	if e.err != nil {
		g.wholeAgain()
		return g.round.Add(quorum.Reply{
			Node: e.target.Node, Slot: e.target.Slot,
			Result: resultOfError(e.err), Reason: e.err.Error(),
		})
	}
	success := quorum.ResultNotFound
	if !e.reply.Object.IsZero() {
		success = quorum.ResultFound
	}
	result := resultOf(e.reply.Code, success)
	if result == success {
		g.replies = append(g.replies, e)
	} else {
		g.wholeAgain()
	}
	return g.round.Add(quorum.Reply{
		Node: e.target.Node, Slot: e.target.Slot, Role: e.reply.Role,
		Confirmed: e.reply.Confirmed, Version: e.reply.Placement, Instance: e.reply.Instance,
		Result: result, Reason: e.reply.Detail,
	})
}

// wholeAgain lets the replacement of a replica that fell away be asked for values: it
// may have been the one that was.
func (g *get) wholeAgain() { g.whole = false }

// late marks all open tries as late, so that others are asked in their place.
func (g *get) late() {
	g.try = 0
	g.wholeAgain()
	for e := range g.round.Entries() {
		if e.Standing == quorum.StandingAsked {
			g.round.Late(e.Target)
		}
	}
}

// counted returns the answers that count and carry data of the highest purge epoch
// among them (I5).
func (g *get) counted() ([]readEvent, kv.PurgeEpoch) {
	var epoch kv.PurgeEpoch
	counts := make([]readEvent, 0, len(g.replies))
	for _, e := range g.replies {
		if g.counts(e.target.Node) {
			counts = append(counts, e)
			epoch = max(epoch, e.reply.Epoch)
		}
	}
	current := counts[:0]
	for _, e := range counts {
		if e.reply.Epoch == epoch {
			current = append(current, e)
		}
	}
	return current, epoch
}

func (g *get) counts(node kv.NodeID) bool {
	for e := range g.round.Entries() {
		if e.Node == node {
			return e.Standing == quorum.StandingCounted || e.Standing == quorum.StandingUnconfirmed
		}
	}
	return false
}

// merge joins the answers. A round of digests ends here if one whole copy dominates
// them all, which is the usual case; if not, errDiffer.
func (g *get) merge(counted []readEvent) (kv.Object, error) {
	if g.mode == readDigests {
		return agreed(counted)
	}
	var merged kv.Object
	for _, e := range counted {
		merged = kv.Merge(merged, e.reply.Object)
	}
	merged = merged.Collapse()
	if g.mode == readWhole && !merged.HasValues() {
		return kv.Object{}, errDiffer
	}
	return merged, nil
}

// agreed returns the whole copy with which all others agree.
func agreed(counted []readEvent) (kv.Object, error) {
	for _, whole := range counted {
		if !whole.reply.Object.HasValues() {
			continue
		}
		for _, other := range counted {
			if !same(whole.reply.Object, other.reply.Object) {
				return kv.Object{}, errDiffer
			}
		}
		return whole.reply.Object, nil
	}
	return kv.Object{}, errDiffer
}

// same reports whether two copies hold the same: context, dots and checksums.
func same(a, b kv.Object) bool {
	if len(a.Versions) != len(b.Versions) || a.Fence != b.Fence || !a.Context.Equal(b.Context) {
		return false
	}
	for i := range a.Versions {
		if a.Versions[i].Dot != b.Versions[i].Dot || a.Versions[i].Checksum != b.Versions[i].Checksum {
			return false
		}
	}
	return true
}
