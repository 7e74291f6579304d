// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/wire"
)

// node tells of the node and its place in the ring.
func (s *scrape) node() {
	s.set("dyno_node_ready", flag(s.from.Ready()))
	current := s.from.Ring()
	if current == nil {
		return
	}
	s.set("dyno_ring_version", float64(current.Version()))
	s.set("dyno_ring_members", float64(len(current.Members())))
	d := s.from.Data()
	if d == nil {
		return
	}
	owned, all := 0, 0
	for p := range current.Partitions() {
		all += len(current.Placement(uint16(p)).Slots)
		if _, owns := current.SlotOf(uint16(p), d.Node); owns {
			owned++
		}
	}
	s.set("dyno_ring_owned_share_ratio", float64(owned)/float64(max(1, all)))
}

// requests tells of what clients and peers ask.
func (s *scrape) requests() {
	failures := make(map[string]float64)
	for _, r := range s.from.Server.Requests() {
		code := string(r.Code)
		switch r.Code {
		case "":
			code = "OK"
		case wire.CodeQuorum, wire.CodeUnavailable:
			failures[r.Method] += float64(r.Times.Count())
		}
		s.set("dyno_client_requests_total", float64(r.Times.Count()), r.Method, code)
		s.tell("dyno_client_request_duration_seconds", r.Times, s.times(), r.Method, code)
		if _, known := failures[r.Method]; !known {
			failures[r.Method] = 0
		}
	}
	for op, n := range failures {
		s.set("dyno_client_quorum_failures_total", n, op)
	}
	reads := s.from.Server.Reads()
	s.tell("dyno_client_siblings", &reads.Siblings, span{from: 1, to: 7, step: 1, unit: 1})
	s.tell("dyno_client_context_bytes", &reads.Context, s.sizes())
	for _, g := range s.from.Server.Gates() {
		s.set("dyno_server_inflight_requests", float64(g.Open), g.Name)
		s.set("dyno_server_rejected_requests_total", float64(g.Refused), g.Name)
	}
	for _, p := range s.from.Server.Ports() {
		s.set("dyno_rpc_connections", float64(p.Conns), p.Name)
		s.set("dyno_rpc_open_calls", float64(p.Open), p.Name)
		s.set("dyno_rpc_held_bytes", float64(p.Held), p.Name)
		for _, r := range []struct {
			reason string
			count  uint64
		}{
			{"foreign", p.Foreign},
			{"malformed", p.Malformed},
			{"protocol", p.Protocol},
			{"slow-consumer", p.SlowConsumer},
			{"unauthenticated", p.Unauthenticated},
			{"held-too-much", p.HeldTooMuch},
			{"too-many", p.TooMany},
		} {
			s.set("dyno_rpc_refused_connections_total", float64(r.count), p.Name, r.reason)
		}
	}
}

// coordinator tells of the replicas that requests were carried over.
func (s *scrape) coordinator(d *Data) {
	const name = "dyno_coordinator_replica_duration_seconds"
	for _, a := range d.Coordinator.Answers() {
		s.tell(name, a.Reads, s.times(), s.nameOf(a.Node), "read")
		s.tell(name, a.Stores, s.times(), s.nameOf(a.Node), "store")
	}
	sent, skipped := d.Coordinator.Repairs()
	s.set("dyno_coordinator_read_repairs_total", float64(sent))
	s.set("dyno_coordinator_read_repairs_skipped_total", float64(skipped))
}

// gossip tells how the members seem.
func (s *scrape) gossip(d *Data) {
	view, counts := d.Gossip.View(), make(map[gossip.Status]int)
	for _, m := range view.Members {
		counts[m.Status]++
	}
	for _, status := range []gossip.Status{
		gossip.StatusAlive, gossip.StatusDown, gossip.StatusUnknown,
	} {
		s.set("dyno_gossip_members", float64(counts[status]), status.String())
	}
	s.set("dyno_gossip_conflicts", float64(len(view.Conflicts)))
	stats := d.Gossip.Stats()
	s.set("dyno_gossip_refused_total", float64(stats.ForeignRefused), "foreign")
	s.set("dyno_gossip_refused_total", float64(stats.MetaRefused), "unreadable")
	s.set("dyno_gossip_refused_total", float64(stats.RoomRefused), "no-room")
	s.set("dyno_gossip_rejoins_total", float64(stats.RejoinDone))
}

// group tells of the metadata group as this member knows it.
func (s *scrape) group(g *meta.Group) {
	status := g.Status()
	for _, r := range []meta.Role{meta.RoleVoter, meta.RoleLearner, meta.RoleClient} {
		s.set("dyno_raft_role", flag(status.Role == r), r.String())
	}
	s.set("dyno_raft_is_leader", flag(status.Leads))
	s.set("dyno_raft_has_leader", flag(status.Leader != 0))
	s.set("dyno_raft_term", float64(status.Term))
	s.set("dyno_raft_applied_index", float64(status.Applied))
	s.set("dyno_raft_committed_index", float64(status.Committed))
	s.set("dyno_lock_locks", float64(status.Locks.Locks))
	s.set("dyno_lock_sessions", float64(status.Locks.Sessions))
	s.set("dyno_lock_waiters", float64(status.Locks.Waiters))
	s.set("dyno_lock_parked_waits", float64(status.Parked))
}
