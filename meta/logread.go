// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/dyno-kv/dyno/wire"
)

// InitialState implements raft.Storage.
func (s *logStore) InitialState() (*pb.HardState, *pb.ConfState, error) {
	hs := &pb.HardState{
		Term: new(s.state.Term), Vote: new(s.state.Vote), Commit: new(s.state.Commit),
	}
	return hs, seatsOf(&s.head), nil
}

// Entries implements raft.Storage.
func (s *logStore) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	if lo <= s.state.Base {
		return nil, raft.ErrCompacted
	}
	if hi > s.state.Last+1 {
		return nil, raft.ErrUnavailable
	}
	entries := s.entries[lo-s.state.Base-1 : hi-s.state.Base-1]
	size := uint64(0)
	for i, e := range entries {
		if size += uint64(proto.Size(e)); size > maxSize && i > 0 {
			entries = entries[:i]
			break
		}
	}
	return entries[:len(entries):len(entries)], nil
}

// Term implements raft.Storage.
func (s *logStore) Term(index uint64) (uint64, error) {
	switch {
	case index < s.state.Base:
		return 0, raft.ErrCompacted
	case index == s.state.Base:
		return s.state.BaseTerm, nil
	case index > s.state.Last:
		return 0, raft.ErrUnavailable
	default:
		return s.entries[index-s.state.Base-1].GetTerm(), nil
	}
}

// LastIndex implements raft.Storage.
func (s *logStore) LastIndex() (uint64, error) { return s.state.Last, nil }

// FirstIndex implements raft.Storage.
func (s *logStore) FirstIndex() (uint64, error) { return s.state.Base + 1, nil }

// Snapshot implements raft.Storage: the state of the moment, not the stored snapshot, for
// only the former surely has the seat that it is for among its seats.
func (s *logStore) Snapshot() (*pb.Snapshot, error) { return s.now() }

// seatsOf returns the seats as of a snapshot.
func seatsOf(h *wire.SnapshotHead) *pb.ConfState {
	return &pb.ConfState{
		Voters: h.Voters, Learners: h.Learners, VotersOutgoing: h.Outgoing,
		LearnersNext: h.LearnersNext, AutoLeave: new(h.AutoLeave),
	}
}

// setSeats is the inverse of seatsOf.
func setSeats(h *wire.SnapshotHead, seats *pb.ConfState) {
	h.Voters, h.Learners = seats.GetVoters(), seats.GetLearners()
	h.Outgoing, h.LearnersNext = seats.GetVotersOutgoing(), seats.GetLearnersNext()
	h.AutoLeave = seats.GetAutoLeave()
}
