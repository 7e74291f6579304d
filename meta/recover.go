// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"errors"
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/storage"
)

// ErrNoRecovery refuses to recover a group from a directory that is no place for it.
var ErrNoRecovery = errors.New("meta: the group can not be recovered from this directory")

// Remains is what a seat's directory has of the group, for people who choose the one to
// recover from: that with the highest Term of its last entry, and of those with the highest
// Last.
type Remains struct {
	Node       kv.NodeID
	Raft       state.RaftID
	Generation kv.Generation
	// Commit is how far the log is known to be committed, Last its newest entry, of term
	// LastTerm. What lies between may have been committed or not.
	Commit, Last, LastTerm uint64
	// Voters are the group's as of Last.
	Voters []state.RaftID
	// Sessions and Locks count what the state would have.
	Sessions, Locks int
}

// Inspect tells what a directory has of the group; its process must not run. The error
// wraps ErrNoRecovery where it has no seat.
func Inspect(control *storage.Control) (Remains, error) {
	store, s, seats, err := replay(control)
	if err != nil {
		return Remains{}, err
	}
	return remains(store, s, seats), nil
}

func remains(store *logStore, s *state.State, seats *pb.ConfState) Remains {
	counts := s.Locks().Counts()
	id := state.RaftID(store.state.Raft)
	return Remains{
		Node: id.Node(), Raft: id, Generation: s.Generation(), Commit: store.state.Commit,
		Last: s.Index(), LastTerm: s.Term(), Voters: idsOf(seats.GetVoters()),
		Sessions: counts.Sessions, Locks: counts.Locks,
	}
}

// Recover makes the seat of a directory, whose process must not run, the only voter of the
// group, after the others were lost for good. Everything in its log becomes committed, the
// generation is raised, and all other raft ids are given up: who of them comes back gets a
// new one. Should the others live, there are two groups from then on.
func Recover(control *storage.Control) (Remains, error) {
	store, s, _, err := replay(control)
	if err != nil {
		return Remains{}, err
	}
	own := state.RaftID(store.state.Raft)
	if m, known := s.Member(own.Node()); !known || m.Raft != own {
		return Remains{}, fmt.Errorf("%w: its raft id %v has been given up", ErrNoRecovery, own)
	}
	commands := []state.Command{state.GenerationBump{Previous: s.Generation()}}
	for _, m := range s.Members() {
		if m.Raft != 0 && m.Raft != own {
			commands = append(commands, state.DropRaft{Raft: m.Raft})
		}
	}
	term := max(store.state.Term, s.Term()) + 1
	for len(commands) > 0 {
		n := min(len(commands), state.MaxCommands)
		entry := state.AppendEntry(nil, state.Token{}, commands[:n]...)
		commands = commands[n:]
		applied, err := s.Apply(s.Index()+1, term, entry)
		if err != nil {
			return Remains{}, err
		}
		if r := applied.Results[0]; r.Code != state.CodeOK {
			return Remains{}, fmt.Errorf("%w: %s", ErrNoRecovery, r.Detail)
		}
	}
	file := &snapshotFile{data: s.Snapshot(nil)}
	file.head.Index, file.head.Term, file.head.Voters = s.Index(), s.Term(), []uint64{uint64(own)}
	keeper := newKeeper(control, zap.NewNop())
	if err := keeper.clean(store.head.ID); err != nil {
		return Remains{}, err
	}
	if err := keeper.write(file); err != nil {
		return Remains{}, err
	}
	hs := &pb.HardState{Term: new(term)}
	if err := store.install(hs, file.head); err != nil {
		return Remains{}, err
	}
	return remains(store, s, seatsOf(&file.head)), nil
}

// replay returns the state after all of a log, and the seats.
func replay(control *storage.Control) (*logStore, *state.State, *pb.ConfState, error) {
	store, snapshot, err := openLog(control, newStopwatch())
	if err != nil {
		return nil, nil, nil, err
	}
	if !store.exists() || store.head.Index == 0 {
		return nil, nil, nil, fmt.Errorf("%w: it has no seat in the group, or an empty one",
			ErrNoRecovery)
	}
	s, err := state.Restore(snapshot)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", ErrDamagedLog, err)
	}
	seats := seatsOf(&store.head)
	for _, e := range store.entries {
		if e.GetIndex() <= s.Index() {
			continue
		}
		var data []byte
		if e.GetType() == pb.EntryNormal {
			data = e.GetData()
		} else if seats, err = seatsAfter(seats, e); err != nil {
			return nil, nil, nil, err
		}
		if _, err := s.Apply(e.GetIndex(), e.GetTerm(), data); err != nil {
			return nil, nil, nil, err
		}
	}
	return store, s, seats, nil
}

// seatsAfter returns the seats after a change, of the kind that this engine proposes.
func seatsAfter(seats *pb.ConfState, e *pb.Entry) (*pb.ConfState, error) {
	change := new(pb.ConfChange)
	if err := proto.Unmarshal(e.GetData(), change); err != nil || e.GetType() != pb.EntryConfChange {
		return nil, fmt.Errorf("%w: entry %d is an unknown change of seats", ErrNoRecovery, e.GetIndex())
	}
	id := change.GetNodeId()
	same := func(other uint64) bool { return other == id }
	after := &pb.ConfState{
		Voters:   slices.DeleteFunc(slices.Clone(seats.GetVoters()), same),
		Learners: slices.DeleteFunc(slices.Clone(seats.GetLearners()), same),
	}
	switch change.GetType() {
	case pb.ConfChangeAddNode:
		after.Voters = append(after.Voters, id)
	case pb.ConfChangeAddLearnerNode:
		after.Learners = append(after.Learners, id)
	}
	return after, nil
}
