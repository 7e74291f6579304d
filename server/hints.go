// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"time"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/handoff"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// Hints are what this node keeps for others, and what it can ask of the others' hints.
type Hints interface {
	// Own tells of this node, and sets marks where it is asked to. It does not wait.
	Own(*wire.HandoffStatusRequest) wire.HandoffStatusReply
	// Status asks all members.
	Status(ctx context.Context) []handoff.NodeStatus
	// Wait goes on with a wait for all that is older than its first call, until it is over
	// or ctx ends.
	Wait(ctx context.Context, point wire.HintsPoint) (
		next wire.HintsPoint, nodes []handoff.NodeStatus, done bool)
}

// hintsMethods are those of the feature `hints`, where the node has it.
func (s *Server) hintsMethods() []method {
	if !s.parts.Hinting {
		return nil
	}
	return []method{
		{name: wire.MethodHintsStatus, handle: s.handleHintsStatus, data: true, gate: s.decisions},
		// Those who wait shall not keep others from their keys: they pass the gate of waits.
		{name: wire.MethodHintsWait, handle: s.handleHintsWait, data: true, gate: s.attempts},
	}
}

// handleHintsStatus answers hints.status.
func (s *Server) handleHintsStatus(ctx context.Context, req *request) (encoder, error) {
	var q wire.EmptyRequest
	if err := wire.DecodeEmptyRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	ctx, cancel = inTime(ctx)
	defer cancel()
	names := s.memberNames()
	result := wire.HintsStatusResult{Node: names[s.parts.Cluster.Identity().Node]}
	now := s.parts.Now()
	for _, n := range s.data.Load().Hints.Status(ctx) {
		result.Nodes = append(result.Nodes, hintsNode(n, names, now))
	}
	return func(dst []byte) []byte { return wire.AppendHintsStatusResult(dst, &result) }, nil
}

// inTime ends a little before ctx does, so that the client hears what is known by then.
func inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	return context.WithTimeout(ctx, left-min(left/8, maxHaste))
}

// memberNames are the names of the members by their numbers.
func (s *Server) memberNames() map[kv.NodeID]string {
	names := make(map[kv.NodeID]string)
	if current := s.parts.Cluster.Ring(); current != nil {
		for _, m := range current.Members() {
			names[m.ID] = m.Name
		}
	}
	return names
}

// hintsNode shows what one node said.
func hintsNode(n handoff.NodeStatus, names map[kv.NodeID]string, now time.Time) wire.HintsNode {
	if n.Err != nil {
		why := n.Err.Error()
		if errors.Is(n.Err, coordinator.ErrNotSent) {
			why = "not reachable from here"
		}
		return wire.HintsNode{Node: names[n.Node], Reason: why}
	}
	a := &n.Status
	shown := wire.HintsNode{
		Node: names[n.Node], Counted: a.Counted, Bytes: a.Bytes, Limit: a.Limit,
		Delivered: a.Delivered, Sent: a.Sent, Refused: a.Refused, Unkept: a.Unkept,
	}
	for _, b := range a.Backlog {
		backlog := wire.HintsBacklog{
			Peer: names[b.Node], Hints: b.Hints, Markers: b.Markers, Damaged: b.Damaged, Bytes: b.Bytes,
		}
		if b.Oldest > 0 {
			backlog.OldestMS = uint64(max(0, now.UnixMilli()-b.Oldest))
		}
		shown.Backlog = append(shown.Backlog, backlog)
	}
	return shown
}

// handleHintsWait answers hints.wait: when the wait is over, or a little before the
// request's time is, so that the client hears how far it is. It waits outside of the
// connection's window.
func (s *Server) handleHintsWait(ctx context.Context, req *request) (encoder, error) {
	var q wire.HintsWaitRequest
	if err := wire.DecodeHintsWaitRequest(req.params, &q); err != nil {
		return nil, err
	}
	var point wire.HintsPoint
	if len(q.Point) > 0 {
		if err := wire.DecodeHintsPoint(q.Point, &point); err != nil {
			return nil, &coordinator.Error{
				Code: wire.CodeInvalid, Text: "point is not of an earlier answer", Err: err,
			}
		}
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	if !req.leaveWindow() {
		return nil, errNoPlace
	}
	defer context.AfterFunc(s.draining, cancel)()
	ctx, cancel = inTime(ctx)
	defer cancel()
	next, nodes, done := s.data.Load().Hints.Wait(ctx, point)
	result := wire.HintsWaitResult{Done: done, Sends: !done && !next.Hints}
	if !done {
		result.Point = wire.AppendHintsPoint(nil, &next)
	}
	s.sumHints(&result, nodes, handoff.Stuck(&next, nodes))
	return func(dst []byte) []byte { return wire.AppendHintsWaitResult(dst, &result) }, nil
}

// sumHints adds up what the nodes have left.
func (s *Server) sumHints(result *wire.HintsWaitResult, nodes, stuck []handoff.NodeStatus) {
	names := s.memberNames()
	for _, n := range stuck {
		at := wire.HintsStuck{Node: names[n.Node]}
		for _, b := range n.Status.Backlog {
			at.Damaged += b.Damaged
		}
		result.Stuck = append(result.Stuck, at)
	}
	for _, n := range nodes {
		if n.Err != nil {
			result.Missing = append(result.Missing, names[n.Node])
			continue
		}
		for _, b := range n.Status.Backlog {
			result.Hints += b.Hints
			result.Markers += b.Markers
			result.Bytes += b.Bytes
			result.Damaged += b.Damaged
		}
	}
}

// peerHandoff tells a member what this node keeps for others.
func (s *Server) peerHandoff(j *peerJob) error {
	var q wire.HandoffStatusRequest
	if err := wire.DecodeHandoffStatusRequest(j.call.Params, &q); err != nil {
		return err
	}
	hints := s.data.Load().Hints
	if hints == nil {
		return &coordinator.Error{
			Code: wire.CodeNotReady, Text: "this node keeps no hints",
		}
	}
	reply := hints.Own(&q)
	j.answer(func(dst []byte) []byte { return wire.AppendHandoffStatusReply(dst, &reply) })
	return nil
}
