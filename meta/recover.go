// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// ErrNoRecovery refuses to recover a group from a directory that is no place for it.
var ErrNoRecovery = errors.New("meta: the group can not be recovered from this directory")

// Recovery is what a seat's directory has of the group, and what the group would be if it
// were made its only seat. Of several directories the one with the highest Term is to be
// chosen, and of those with the highest Last.
type Recovery struct {
	Node kv.NodeID
	Raft state.RaftID
	// Committed is how far the log is known to be committed, Last its newest entry, of term
	// Term.
	Committed, Last, Term uint64
	// Uncertain are the entries between: they may have been committed or not, and become so.
	Uncertain []UncertainEntry
	// Voters are the group's as of Last.
	Voters []state.RaftID
	// Generation is that of the recovered group; Sessions and Locks are what it knows.
	Generation      kv.Generation
	Sessions, Locks int
	// Accepted: the group will accept the store of this directory for data, too.
	Accepted bool

	store *logStore
	after *snapshotFile
	term  uint64
	raft  state.RaftID // of the only voter, from then on
}

// UncertainEntry is an entry that becomes committed, with the names of its commands.
type UncertainEntry struct {
	Index, Term uint64
	Commands    []string
}

// PlanRecovery tells what a recovery from the directory of a member would do; its process
// must not run. opens are those of its store. The error wraps ErrNoRecovery where the
// directory is no place for it.
func PlanRecovery(control *storage.Control, node kv.NodeID, opens []kv.Open) (*Recovery, error) {
	store, s, seats, err := replay(control)
	if err != nil {
		return nil, err
	}
	own := state.RaftID(store.state.Raft)
	m, known := s.Member(own.Node())
	if !known || m.Raft != own || own.Node() != node {
		return nil, fmt.Errorf("%w: its raft id %v has been given up", ErrNoRecovery, own)
	}
	r := &Recovery{
		Node: node, Raft: own, Committed: store.state.Commit, Last: s.Index(), Term: s.Term(),
		Voters:   idsOf(seats.GetVoters()),
		Accepted: kv.JudgeOpens(m.Open, opens) == kv.VerdictConfirmed,
		store:    store, term: max(store.state.Term, s.Term()) + 1,
	}
	if r.Uncertain, err = uncertain(store); err != nil {
		return nil, err
	}
	if r.raft, err = alone(s, &m, store.opens, r.term); err != nil {
		return nil, err
	}
	counts := s.Locks().Counts()
	r.Generation, r.Sessions, r.Locks = s.Generation(), counts.Sessions, counts.Locks
	r.after = &snapshotFile{data: s.Snapshot(nil)}
	r.after.head.Index, r.after.head.Term = s.Index(), s.Term()
	r.after.head.Voters = []uint64{uint64(r.raft)}
	return r, nil
}

// uncertain returns the entries beyond the commit index.
func uncertain(store *logStore) (list []UncertainEntry, err error) {
	for _, e := range store.entries {
		if e.GetIndex() <= store.state.Commit {
			continue
		}
		u := UncertainEntry{Index: e.GetIndex(), Term: e.GetTerm(), Commands: []string{}}
		if e.GetType() != pb.EntryNormal {
			u.Commands = append(u.Commands, "change of seats")
		} else {
			_, commands, err := state.DecodeEntry(e.GetData())
			if err != nil {
				return nil, fmt.Errorf("meta: entry %d: %w", e.GetIndex(), err)
			}
			for _, c := range commands {
				u.Commands = append(u.Commands, strings.TrimPrefix(fmt.Sprintf("%T", c), "state."))
			}
		}
		list = append(list, u)
	}
	return list, nil
}

// alone begins the next generation of the group, in which only one raft id is left: a new
// one, for others may remember openings of the old one that this store does not have.
func alone(s *state.State, own *state.Member, opens []kv.Open, term uint64) (state.RaftID, error) {
	commands := []state.Command{state.GenerationBump{Previous: s.Generation()}}
	if slices.Contains(opens, own.Open) { // the group will know the store by it
		commands = append(commands, state.AssignRaft{
			Node: own.ID, For: own.Open, Previous: own.RaftLast,
		})
	}
	for _, m := range s.Members() {
		if m.Raft != 0 && m.ID != own.ID {
			commands = append(commands, state.DropRaft{Raft: m.Raft})
		}
	}
	for some := range slices.Chunk(commands, state.MaxCommands) {
		entry := state.AppendEntry(nil, state.Token{}, some...)
		applied, err := s.Apply(s.Index()+1, term, entry)
		if err != nil {
			return 0, err
		}
		for _, r := range applied.Results {
			if r.Code != state.CodeOK {
				return 0, fmt.Errorf("%w: %s", ErrNoRecovery, r.Detail)
			}
		}
	}
	m, _ := s.Member(own.ID)
	return m.Raft, nil
}

// Commit makes the seat of the directory the only voter of the group. The others must be
// lost for good: all of the log becomes committed, the generation is raised, and all other
// raft ids are given up; who of them comes back gets a new one. Should a majority of them
// live and meet, there are two groups.
func (r *Recovery) Commit() error {
	keeper := newKeeper(r.store.control, zap.NewNop())
	if err := keeper.clean(r.store.head.ID); err != nil {
		return err
	}
	if err := keeper.write(r.after); err != nil {
		return err
	}
	return r.store.recover(uint64(r.raft), &pb.HardState{Term: new(r.term)}, r.after.head)
}

// recover is install for a seat that gets another raft id at the same time. It has shown
// all its openings to the group that goes on.
func (s *logStore) recover(id uint64, hs *pb.HardState, head wire.SnapshotHead) error {
	opens := wire.RaftOpens{Raft: id, List: s.opens}
	next := wire.RaftState{
		Raft: id, Epoch: s.state.Epoch + 1, Term: hs.GetTerm(), Commit: head.Index,
		Base: head.Index, BaseTerm: head.Term, Last: head.Index,
	}
	err := s.apply(stateRecord(&next), headRecord(&head), opensRecord(&opens))
	if err == nil {
		s.state, s.head, s.entries, s.refused = next, head, nil, false
	}
	return err
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
