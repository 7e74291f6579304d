// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// ErrNoOwner is in the chain of a Forward's error where no owner of the key could be
// reached, none has done anything, and Route.StandIn says that this node may coordinate.
var ErrNoOwner = errors.New("coordinator: no owner of the key can be reached")

// Route says where writes of a key are coordinated.
type Route struct {
	// Here: this node is an owner that may.
	Here bool
	// Owners are the others that may, those that seem alive first; nil where Here is.
	Owners []kv.NodeID
	// StandIn: where no owner can be reached, this node may coordinate as a fallback: the
	// bucket is sloppy, the write asks for no owners, and this node's store is ready.
	StandIn bool
	alive   int // how many of Owners seem alive
}

// Route finds who may coordinate a write (I1).
func (c *Coordinator) Route(req *PutRequest) (Route, error) {
	current := c.cfg.Ring()
	if current == nil {
		return Route{}, notFormed()
	}
	slots := current.Placement(current.PartitionOf(req.Bucket.ID, req.Key)).Slots
	ready := c.local.Status().Ready
	for _, slot := range slots {
		// A store that is not ready never coordinates; the others may.
		if slot.MayCoordinate(c.cfg.Node) && ready {
			return Route{Here: true}, nil
		}
	}
	route := Route{
		Owners:  make([]kv.NodeID, 0, len(slots)),
		StandIn: ready && !isMember(slots, c.cfg.Node) && mayStandIn(req, len(slots)),
	}
	for _, alive := range [2]bool{true, false} {
		for _, slot := range slots {
			if node := slot.Reader(); node != c.cfg.Node && c.cfg.Alive(node) == alive {
				route.Owners = append(route.Owners, node)
			}
		}
		if alive {
			route.alive = len(route.Owners)
		}
	}
	return route, nil
}

// mayStandIn reports whether a write may be coordinated by a fallback at all: not where it
// needs an owner, or bears a fence, of which fallbacks know nothing (TRAPS F8).
func mayStandIn(req *PutRequest, n int) bool {
	owners, err := req.PW.Or(req.Bucket.PW).Resolve(n)
	return err == nil && owners == 0 && req.Bucket.Sloppy && !req.Bucket.Fenced && req.Fence == 0
}

func isMember(slots []kv.Slot, node kv.NodeID) bool {
	return slices.ContainsFunc(slots, func(s kv.Slot) bool { return s.Has(node) })
}

// tries are the owners that a write is handed to, one after another. Where this node may
// stand in, those that seem down are believed to be, but for one: an opinion alone is not
// enough to do without the owners, and to ask each in turn would cost the client its time.
func (r *Route) tries() []kv.NodeID {
	if !r.StandIn {
		return r.Owners
	}
	return r.Owners[:min(len(r.Owners), max(1, r.alive))]
}

// Forward hands a client's write to one owner, who coordinates it. Another owner is
// tried only where the one before certainly did nothing with it, for it was not reached,
// or its store does not serve: a write that two coordinate leaves two versions (TRAPS C10).
// The same holds for this node: ErrNoOwner says that it may stand in now.
func (c *Coordinator) Forward(
	ctx context.Context, route Route, req *wire.ForwardRequest,
) (wire.ForwardReply, error) {
	deadline := c.deadlineOf(ctx)
	// The caller's buffer is its own again when it is answered; a call may last longer.
	params := bytes.Clone(req.Params)
	var last error
	var declined *wire.ForwardReply
	for _, node := range route.tries() {
		reply, err := c.forwardTo(ctx, node, &wire.ForwardRequest{
			Method: req.Method, Params: params, RemainingMS: remainingUntil(deadline),
		}, deadline)
		switch {
		case err == nil && declines(reply.Error):
			declined = &reply
			continue
		case err == nil:
			return reply, nil
		case ctx.Err() != nil:
			return wire.ForwardReply{}, overdue(ctx, "the owner that coordinates did not answer in time")
		case !errors.Is(err, ErrNotSent):
			return wire.ForwardReply{}, &Error{
				Code: wire.CodeQuorum, Err: err,
				Text: "forwarded to an owner that did not answer: " + err.Error(),
			}
		}
		last = err
	}
	if declined != nil && !route.StandIn {
		return *declined, nil
	}
	return wire.ForwardReply{}, unreached(last)
}

// unreached is the error of a write that nobody has done anything with.
func unreached(last error) error {
	e := &Error{
		Code: wire.CodeUnavailable, Text: "no owner of the key could be reached", Err: ErrNoOwner,
	}
	if last != nil {
		e.Text += ": " + last.Error()
		e.Err = fmt.Errorf("%w: %w", ErrNoOwner, last)
	}
	return e
}

// declines reports an owner's refusal that concerns its store, not the request, and that
// comes before anything is stored anywhere: its record of the key is damaged, it drains,
// or the whole store is not ready.
func declines(failure string) bool {
	if failure == "" {
		return false
	}
	code, _ := wire.ParseError(failure)
	return code == wire.CodeNotReady || code == wire.CodeShuttingDown
}

func (c *Coordinator) forwardTo(
	ctx context.Context, node kv.NodeID, req *wire.ForwardRequest, deadline time.Time,
) (wire.ForwardReply, error) {
	type answer struct {
		reply wire.ForwardReply
		err   error
	}
	if err := c.hitSend(PointForward); err != nil {
		return wire.ForwardReply{}, err
	}
	answers := make(chan answer, 1) // one answer ever comes
	ticket := c.open.add()
	c.peers.Forward(node, req, deadline, func(reply wire.ForwardReply, err error) {
		answers <- answer{reply, err}
		c.open.done(ticket)
	})
	select {
	case a := <-answers:
		return a.reply, a.err
	case <-ctx.Done():
		return wire.ForwardReply{}, context.Cause(ctx)
	}
}
