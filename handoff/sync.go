// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// Sends are the calls that this node's coordinator has open.
type Sends interface {
	MarkSends() (mark uint64)
	EndedSends() (mark uint64)
}

// Statuses asks other members what they keep for others. A request is lent until done was
// called, which happens exactly once, perhaps before the call returns; done is quick.
type Statuses interface {
	HandoffStatus(
		kv.NodeID, *wire.HandoffStatusRequest, time.Time, func(wire.HandoffStatusReply, error))
}

const (
	// askTimeout bounds the question to one member: those that are down shall not hold up
	// what is told of the others.
	askTimeout = 2 * time.Second
	// pollMin and pollMax bound the pauses between questions while somebody waits.
	pollMin = 50 * time.Millisecond
	pollMax = time.Second
)

// Syncer tells what all nodes keep for others, and waits until what is older than a moment
// is where it belongs. Its methods may be called at the same time.
type Syncer struct {
	// Immutable after NewSyncer.
	node      kv.NodeID
	open      kv.Open
	ring      func() *ring.Ring
	deliverer *Deliverer
	sends     Sends
	peers     Statuses
}

// NewSyncer returns a syncer for a process of a node, which open names.
func NewSyncer(d *Deliverer, open kv.Open, sends Sends, peers Statuses) *Syncer {
	return &Syncer{
		node: d.cfg.Node, open: open, ring: d.cfg.Ring, deliverer: d, sends: sends, peers: peers,
	}
}

// NodeStatus is what a node keeps for others, or why it does not say.
type NodeStatus struct {
	Node   kv.NodeID
	Status wire.HandoffStatusReply
	Err    error
}

// Own is what this node keeps for others.
func (s *Syncer) Own(q *wire.HandoffStatusRequest) wire.HandoffStatusReply {
	reply := wire.HandoffStatusReply{Open: s.open}
	if q.MarkSends {
		reply.Sends.Mark = s.sends.MarkSends()
	}
	if q.MarkHints {
		reply.Hints.Mark = s.deliverer.Mark()
	}
	reply.Sends.Ended, reply.Hints.Ended = s.sends.EndedSends(), s.deliverer.Ended()
	s.deliverer.report(&reply)
	return reply
}

// Report is what is kept here, by the member that it is for now.
func (d *Deliverer) Report() wire.HandoffStatusReply {
	var reply wire.HandoffStatusReply
	d.report(&reply)
	return reply
}

// report fills in what is kept, by the member that it is for now.
func (d *Deliverer) report(reply *wire.HandoffStatusReply) {
	status := d.hints.HintStatus()
	reply.Counted = status.Counted
	reply.Bytes, reply.Limit = uint64(status.Bytes), uint64(status.Limit)
	reply.Refused, reply.Unkept = status.Refused, status.Unkept
	reply.Delivered, reply.Sent = d.Delivered()
	current := d.cfg.Ring()
	if current == nil {
		return
	}
	byNode := make(map[kv.NodeID]*wire.HandoffBacklog)
	for _, c := range status.Cells {
		members := membersOf(current, c.HintCell)
		if len(members) == 0 {
			continue
		}
		b := byNode[members[0]]
		if b == nil {
			b = &wire.HandoffBacklog{Node: members[0]}
			byNode[members[0]] = b
		}
		b.Hints += uint64(c.Hints)
		b.Markers += uint64(c.Markers)
		b.Damaged += uint64(c.Damaged)
		b.Bytes += uint64(c.Bytes)
		if c.Oldest != 0 && (b.Oldest == 0 || c.Oldest < b.Oldest) {
			b.Oldest = c.Oldest
		}
	}
	for _, m := range current.Members() { // in order of their numbers
		if b := byNode[m.ID]; b != nil {
			reply.Backlog = append(reply.Backlog, *b)
		}
	}
}

// Status asks all members, this one included; the list is in order of their numbers.
func (s *Syncer) Status(ctx context.Context) []NodeStatus {
	return s.ask(ctx, &wire.HintsPoint{}, false)
}

// Wait goes on with a wait, from the zero point on, until it is over or ctx ends; done tells
// which. next is where to go on, nodes what the members said last.
func (s *Syncer) Wait(ctx context.Context, point wire.HintsPoint) (
	next wire.HintsPoint, nodes []NodeStatus, done bool,
) {
	for pause := pollMin; ; pause = min(2*pause, pollMax) {
		nodes = s.ask(ctx, &point, true)
		half := point.Hints
		if point, done = advance(point, nodes); done || ctx.Err() != nil ||
			len(Stuck(&point, nodes)) > 0 {
			return point, nodes, done
		}
		if point.Hints != half {
			continue // ask for the marks of the second half at once
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return point, nodes, false
		}
	}
}

// ask asks all members side by side, and has those set a mark of which the point has none.
func (s *Syncer) ask(ctx context.Context, point *wire.HintsPoint, mark bool) []NodeStatus {
	current := s.ring()
	if current == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	members := current.Members()
	answers := make(chan NodeStatus, len(members)) // one each: nobody waits
	for _, m := range members {
		q := &wire.HandoffStatusRequest{}
		if mark {
			q = markOf(point, m.ID)
		}
		if m.ID == s.node {
			answers <- NodeStatus{Node: m.ID, Status: s.Own(q)}
			continue
		}
		s.peers.HandoffStatus(m.ID, q, deadline, func(reply wire.HandoffStatusReply, err error) {
			answers <- NodeStatus{Node: m.ID, Status: reply, Err: err}
		})
	}
	list := make([]NodeStatus, len(members))
	for i, m := range members {
		list[i] = NodeStatus{Node: m.ID, Err: errSilent}
	}
	for range members {
		select {
		case a := <-answers:
			for i := range list {
				if list[i].Node == a.Node {
					list[i] = a
				}
			}
		case <-ctx.Done():
			return list
		}
	}
	return list
}

// Stuck are the nodes at which a wait stands that can not end by itself: they keep hints
// that can not be read, and nothing else is left that is older, at any node. It returns nil
// where something may happen yet.
func Stuck(point *wire.HintsPoint, nodes []NodeStatus) (at []NodeStatus) {
	for _, n := range nodes {
		known := nodeOf(point, n.Node)
		if known != nil && known.Done && point.Hints {
			continue
		}
		var left, damaged uint64
		for _, b := range n.Status.Backlog {
			left, damaged = left+b.Hints+b.Markers, damaged+b.Damaged
		}
		if known == nil || !point.Hints || n.Err != nil || !n.Status.Counted || left > 0 || damaged == 0 {
			return nil
		}
		at = append(at, n)
	}
	return at
}

var errSilent = errors.New("handoff: no answer within its time")

// markOf is what a node is to be asked at a point of a wait.
func markOf(point *wire.HintsPoint, node kv.NodeID) *wire.HandoffStatusRequest {
	if nodeOf(point, node) != nil {
		return &wire.HandoffStatusRequest{}
	}
	return &wire.HandoffStatusRequest{MarkSends: !point.Hints, MarkHints: point.Hints}
}

func nodeOf(point *wire.HintsPoint, node kv.NodeID) *wire.HintsPointNode {
	for i := range point.Nodes {
		if point.Nodes[i].Node == node {
			return &point.Nodes[i]
		}
	}
	return nil
}

// advance brings a point as far as the answers say: into the second half when the sends of
// all nodes that are older have ended, and to its end when their hints were delivered.
func advance(point wire.HintsPoint, answers []NodeStatus) (next wire.HintsPoint, done bool) {
	next = wire.HintsPoint{Hints: point.Hints}
	all := len(answers) > 0
	for _, a := range answers {
		known := nodeOf(&point, a.Node)
		if known != nil {
			next.Nodes = append(next.Nodes, *known)
		}
		if known != nil && known.Done {
			continue
		}
		if a.Err == nil {
			next.Nodes = follow(next.Nodes, known, &a, point.Hints)
		}
		last := nodeOf(&next, a.Node)
		all = all && last != nil && last.Done
	}
	switch {
	case !all:
		return next, false
	case !next.Hints:
		return wire.HintsPoint{Hints: true}, false
	default:
		return next, true
	}
}

// follow takes one node's answer. known, where there is one, is the last of the nodes.
func follow(
	nodes []wire.HintsPointNode, known *wire.HintsPointNode, a *NodeStatus, hints bool,
) []wire.HintsPointNode {
	mark := a.Status.Sends
	if hints {
		mark = a.Status.Hints
	}
	switch {
	case known == nil:
		nodes = append(nodes, wire.HintsPointNode{Node: a.Node, Open: a.Status.Open, Mark: mark.Mark})
	case known.Open != a.Status.Open && hints:
		return nodes[:len(nodes)-1] // its hints have outlived the process: they are marked again
	case known.Open != a.Status.Open:
		nodes[len(nodes)-1].Done = true // its sends ended with the process
		return nodes
	}
	last := &nodes[len(nodes)-1]
	last.Done = mark.Ended >= last.Mark
	return nodes
}
