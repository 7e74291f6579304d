// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/dyno-kv/dyno/internal/invariant"
	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/meta/state"
)

// ready handles all that raft is ready for. The library's duties, in their order:
//
//	D1 Hard state and entries are stored, synced, before any message goes out that was
//	   made with them. Only a leader's appends may go first, where term and vote stay as
//	   they are stored: it writes beside its followers (Raft thesis, 10.2.1).
//	D2 An entry takes the place of all that are stored from its index on.
//	D3 A snapshot is stored before it is applied, and before entries that follow it.
//	D4 Committed entries are applied in order, each once, after what D1 asks for.
//	D5 A change of seats is told to raft when its entry is applied.
//	D6 Advance comes after all of it.
//	D7 Messages are marshalled before the entries that they share can change.
func (l *loop) ready() error {
	for l.node != nil {
		var rd raft.Ready
		has := false
		if err := guard(func() {
			if has = l.node.HasReady(); has {
				rd = l.node.Ready()
			}
		}); err != nil || !has {
			return err
		}
		if err := l.handle(&rd); err != nil {
			return err
		}
		if err := guard(func() { l.node.Advance(rd) }); err != nil { // D6
			return err
		}
		if err := l.reportUnsent(); err != nil {
			return err
		}
		l.afterwards()
	}
	return nil
}

func (l *loop) handle(rd *raft.Ready) error {
	if invariant.Enabled {
		l.checkReady(rd)
	}
	early, late := l.split(rd)
	l.send(early)
	if err := l.persist(rd); err != nil {
		return err
	}
	l.e.links.showTerm(l.store.state.Term)
	l.send(late)
	l.followLeader(rd)
	l.confirmed(rd.ReadStates)
	return l.applyAll(rd.CommittedEntries)
}

// split returns the messages that may go out before what comes with them is stored, and
// the others (D1).
func (l *loop) split(rd *raft.Ready) (early, late []*pb.Message) {
	if mutant.On(mutant.VoteBeforeSync) {
		return rd.Messages, nil
	}
	hs, stored := rd.HardState, &l.store.state
	if !raft.IsEmptyHardState(hs) && (hs.GetTerm() != stored.Term || hs.GetVote() != stored.Vote) {
		return nil, rd.Messages
	}
	for _, m := range rd.Messages {
		if m.GetType() == pb.MsgApp {
			early = append(early, m)
		} else {
			late = append(late, m)
		}
	}
	return early, late
}

// persist stores what a Ready asks for; a commit index alone may be forgotten.
func (l *loop) persist(rd *raft.Ready) error {
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := l.install(rd); err != nil { // D3
			return err
		}
	}
	hs := rd.HardState
	moved := !raft.IsEmptyHardState(hs) &&
		(hs.GetTerm() != l.store.state.Term || hs.GetVote() != l.store.state.Vote)
	if len(rd.Entries) > 0 || moved {
		return l.store.save(hs, rd.Entries) // D2
	}
	if !raft.IsEmptyHardState(hs) {
		l.store.commit(hs.GetCommit())
	}
	return nil
}

// send marshals messages and hands them over, those to one seat together (D7).
func (l *loop) send(messages []*pb.Message) {
	var order []state.RaftID
	outgoing := make(map[state.RaftID][][]byte)
	for _, m := range messages {
		to := state.RaftID(m.GetTo())
		if m.GetType() == pb.MsgSnap {
			l.sendState(to, m)
			continue
		}
		b, err := proto.Marshal(m)
		if err != nil {
			l.e.log.Error("a message of raft can not be marshalled", zap.Error(err))
			continue
		}
		if outgoing[to] == nil {
			order = append(order, to)
		}
		outgoing[to] = append(outgoing[to], b)
	}
	for _, to := range order {
		l.e.links.send(to, outgoing[to])
	}
}

// followLeader notices who leads.
func (l *loop) followLeader(rd *raft.Ready) {
	if rd.SoftState != nil {
		l.soft = *rd.SoftState
	}
	leads := l.soft.RaftState == raft.StateLeader
	term := l.store.state.Term
	if l.led.Leads && (!leads || l.led.Term != term) {
		l.lose()
	}
	if !leads || l.led.Leads {
		return
	}
	// The first entry of the term is the leader's own, empty one: it came with this Ready.
	at := slices.IndexFunc(rd.Entries, func(e *pb.Entry) bool { return e.GetTerm() == term })
	first := l.store.state.Last + 1
	if at >= 0 {
		first = rd.Entries[at].GetIndex()
	}
	invariant.Check(at >= 0, "a new leader appends an entry of its term")
	l.led = leadership{Leads: true, Term: term, First: first}
	l.ledSince = time.Now()
	clear(l.heard)
	l.seatsBusy = 0
	l.e.log.Info("this member leads the group", zap.Uint64("term", term))
	l.e.env.lead(l.led)
}

// lose ends this member's leadership, if it has it.
func (l *loop) lose() {
	l.abandon()
	if !l.led.Leads {
		return
	}
	l.e.log.Info("this member leads the group no longer", zap.Uint64("term", l.led.Term))
	l.led = leadership{Term: l.led.Term}
	l.sending = nil
	l.hush()
	l.e.env.lead(l.led)
}

// applyAll applies committed entries (D4).
func (l *loop) applyAll(entries []*pb.Entry) error {
	for _, entry := range entries {
		invariant.Check(entry.GetIndex() == l.applied+1, "committed entries come without a gap")
		if err := l.applyEntry(entry); err != nil {
			return err
		}
		l.fed = true
	}
	if len(entries) > 0 {
		l.moved()
	}
	return nil
}

func (l *loop) applyEntry(entry *pb.Entry) error {
	index, term := entry.GetIndex(), entry.GetTerm()
	var data []byte
	switch entry.GetType() {
	case pb.EntryNormal:
		data = entry.GetData()
	case pb.EntryConfChange, pb.EntryConfChangeV2:
		if err := l.changeSeats(entry); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: entry %d is of kind %v", ErrDamagedLog, index, entry.GetType())
	}
	applied, err := l.e.env.machine.apply(index, term, data)
	if err != nil {
		return err
	}
	l.applied = index
	if applied.Token.Seq == 0 && len(l.inFlight) > 0 {
		l.passOver(term, data)
	}
	l.finish(index, term, &applied)
	return l.compareAt(index)
}

// changeSeats tells raft of a committed change of seats (D5).
func (l *loop) changeSeats(entry *pb.Entry) error {
	change, err := changeOf(entry)
	if err != nil {
		return fmt.Errorf("%w: change of seats at %d: %w", ErrDamagedLog, entry.GetIndex(), err)
	}
	// What raft would send meanwhile as the present state has the seats of before.
	before := raftIDs(l.seats)
	l.changing = true
	err = guard(func() { l.seats = l.node.ApplyConfChange(change) })
	l.changing = false
	if err != nil {
		return err
	}
	l.seatsBusy = 0
	ids := raftIDs(l.seats)
	for _, id := range ids {
		if !slices.Contains(before, id) {
			l.heard[id] = time.Now() // its silence begins now
		}
	}
	l.e.log.Info("the group's seats have changed", zap.Stringers("raft-ids", ids),
		zap.Int("voters", len(l.seats.GetVoters())))
	l.e.gate.reseat(ids)
	l.e.links.follow(ids, time.Now())
	return nil
}

// checkReady asserts what the library promises and the duties rest on.
func (l *loop) checkReady(rd *raft.Ready) {
	for i, e := range rd.Entries {
		invariant.Check(e.GetIndex() == rd.Entries[0].GetIndex()+uint64(i),
			"entries to store come without a gap")
		invariant.Check(e.GetIndex() > l.applied, "an applied entry is never replaced")
	}
	for _, m := range rd.Messages {
		invariant.Check(state.RaftID(m.GetTo()) != l.raft, "raft sends nothing to itself")
	}
	if !raft.IsEmptySnap(rd.Snapshot) {
		invariant.Check(len(rd.CommittedEntries) == 0, "nothing is applied beside a snapshot")
	}
}
