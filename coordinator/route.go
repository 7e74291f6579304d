// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// Route says where writes of a key are coordinated.
type Route struct {
	// Here: this node is an owner that may.
	Here bool
	// Owners are the others that may, those that seem alive first; nil where Here is.
	Owners []kv.NodeID
}

// Route finds who may coordinate writes of a key (I1).
func (c *Coordinator) Route(bucket kv.Bucket, key []byte) (Route, error) {
	current := c.cfg.Ring()
	if current == nil {
		return Route{}, notFormed()
	}
	slots := current.Placement(current.PartitionOf(bucket.ID, key)).Slots
	for _, slot := range slots {
		// A store that is not ready never coordinates; the others may.
		if slot.MayCoordinate(c.cfg.Node) && c.local.Status().Ready {
			return Route{Here: true}, nil
		}
	}
	owners := make([]kv.NodeID, 0, len(slots))
	for _, alive := range [2]bool{true, false} {
		for _, slot := range slots {
			if node := slot.Reader(); node != c.cfg.Node && c.cfg.Alive(node) == alive {
				owners = append(owners, node)
			}
		}
	}
	return Route{Owners: owners}, nil
}

// Forward hands a client's write to one owner, who coordinates it. Another owner is
// tried only where the one before certainly did nothing with it, for it was not reached,
// or its store does not serve: a write that two coordinate leaves two versions (TRAPS C10).
func (c *Coordinator) Forward(
	ctx context.Context, route Route, req *wire.ForwardRequest,
) (wire.ForwardReply, error) {
	deadline := c.deadlineOf(ctx)
	// The caller's buffer is its own again when it is answered; a call may last longer.
	params := bytes.Clone(req.Params)
	var last error
	var declined *wire.ForwardReply
	for _, node := range route.Owners {
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
	if declined != nil {
		return *declined, nil
	}
	text := "no owner of the key could be reached"
	if last != nil {
		text += ": " + last.Error()
	}
	return wire.ForwardReply{}, &Error{Code: wire.CodeUnavailable, Text: text, Err: last}
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
