// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// sends are those of a coordinator that a test plays.
type sends struct{ last, ended uint64 }

func (s *sends) MarkSends() uint64  { s.last++; return s.last }
func (s *sends) EndedSends() uint64 { return s.ended }

// syncing is a cluster whose nodes can be asked.
type syncing struct {
	*net
	syncers map[kv.NodeID]*Syncer
	sends   map[kv.NodeID]*sends
}

func newSyncing(t *testing.T) *syncing {
	s := &syncing{
		net: newNet(t), syncers: make(map[kv.NodeID]*Syncer), sends: make(map[kv.NodeID]*sends),
	}
	for id := range s.nodes {
		s.sends[id] = &sends{}
		s.begin(id, 1)
	}
	return s
}

// begin starts a process of a node.
func (s *syncing) begin(id kv.NodeID, open uint64) {
	d := s.nodes[id].deliver()
	s.syncers[id] = NewSyncer(d, kv.Open{Seq: open, Nonce: open}, s.sends[id], s)
}

func (s *syncing) HandoffStatus(
	to kv.NodeID, q *wire.HandoffStatusRequest, _ time.Time,
	done func(wire.HandoffStatusReply, error),
) {
	if !s.alive(to) {
		done(wire.HandoffStatusReply{}, errors.New("out of reach"))
		return
	}
	done(s.syncers[to].Own(q), nil)
}

// wait waits for at most so long, from a point on, at node 1.
func (s *syncing) wait(t *testing.T, most time.Duration, from wire.HintsPoint) (
	wire.HintsPoint, bool,
) {
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	point, told, done := s.syncers[1].Wait(ctx, from)
	if len(told) != nodes {
		t.Errorf("%d of %d nodes are told of", len(told), nodes)
	}
	return point, done
}

func TestAWaitOnAClusterWithoutHintsIsShort(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSyncing(t)
		for _, c := range s.sends {
			c.ended = 1
		}
		began := time.Now()
		if _, done := s.wait(t, time.Minute, wire.HintsPoint{}); !done {
			t.Error("it does not end")
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// The order is that of the data: a send that is open may leave a hint, so hints are marked
// when no older send is open anywhere.
func TestAWaitEndsFirstTheSendsAndThenTheHints(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSyncing(t)
		for _, id := range []kv.NodeID{1, 2, 4} {
			s.sends[id].ended = 1
		}
		point, done := s.wait(t, 10*time.Second, wire.HintsPoint{})
		if done || point.Hints {
			t.Fatalf("a send of node 3 is open: %+v", point)
		}
		key, owners := s.keyOf(4, 0)
		s.fell(owners[1])
		s.nodes[4].hint(key, 1, written(2, "of the last send"))
		s.rose(owners[1])
		s.fell(owners[1]) // and it is down again
		s.sends[3].ended = 1
		point, done = s.wait(t, 10*time.Second, point)
		if done {
			t.Error("a hint is left, and one node is out of reach")
		}
		s.rose(owners[1])
		if _, done = s.wait(t, time.Minute, point); !done {
			t.Error("it does not end")
		}
		if got := s.nodes[owners[1]].values(key); !slices.Equal(got, []string{"of the last send"}) {
			t.Errorf("the owner holds %q", got)
		}
	})
}

// A process that ends takes its open sends with it, and leaves its hints to the next.
func TestAWaitOutlivesTheProcessesItWaitsFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSyncing(t)
		for _, id := range []kv.NodeID{1, 2, 3} {
			s.sends[id].ended = 1
		}
		point, done := s.wait(t, time.Second, wire.HintsPoint{})
		if done || point.Hints {
			t.Fatalf("%+v", point)
		}
		key, owners := s.keyOf(4, 0)
		s.fell(owners[1])
		s.nodes[4].hint(key, 1, written(2, "v"))
		s.nodes[4].restart()
		s.sends[4] = &sends{}
		s.begin(4, 2)
		if point, done = s.wait(t, 10*time.Second, point); done || !point.Hints {
			t.Fatalf("the sends of the process that ended are waited for: %+v", point)
		}
		s.nodes[4].restart()
		s.begin(4, 3)
		if point, done = s.wait(t, 10*time.Second, point); done {
			t.Fatalf("the hint was forgotten with the process: %+v", point)
		}
		s.rose(owners[1])
		if _, done = s.wait(t, time.Minute, point); !done {
			t.Error("it does not end")
		}
		if got := s.nodes[owners[1]].values(key); !slices.Equal(got, []string{"v"}) {
			t.Errorf("the owner holds %q", got)
		}
	})
}

func TestStatusTellsOfEveryMember(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSyncing(t)
		key, owners := s.keyOf(4, 0)
		s.fell(owners[1])
		s.nodes[4].hint(key, 1, written(2, "v"))
		other, _ := s.keyOf(4, 1)
		for slot, owner := range func() []kv.NodeID { _, o := keyAndOwners(s.net, other); return o }() {
			if owner == owners[1] {
				s.nodes[4].hint(other, uint8(slot), written(2, "v"))
			}
		}
		time.Sleep(time.Minute)
		asker := kv.NodeID(4)
		list := s.syncers[asker].Status(t.Context())
		if len(list) != nodes {
			t.Fatalf("%d nodes", len(list))
		}
		for i, n := range list {
			if n.Node != kv.NodeID(i+1) || (n.Err != nil) != (n.Node == owners[1]) {
				t.Errorf("%+v", n)
			}
		}
		own := list[asker-1].Status
		if len(own.Backlog) != 1 || own.Backlog[0].Node != owners[1] || own.Backlog[0].Hints < 1 ||
			own.Backlog[0].Oldest == 0 || own.Backlog[0].Bytes != own.Bytes || own.Bytes == 0 ||
			!own.Counted || own.Limit == 0 || own.Sends.Mark != 0 {
			t.Errorf("%+v", own)
		}
		s.rose(owners[1])
		eventually(t, time.Minute, "nothing is left", func() bool { return s.nodes[4].kept() == 0 })
		own = s.syncers[asker].Own(&wire.HandoffStatusRequest{})
		if len(own.Backlog) != 0 || own.Delivered < 1 || own.Sent == 0 {
			t.Errorf("%+v", own)
		}
	})
}

// What does not answer is told of as that, within a bound, and asked again.
func TestASilentMemberIsWaitedForAndNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSyncing(t)
		for _, c := range s.sends {
			c.ended = 1
		}
		silent := NewSyncer(s.nodes[1].deliverer, kv.Open{Seq: 1}, s.sends[1], muted{s, 3})
		began := time.Now()
		list := silent.Status(t.Context())
		if took := time.Since(began); took != askTimeout || !errors.Is(list[2].Err, errSilent) {
			t.Errorf("after %v: %v", took, list[2].Err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, _, done := silent.Wait(ctx, wire.HintsPoint{}); done {
			t.Error("a wait has ended without one member")
		}
	})
}

// muted lets the answers of one node be lost.
type muted struct {
	Statuses
	node kv.NodeID
}

func (m muted) HandoffStatus(
	to kv.NodeID, q *wire.HandoffStatusRequest, d time.Time,
	done func(wire.HandoffStatusReply, error),
) {
	if to != m.node {
		m.Statuses.HandoffStatus(to, q, d, done)
	}
}

// A hint that can not be read is kept for ever: who waits for all hints is told of that as soon
// as nothing else is left, and not before.
func TestAWaitTellsWhereOnlyDamagedHintsAreLeft(t *testing.T) {
	answer := func(node kv.NodeID, ended uint64, b ...wire.HandoffBacklog) NodeStatus {
		n := NodeStatus{Node: node}
		n.Status.Counted, n.Status.Hints.Ended, n.Status.Backlog = true, ended, b
		return n
	}
	at := wire.HintsPoint{Hints: true, Nodes: []wire.HintsPointNode{
		{Node: 1, Mark: 3, Done: true}, {Node: 2, Mark: 3}, {Node: 3, Mark: 3},
	}}
	damaged := wire.HandoffBacklog{Node: 4, Damaged: 2}
	young := answer(1, 3, wire.HandoffBacklog{Node: 4, Hints: 7})
	all := []NodeStatus{young, answer(2, 2, damaged), answer(3, 2, damaged, damaged)}
	if got := Stuck(&at, all); len(got) != 2 || got[0].Node != 2 || got[1].Node != 3 {
		t.Errorf("%+v", got)
	}
	for name, c := range map[string]struct {
		point wire.HintsPoint
		third NodeStatus
	}{
		"a hint is left":       {at, answer(3, 2, damaged, wire.HandoffBacklog{Node: 5, Hints: 1})},
		"a marker is left":     {at, answer(3, 2, damaged, wire.HandoffBacklog{Node: 5, Markers: 1})},
		"a clean pass is left": {at, answer(3, 2)},
		"it does not answer":   {at, NodeStatus{Node: 3, Err: errSilent}},
		"it was not asked yet": {wire.HintsPoint{Hints: true, Nodes: at.Nodes[:2]}, all[2]},
		"sends are waited for": {wire.HintsPoint{Nodes: at.Nodes}, all[2]},
		"it is counting":       {at, func() NodeStatus { n := all[2]; n.Status.Counted = false; return n }()},
	} {
		if got := Stuck(&c.point, []NodeStatus{young, all[1], c.third}); got != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
