// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
)

// role is what a member is in the raft group.
type role uint8

const (
	roleClient  role = 1 + iota // no seat: it tails one
	roleLearner                 // takes entries, has no vote
	roleVoter
)

func (r role) String() string {
	switch r {
	case roleClient:
		return "client"
	case roleLearner:
		return "learner"
	case roleVoter:
		return "voter"
	default:
		return fmt.Sprintf("role(%d)", uint8(r))
	}
}

// engineStatus is what can be told of an engine. It is never changed.
type engineStatus struct {
	Role role
	Raft state.RaftID // 0 for a client
	Open kv.Open      // of a seat: the present opening of its store
	// Sole says that this seat is the group's only voter, as far as its log tells.
	Sole bool
	// Fed says that raft applies entries here. Where it does not, the services tail a seat.
	Fed bool
	// Refused says why the group does not take this member's seat; "" where it does.
	Refused  string
	Leads    bool
	Leader   kv.NodeID // 0 where it is not known
	Term     uint64
	First    uint64 // of a leader: its own first entry
	Last     uint64 // newest entry of the log
	Commit   uint64
	Voters   []state.RaftID // in order
	Learners []state.RaftID // in order
	// Match is, at the leader, up to where each seat's log was known to agree a tick ago.
	Match map[state.RaftID]uint64
}

// publish tells how things stand.
func (l *loop) publish() {
	s := &engineStatus{
		Role: roleClient, Fed: l.fed, Refused: l.refused, Term: l.store.state.Term,
		Last: l.store.state.Last, Commit: l.store.state.Commit,
	}
	if l.shown != l.seats {
		l.shown = l.seats
		l.voters, l.learners = idsOf(l.seats.GetVoters()), idsOf(l.seats.GetLearners())
	}
	if l.node != nil {
		s.Raft, s.Role, s.Open = l.raft, roleLearner, l.e.env.open
		s.Voters, s.Learners, s.Sole = l.voters, l.learners, l.sole()
		if slices.Contains(s.Voters, l.raft) {
			s.Role = roleVoter
		}
		switch l.soft.RaftState {
		case raft.StateCandidate, raft.StatePreCandidate:
			// It asks for votes, since it has not heard of the leader that raft still names.
		default:
			s.Leader = state.RaftID(l.soft.Lead).Node()
		}
	}
	if l.leads() {
		s.Leads, s.Term, s.First, s.Match = true, l.led.Term, l.led.First, l.match
	}
	if old := l.e.status.Load(); old == nil || !old.equal(s) {
		l.e.status.Store(s)
	}
}

func (s *engineStatus) equal(o *engineStatus) bool {
	return s.Role == o.Role && s.Raft == o.Raft && s.Open == o.Open && s.Sole == o.Sole &&
		s.Fed == o.Fed && s.Refused == o.Refused && s.Leads == o.Leads && s.Leader == o.Leader &&
		s.Term == o.Term && s.First == o.First && s.Last == o.Last && s.Commit == o.Commit &&
		slices.Equal(s.Voters, o.Voters) && slices.Equal(s.Learners, o.Learners) &&
		maps.Equal(s.Match, o.Match)
}

func idsOf(list []uint64) []state.RaftID {
	ids := make([]state.RaftID, len(list))
	for i, id := range list {
		ids[i] = state.RaftID(id)
	}
	slices.Sort(ids)
	return ids
}

// measure notes up to where the seats' logs agree with that of this leader.
func (l *loop) measure() {
	l.match = nil
	if !l.leads() {
		return
	}
	l.match = make(map[state.RaftID]uint64)
	l.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		l.match[state.RaftID(id)] = p.Match
	})
}
