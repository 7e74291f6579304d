// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"slices"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
)

// hints remembers who was last said to lead.
type hints struct {
	mu     sync.Mutex // guards what follows
	leader kv.NodeID  // 0: nobody
	term   uint64     // in which; 0: not known
}

// heard takes what a member says. Of two the later term counts.
func (h *hints) heard(leader kv.NodeID, term uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if leader == 0 || h.leader != 0 && term < h.term {
		return
	}
	h.leader, h.term = leader, term
}

// forget drops a hint that turned out wrong.
func (h *hints) forget(leader kv.NodeID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leader == leader {
		h.leader, h.term = 0, 0
	}
}

func (h *hints) get() kv.NodeID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.leader
}

// guess is whom to ask at a call's turn, counted from 0: who is said to lead, but for the
// member that has just failed, and otherwise one seat after the other, but for that and for
// the last that gave no answer: each may use up a try. 0: nobody is known.
func (g *Group) guess(turn int, failed, silent kv.NodeID) kv.NodeID {
	status := g.engine.standing()
	if status.Leads {
		return g.cfg.Node
	}
	for _, leader := range []kv.NodeID{status.Leader, g.hints.get()} {
		if leader != 0 && leader != failed && leader != g.cfg.Node {
			return leader
		}
	}
	seats := g.seats()
	for _, not := range []kv.NodeID{silent, failed} {
		if others := slices.DeleteFunc(slices.Clone(seats), func(n kv.NodeID) bool {
			return n == not
		}); len(others) > 0 {
			seats = others
		}
	}
	if len(seats) == 0 {
		return 0
	}
	return seats[(turn+int(g.cfg.Node))%len(seats)]
}

// named is who leads as far as this member has heard without asking; 0: nobody.
func (g *Group) named() kv.NodeID {
	status := g.engine.standing()
	switch {
	case status.Leads:
		return g.cfg.Node
	case status.Leader != 0:
		return status.Leader
	default:
		return g.hints.get()
	}
}

// seats are the other members to ask, in order of their numbers: those with a seat, as
// far as this member knows the state; without a state all that it has heard of, as any of
// them can tell who leads.
func (g *Group) seats() []kv.NodeID {
	var seats []kv.NodeID
	g.machine.read(func(s *state.State) {
		if s == nil {
			return
		}
		for _, m := range s.Members() {
			if m.Raft != 0 && m.ID != g.cfg.Node {
				seats = append(seats, m.ID)
			}
		}
	})
	if len(seats) > 0 {
		return seats
	}
	for _, seat := range g.cfg.Seats {
		seats = append(seats, seat.Node)
	}
	if g.cfg.Known != nil {
		seats = append(seats, g.cfg.Known()...)
	}
	if v := g.views.newest.Load(); v != nil && v.Ring != nil {
		for _, m := range v.Ring.Members() {
			seats = append(seats, m.ID)
		}
	}
	slices.Sort(seats)
	return slices.DeleteFunc(slices.Compact(seats), func(n kv.NodeID) bool {
		return n == g.cfg.Node
	})
}

// witnesses are all other members that are known here, in order of their numbers. A seat
// that has not applied its log yet knows more of them by the view of its last life.
func (g *Group) witnesses() []kv.NodeID {
	var nodes []kv.NodeID
	g.machine.read(func(s *state.State) {
		if s == nil {
			return
		}
		for _, m := range s.Members() {
			if !m.Left {
				nodes = append(nodes, m.ID)
			}
		}
	})
	if v := g.views.newest.Load(); v != nil && v.Ring != nil {
		for _, m := range v.Ring.Members() {
			nodes = append(nodes, m.ID)
		}
	}
	if g.cfg.Known != nil {
		nodes = append(nodes, g.cfg.Known()...)
	}
	slices.Sort(nodes)
	return slices.DeleteFunc(slices.Compact(nodes), func(n kv.NodeID) bool {
		return n == g.cfg.Node
	})
}

// address is where a member's peer port is: gossip knows best, then the state, then the
// view of an earlier life, then what the registration told.
func (g *Group) address(node kv.NodeID) string {
	if g.cfg.Address != nil {
		if addr := g.cfg.Address(node); addr != "" {
			return addr
		}
	}
	var addr string
	g.machine.read(func(s *state.State) {
		if s == nil {
			return
		}
		if m, known := s.Member(node); known {
			addr = m.Peer
		}
	})
	if v := g.views.newest.Load(); addr == "" && v != nil && v.Ring != nil {
		if m, known := v.Ring.Member(node); known {
			addr = m.Peer
		}
	}
	for _, seat := range g.cfg.Seats {
		if addr == "" && seat.Node == node {
			addr = seat.Peer
		}
	}
	return addr
}

// jitter is a pause of half to all of d, so that those who failed together do not come
// back together.
func (g *Group) jitter(d time.Duration) time.Duration {
	g.random.Lock()
	defer g.random.Unlock()
	return d/2 + time.Duration(g.rand.Int64N(int64(d/2)+1))
}
