// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// handleClusterJoin answers cluster.join: it registers a node, and tells it whom it may
// ask from then on.
func (s *Server) handleClusterJoin(ctx context.Context, req *request) (encoder, error) {
	var q wire.JoinRequest
	if err := wire.DecodeJoinRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	// A node that could not name the seats had better register nobody.
	if err := s.show(ctx, true, func(*state.State) {}); err != nil {
		return nil, err
	}
	own := ring.ClusterID(s.parts.Cluster.Identity().Cluster).String()
	if q.Cluster != "" && q.Cluster != own {
		return nil, &coordinator.Error{
			Code: wire.CodeInvalid,
			Text: fmt.Sprintf("this is cluster %s, the node is of %.64q", own, q.Cluster),
		}
	}
	result, err := s.decide(ctx, state.RegisterMember{
		Name: q.Name, Zone: q.Zone, Weight: q.Weight,
		Addresses: state.Addresses(q.Addresses), Expect: q.Expect, Replicas: q.Replicas,
	})
	if err != nil {
		return nil, err
	}
	answer := wire.JoinResult{
		Cluster: own, ID: result.Member.ID, Instance: result.Member.Instance,
		Index: result.Member.Registered, Accepted: result.Member.Open != kv.Open{},
	}
	seats := s.seats()
	err = s.show(ctx, true, func(st *state.State) {
		answer.Generation = st.Generation()
		answer.Members = seats.members(st, true)
	})
	return func(dst []byte) []byte { return wire.AppendJoinResult(dst, &answer) }, err
}

// seats are the seats of the group as this node knows them.
type seats struct {
	status meta.Status
	byNode map[kv.NodeID]meta.SeatStatus
}

// seats asks this node's part in the group; it must be there.
func (s *Server) seats() seats {
	known := seats{status: (*s.part.Load()).Status(), byNode: make(map[kv.NodeID]meta.SeatStatus)}
	for _, seat := range known.status.Seats {
		known.byNode[seat.Node] = seat
	}
	return known
}

// members shows the members in order of their numbers; all, or only those with a seat.
func (s seats) members(st *state.State, seated bool) []wire.GroupMember {
	var list []wire.GroupMember
	for _, m := range st.Members() {
		seat, has := s.byNode[m.ID]
		if !has && seated {
			continue
		}
		shown := wire.GroupMember{
			Member: MemberOf(m.Member), Weight: m.Weight, Instance: m.Instance, Raft: uint64(seat.Raft),
			Match: seat.Match, Seat: wire.SeatClient, Left: m.Left,
			Refused: m.Refused || m.RaftRefused,
		}
		switch {
		case has && seat.Voter:
			shown.Seat = wire.SeatVoter
		case has:
			shown.Seat = wire.SeatLearner
		}
		list = append(list, shown)
	}
	return list
}

// seatOf is a member's part in the group, as clients see it.
func seatOf(r meta.Role) wire.Seat {
	switch r {
	case meta.RoleVoter:
		return wire.SeatVoter
	case meta.RoleLearner:
		return wire.SeatLearner
	default:
		return wire.SeatClient
	}
}

// handleMetaStatus answers meta.status.
func (s *Server) handleMetaStatus(ctx context.Context, req *request) (encoder, error) {
	if err := decodeEmpty(req); err != nil {
		return nil, err
	}
	if _, err := s.group(); err != nil {
		return nil, err
	}
	identity, seats := s.parts.Cluster.Identity(), s.seats()
	result := wire.MetaStatusResult{
		Cluster: ring.ClusterID(identity.Cluster).String(), Role: seatOf(seats.status.Role),
		Term: seats.status.Term, Applied: seats.status.Applied, Committed: seats.status.Committed,
		Generation: seats.status.Generation,
	}
	err := s.show(ctx, true, func(st *state.State) {
		result.Node, result.Leader = nameOf(st, identity.Node), nameOf(st, seats.status.Leader)
		result.Members = seats.members(st, true)
		counts := st.Locks().Counts()
		result.Locks, result.Sessions = uint64(counts.Locks), uint64(counts.Sessions)
		result.Waiters = uint64(counts.Waiters)
	})
	return func(dst []byte) []byte { return wire.AppendMetaStatusResult(dst, &result) }, err
}

// nameOf is the name of a member; empty where there is no such one.
func nameOf(st *state.State, id kv.NodeID) string {
	m, _ := st.Member(id)
	return m.Name
}

// handleMetaMembers answers meta.members.
func (s *Server) handleMetaMembers(ctx context.Context, req *request) (encoder, error) {
	if err := decodeEmpty(req); err != nil {
		return nil, err
	}
	if _, err := s.group(); err != nil {
		return nil, err
	}
	seats := s.seats()
	var result wire.MetaMembersResult
	err := s.show(ctx, true, func(st *state.State) {
		result.Index = st.Index()
		result.Members = seats.members(st, false)
	})
	return func(dst []byte) []byte { return wire.AppendMetaMembersResult(dst, &result) }, err
}

// handleStateSnapshot answers meta.snapshot.
func (s *Server) handleStateSnapshot(ctx context.Context, req *request) (encoder, error) {
	var q wire.StateSnapshotRequest
	if err := wire.DecodeStateSnapshotRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	g, err := s.group()
	if err != nil {
		return nil, err
	}
	part, err := g.Save(ctx, q.Index, q.Offset, s.room())
	if err != nil {
		return nil, err
	}
	result := wire.StateSnapshotResult{
		Index: part.Index, Term: part.Term, Generation: part.Generation, Size: part.Total,
		Checksum: part.Sum, Offset: part.Offset, Chunk: part.Chunk,
	}
	return func(dst []byte) []byte { return wire.AppendStateSnapshotResult(dst, &result) }, nil
}
