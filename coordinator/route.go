// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
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
	// Owners are the others that may, those that seem alive first.
	Owners []kv.NodeID
}

// Route finds who may coordinate writes of a key (I1).
func (c *Coordinator) Route(bucket kv.Bucket, key []byte) (Route, error) {
	plan, err := c.planFor(bucket, key, kv.LevelOne, kv.LevelZero)
	if err != nil {
		return Route{}, err
	}
	var route Route
	var down []kv.NodeID
	for _, slot := range plan.spec.Slots {
		switch node := slot.Reader(); {
		case node == c.cfg.Node:
			// A store that is not ready never coordinates; the others may.
			route.Here = c.local.Status().Ready
		case plan.suspects(node):
			down = append(down, node)
		default:
			route.Owners = append(route.Owners, node)
		}
	}
	route.Owners = append(route.Owners, down...)
	return route, nil
}

// Forward hands a client's write to one owner, who coordinates it. Another owner is
// tried only where the request certainly never reached the one before: a write that
// two coordinate leaves two versions (TRAPS C10).
func (c *Coordinator) Forward(
	ctx context.Context, route Route, req *wire.ForwardRequest,
) (wire.ForwardReply, error) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		deadline = time.Now().Add(c.cfg.SendTimeout)
	}
	var last error
	for _, node := range route.Owners {
		reply, err := c.forwardTo(ctx, node, req, deadline)
		switch {
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
	text := "no owner of the key could be reached"
	if last != nil {
		text += ": " + last.Error()
	}
	return wire.ForwardReply{}, &Error{Code: wire.CodeUnavailable, Text: text, Err: last}
}

func (c *Coordinator) forwardTo(
	ctx context.Context, node kv.NodeID, req *wire.ForwardRequest, deadline time.Time,
) (wire.ForwardReply, error) {
	type answer struct {
		reply wire.ForwardReply
		err   error
	}
	answers := make(chan answer, 1) // one answer ever comes
	req.RemainingMS = uint32(max(1, time.Until(deadline).Milliseconds()))
	c.open.Add(1)
	c.peers.Forward(node, req, deadline, func(reply wire.ForwardReply, err error) {
		answers <- answer{reply, err}
		c.open.Done()
	})
	select {
	case a := <-answers:
		return a.reply, a.err
	case <-ctx.Done():
		return wire.ForwardReply{}, context.Cause(ctx)
	}
}
