// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"cmp"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/seats"
	"github.com/dyno-kv/dyno/meta/state"
)

// tendSeats takes the next step about seats, if this member leads and its last one is
// done. A leader that has not applied an entry of its term may not know the newest
// configuration.
func (l *loop) tendSeats(now time.Time) error {
	if !l.leads() || l.applied < l.led.First {
		return nil
	}
	if l.seatsBusy > 0 {
		// Should the step have come to nothing, as raft drops a change of seats that it
		// does not want, it is tried again.
		l.seatsBusy--
		return nil
	}
	cfg := seats.Config{
		DeadAfter: l.e.cfg.DeadAfter, RefusedAfter: l.e.cfg.RefusedAfter,
		HeardWithin: l.e.cfg.Tick * time.Duration(l.e.cfg.ElectionTicks),
	}
	step := seats.Decide(cfg, l.seatsView(now))
	if step.Kind == seats.None {
		return nil
	}
	l.e.log.Info("a step about seats", zap.Stringer("step", step.Kind),
		zap.Stringer("raft-id", step.Raft), zap.Uint16("node-id", uint16(step.Node)))
	l.seatsBusy = l.e.cfg.ElectionTicks
	if err := l.takeStep(step); err != nil {
		return err
	}
	return l.ready()
}

// seatsView is how things stand.
func (l *loop) seatsView(now time.Time) seats.View {
	v := seats.View{
		Self: l.raft, First: l.led.First, Last: l.store.state.Last,
		Alive: func(node kv.NodeID) bool { return node == l.e.env.node || l.e.env.alive(node) },
	}
	l.e.env.machine.read(func(s *state.State) {
		v.Members, v.Formed, v.Expect = s.Members(), s.Formed(), s.View().Expect
	})
	l.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		seat := seats.Seat{
			Raft: state.RaftID(id), Voter: kind == raft.ProgressTypePeer, Match: p.Match,
		}
		if seat.Raft != l.raft {
			seat.Silent = now.Sub(later(l.ledSince, l.heard[seat.Raft]))
		}
		v.Seats = append(v.Seats, seat)
	})
	slices.SortFunc(v.Seats, func(a, b seats.Seat) int { return cmp.Compare(a.Raft, b.Raft) })
	return v
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// takeStep proposes what a step does.
func (l *loop) takeStep(step seats.Step) error {
	change := func(kind pb.ConfChangeType) error {
		var refused error
		c := &pb.ConfChange{Type: kind.Enum(), NodeId: new(uint64(step.Raft))}
		err := guard(func() { refused = l.node.ProposeConfChange(c) })
		if refused != nil {
			l.seatsBusy = 0
		}
		return err
	}
	switch step.Kind {
	case seats.Assign:
		return l.command(state.AssignRaft{Node: step.Node, For: step.For, Previous: step.Previous})
	case seats.Drop:
		return l.command(state.DropRaft{Raft: step.Raft})
	case seats.AddLearner:
		return change(pb.ConfChangeAddLearnerNode)
	case seats.Promote:
		return change(pb.ConfChangeAddNode)
	case seats.Remove:
		return change(pb.ConfChangeRemoveNode)
	case seats.Transfer:
		return guard(func() { l.node.TransferLeader(uint64(step.Raft)) })
	default:
		return nil
	}
}

// command proposes a command of the loop's own.
func (l *loop) command(c state.Command) error {
	return l.proposeEntry(&batch{seats: true}, [][]byte{state.AppendCommand(nil, c)})
}

// resign hands the leadership to the voter with the longest log.
func (l *loop) resign() error {
	if !l.leads() {
		return nil
	}
	to, match := uint64(0), uint64(0)
	l.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		ok := kind == raft.ProgressTypePeer && id != uint64(l.raft) && p.RecentActive
		if ok && (to == 0 || p.Match > match || p.Match == match && id < to) {
			to, match = id, p.Match
		}
	})
	if to == 0 {
		return nil
	}
	return guard(func() { l.node.TransferLeader(to) })
}
