// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/dyno-kv/dyno/internal/invariant"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// logStore is the raft log of a seat. All of it is in memory from its base on, and every
// change is durable when the method that made it returns. Raft reads it as raft.Storage.
// It is owned by the engine's loop.
//
// The log stands in records of the control store: where it begins and ends in one, each
// entry in one of its own, so that a step of raft is one synced change. Entries beyond the
// end are what a crash or a later leader cut off; they are written over.
type logStore struct {
	control *storage.Control
	watch   *stopwatch

	state   wire.RaftState    // as stored, but for Commit, which may be ahead of it
	head    wire.SnapshotHead // of the newest snapshot that is durable; Index 0: none
	opens   []kv.Open         // of this store under state.Raft
	refused bool              // the store takes no part under state.Raft any more
	entries []*pb.Entry       // Base+1 to Last; never changed

	tells teller // of entries

	// now makes the snapshot that raft sends to a seat that is behind the log.
	now func() (*pb.Snapshot, error)
}

var _ raft.Storage = (*logStore)(nil)

// openLog reads what is stored, and the newest snapshot; that is nil where there is none.
// The error wraps ErrDamagedLog where it is not what was written.
func openLog(control *storage.Control, watch *stopwatch) (*logStore, []byte, error) {
	s := &logStore{control: control, watch: watch}
	if err := load(control, wire.KeyRaftState, wire.DecodeRaftStateRecord, &s.state); err != nil {
		return nil, nil, err
	}
	if s.state.Raft == 0 {
		return s, nil, nil
	}
	var opens wire.RaftOpens
	if err := load(control, wire.KeyRaftOpens, wire.DecodeRaftOpensRecord, &opens); err != nil {
		return nil, nil, err
	}
	if opens.Raft != s.state.Raft {
		return nil, nil, fmt.Errorf("%w: openings of raft id %x, a log of %x",
			ErrDamagedLog, opens.Raft, s.state.Raft)
	}
	s.opens, s.refused = opens.List, opens.Refused
	if err := load(control, wire.KeySnapshot, wire.DecodeSnapshotHeadRecord, &s.head); err != nil {
		return nil, nil, err
	}
	if err := s.loadEntries(); err != nil {
		return nil, nil, err
	}
	snapshot, err := s.loadSnapshot()
	return s, snapshot, err
}

// load reads one record; into stays as it is where there is none.
func load[T any](
	control *storage.Control, key string, decode func([]byte) (T, error), into *T,
) error {
	rec, found, err := control.Get(key)
	if err == nil && found {
		*into, err = decode(rec)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamagedLog, err)
	}
	return nil
}

func (s *logStore) loadEntries() error {
	next := s.state.Base + 1
	err := s.control.Each(wire.RaftLogPrefix(s.state.Epoch), func(key string, rec []byte) error {
		_, index, err := wire.ParseRaftEntryKey(key)
		if err != nil || index < next || index > s.state.Last {
			return err // what is below or beyond the log has not been swept yet
		}
		if index != next {
			return fmt.Errorf("entry %d is missing", next)
		}
		e, err := wire.DecodeRaftEntryRecord(key, rec)
		if err != nil {
			return err
		}
		s.entries = append(s.entries, &pb.Entry{
			Index: new(index), Term: new(e.Term), Type: pb.EntryType(e.Kind).Enum(),
			Data: slices.Clone(e.Data),
		})
		next++
		return nil
	})
	if err == nil && next != s.state.Last+1 {
		err = fmt.Errorf("entry %d is missing", next)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamagedLog, err)
	}
	return nil
}

func (s *logStore) loadSnapshot() ([]byte, error) {
	if s.head.Index == 0 && s.state.Base == 0 {
		return nil, nil
	}
	if s.head.Index < s.state.Base || s.head.Index > s.state.Last {
		return nil, fmt.Errorf("%w: a snapshot at %d, entries from %d to %d",
			ErrDamagedLog, s.head.Index, s.state.Base, s.state.Last)
	}
	return readParts(s.control, &s.head)
}

// exists reports whether the store has a seat's log.
func (s *logStore) exists() bool { return s.state.Raft != 0 }

// begin makes the store that of a seat with this raft id, with an empty log: what was
// there before is gone.
func (s *logStore) begin(id uint64, open kv.Open) error {
	opens := wire.RaftOpens{Raft: id, List: []kv.Open{open}}
	return s.reset(wire.RaftState{Raft: id, Epoch: s.state.Epoch + 1},
		opensRecord(&opens), opens.List)
}

// end makes the store that of a member without a seat.
func (s *logStore) end() error {
	return s.reset(wire.RaftState{Epoch: s.state.Epoch + 1},
		storage.ControlRecord{Key: wire.KeyRaftOpens}, nil)
}

func (s *logStore) reset(to wire.RaftState, record storage.ControlRecord, opens []kv.Open) error {
	err := s.apply(record, stateRecord(&to), storage.ControlRecord{Key: wire.KeySnapshot})
	if err == nil {
		s.state, s.opens, s.head, s.entries = to, opens, wire.SnapshotHead{}, nil
		s.refused = false
	}
	return err
}

// opened notes an opening of the store under the raft id that it has.
func (s *logStore) opened(open kv.Open) error {
	if n := len(s.opens); n > 0 && s.opens[n-1] == open {
		return nil
	}
	list := append(slices.Clone(s.opens), open)
	// Whoever remembers an opening that is so far back refuses this store, wrongly; then it
	// gets a new raft id.
	list = list[max(0, len(list)-wire.MaxOpens):]
	opens := wire.RaftOpens{Raft: s.state.Raft, List: list, Refused: s.refused}
	err := s.apply(opensRecord(&opens))
	if err == nil {
		s.opens = list
	}
	return err
}

// save appends entries, in the place of all from the first of their indexes on, and sets
// the hard state. Where they are more than one synced change takes, they are stored one
// part after the other: each leaves a log that raft may find after a crash.
func (s *logStore) save(hs *pb.HardState, entries []*pb.Entry) error {
	next := s.state
	if !raft.IsEmptyHardState(hs) {
		next.Term, next.Vote, next.Commit = hs.GetTerm(), hs.GetVote(), hs.GetCommit()
	}
	commit, before := next.Commit, s.state.Commit
	for {
		records := s.fitting(entries)
		part := entries[:len(records)]
		entries = entries[len(records):]
		if len(part) > 0 {
			next.Last = part[len(part)-1].GetIndex()
		}
		next.Commit = min(commit, next.Last)
		if err := s.apply(append(records, stateRecord(&next))...); err != nil {
			return err
		}
		s.keep(part)
		s.state = next
		s.tellStored(part)
		if len(entries) == 0 {
			s.state.Commit = commit
			s.tellCommitted(before)
			return nil
		}
	}
}

// stateRoom is what the record of the state may take of a change.
const stateRoom = 1 << 10

// fitting returns the records of as many entries as one change takes, and of one at least.
func (s *logStore) fitting(entries []*pb.Entry) (records []storage.ControlRecord) {
	room, changes := s.control.Room()
	room -= stateRoom
	for _, e := range entries {
		key := wire.RaftEntryKey(s.state.Epoch, e.GetIndex())
		record := wire.AppendRaftEntryRecord(nil, key, &wire.RaftEntry{
			Term: e.GetTerm(), Kind: uint8(e.GetType()), Data: e.GetData(),
		})
		room -= len(key) + len(record) + changeOverhead
		if len(records) > 0 && (room < 0 || len(records) == changes-1) {
			break
		}
		records = append(records, storage.ControlRecord{Key: key, Record: record})
	}
	return records
}

// changeOverhead is what storage.Control.Room counts for a change beside its bytes.
const changeOverhead = 48

// keep puts entries that are durable into memory.
func (s *logStore) keep(entries []*pb.Entry) {
	if len(entries) == 0 {
		return
	}
	at := entries[0].GetIndex() - s.state.Base - 1
	invariant.Check(at <= uint64(len(s.entries)), "entries are appended without a gap")
	if at < uint64(len(s.entries)) {
		s.entries = slices.Clip(s.entries[:at]) // what raft was lent is not written over
	}
	s.entries = append(s.entries, entries...)
}

// commit notes how far the log is committed. It becomes durable with the next change: a
// seat that forgets it learns it again.
func (s *logStore) commit(index uint64) {
	before := s.state.Commit
	s.state.Commit = max(before, index)
	s.tellCommitted(before)
}

// install begins the log after a snapshot, whose parts are durable.
func (s *logStore) install(hs *pb.HardState, head wire.SnapshotHead) error {
	next := wire.RaftState{
		Raft: s.state.Raft, Epoch: s.state.Epoch + 1, Term: s.state.Term, Vote: s.state.Vote,
		Commit: head.Index, Base: head.Index, BaseTerm: head.Term, Last: head.Index,
	}
	if !raft.IsEmptyHardState(hs) {
		next.Term, next.Vote = hs.GetTerm(), hs.GetVote()
	}
	err := s.apply(stateRecord(&next), headRecord(&head))
	if err == nil {
		s.state, s.head, s.entries = next, head, nil
	}
	return err
}

// compact makes a snapshot whose parts are durable the newest one, and forgets all entries
// but those after base, which is not beyond it.
func (s *logStore) compact(head wire.SnapshotHead, base uint64) error {
	next := s.state
	if base > next.Base {
		term, err := s.Term(base)
		if err != nil {
			return fmt.Errorf("meta: compact the log to %d: %w", base, err)
		}
		next.Base, next.BaseTerm = base, term
	}
	if err := s.apply(stateRecord(&next), headRecord(&head)); err != nil {
		return err
	}
	s.entries = slices.Clone(s.entries[next.Base-s.state.Base:])
	s.state, s.head = next, head
	return nil
}

// apply makes one synced change.
func (s *logStore) apply(records ...storage.ControlRecord) error {
	s.watch.start()
	defer s.watch.stop()
	return s.control.Apply(records...)
}

func stateRecord(state *wire.RaftState) storage.ControlRecord {
	return storage.ControlRecord{
		Key: wire.KeyRaftState, Record: wire.AppendRaftStateRecord(nil, state),
	}
}

func opensRecord(opens *wire.RaftOpens) storage.ControlRecord {
	return storage.ControlRecord{
		Key: wire.KeyRaftOpens, Record: wire.AppendRaftOpensRecord(nil, opens),
	}
}

func headRecord(head *wire.SnapshotHead) storage.ControlRecord {
	return storage.ControlRecord{
		Key: wire.KeySnapshot, Record: wire.AppendSnapshotHeadRecord(nil, head),
	}
}
