// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/dyno-kv/dyno/meta/state"
)

// changeOf reads the change of seats that an entry is; nil where it is none.
func changeOf(entry *pb.Entry) (pb.ConfChangeI, error) {
	switch entry.GetType() {
	case pb.EntryConfChange:
		c := new(pb.ConfChange)
		return c, proto.Unmarshal(entry.GetData(), c)
	case pb.EntryConfChangeV2:
		c := new(pb.ConfChangeV2)
		return c, proto.Unmarshal(entry.GetData(), c)
	default:
		return nil, nil
	}
}

// coming are the seats that stored entries add which are not applied here yet, and of them
// those with a vote. After a start that is all that the group has become since the newest
// snapshot: until then l.seats is of a time when it may have had one voter.
func (l *loop) coming() (seats, voters []state.RaftID) {
	first := max(l.applied, l.store.state.Base) + 1
	if first > l.store.state.Last {
		return nil, nil
	}
	for _, entry := range l.store.entries[first-l.store.state.Base-1:] {
		change, err := changeOf(entry)
		if change == nil || err != nil {
			continue // where it is unreadable, applying it says so
		}
		for _, c := range change.AsV2().GetChanges() {
			switch id := state.RaftID(c.GetNodeId()); c.GetType() {
			case pb.ConfChangeAddNode:
				seats, voters = append(seats, id), append(voters, id)
			case pb.ConfChangeAddLearnerNode:
				seats = append(seats, id)
			default:
			}
		}
	}
	return seats, voters
}

// peers are all seats that this one has to do with: those of the configuration, and those
// that its log adds to it.
func (l *loop) peers() []state.RaftID {
	coming, _ := l.coming()
	if len(coming) == 0 {
		return raftIDs(l.seats)
	}
	ids := append(coming, raftIDs(l.seats)...)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// sole reports whether this seat is the group's only voter, as far as its log tells: it
// needs nobody to commit.
func (l *loop) sole() bool {
	v := l.seats.GetVoters()
	if l.raft == 0 || len(v) != 1 || v[0] != uint64(l.raft) || len(l.seats.GetVotersOutgoing()) > 0 {
		return false
	}
	_, coming := l.coming()
	return !slices.ContainsFunc(coming, func(id state.RaftID) bool { return id != l.raft })
}
