// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/dyno-kv/dyno/meta/state"
)

// afterwards does what follows from entries that were applied: it begins to write a
// snapshot where the log has become long.
func (l *loop) afterwards() {
	if l.node == nil || l.writing || l.applied < l.store.head.Index+l.e.cfg.SnapshotEntries {
		return
	}
	index, term, data := l.e.env.machine.snapshot()
	if index != l.applied {
		return // a tail has fed the machine further: the seats of that moment are not known
	}
	file := &snapshotFile{data: data}
	file.head.Index, file.head.Term = index, term
	setSeats(&file.head, l.seats)
	e := l.e
	l.writing = e.keeper.offer(job{do: func(ctx context.Context) error {
		if err := e.keeper.write(file); err != nil {
			return err
		}
		e.tell(ctx, event{written: file})
		return nil
	}})
}

// compact makes a snapshot of this member the newest, and shortens the log.
func (l *loop) compact(file *snapshotFile) error {
	l.writing = false
	if !l.store.exists() || file.head.Index <= l.store.head.Index || file.head.Index > l.applied {
		return nil // another was installed meanwhile, or the seat is another one
	}
	base := l.store.state.Base
	if behind := l.e.cfg.SnapshotEntries / 2; file.head.Index > base+behind {
		base = file.head.Index - behind
	}
	if err := l.store.compact(file.head, base); err != nil {
		return err
	}
	if f := l.received; f != nil && f.head.ID < file.head.ID {
		l.received = nil // its parts go with the snapshots before: it is sent again
	}
	l.e.log.Info("a snapshot is written", zap.Uint64("index", file.head.Index),
		zap.Uint64("bytes", file.head.Size), zap.Uint64("first-index", base+1))
	l.sweep()
	return nil
}

// sweep has the keeper delete what the log no longer needs. Where it is too busy the next
// snapshot's sweep does it.
func (l *loop) sweep() {
	n := needed{
		epoch: l.store.state.Epoch, base: l.store.state.Base, snapshot: l.store.head.ID,
	}
	keeper := l.e.keeper
	keeper.offer(job{do: func(ctx context.Context) error { return keeper.sweep(ctx, n) }})
}

// install stores a snapshot that another seat has sent, and then restores it (D3).
func (l *loop) install(rd *raft.Ready) error {
	meta := rd.Snapshot.GetMetadata()
	file := l.received
	l.received = nil
	if file == nil || file.head.Index != meta.GetIndex() || file.head.Term != meta.GetTerm() {
		return fmt.Errorf("%w: a snapshot at %d that was not received", ErrBrokenRaft, meta.GetIndex())
	}
	setSeats(&file.head, meta.GetConfState())
	if err := l.store.install(rd.HardState, file.head); err != nil {
		return err
	}
	if err := l.e.env.machine.restore(file.head.Index, file.head.Term, file.data); err != nil {
		return err
	}
	l.applied, l.seats, l.fed = file.head.Index, meta.GetConfState(), true
	l.e.log.Info("a snapshot is installed", zap.Uint64("index", file.head.Index))
	ids := raftIDs(l.seats)
	l.e.gate.reseat(ids)
	l.hashes.restored()
	l.sweep()
	return nil
}

// presentState is what raft announces to a seat that is behind the log: the state as it
// is. The data goes beside the message.
func (l *loop) presentState() (*pb.Snapshot, error) {
	if l.changing {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	if l.sending == nil || l.sending.index != l.applied {
		index, term, data := l.e.env.machine.snapshot()
		if index != l.applied || index == 0 {
			return nil, raft.ErrSnapshotTemporarilyUnavailable
		}
		l.sending = &snapshotJob{index: index, term: term, data: data, sum: xxhash.Sum64(data)}
	}
	return &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
		ConfState: proto.Clone(l.seats).(*pb.ConfState),
		Index:     new(l.sending.index), Term: new(l.sending.term),
	}}, nil
}

// sendState begins to send the state that a message announces.
func (l *loop) sendState(to state.RaftID, m *pb.Message) {
	index := m.GetSnapshot().GetMetadata().GetIndex()
	b, err := proto.Marshal(m)
	if err == nil && (l.sending == nil || l.sending.index != index) {
		err = fmt.Errorf("the state at %d is gone", index)
	}
	if err == nil {
		job := *l.sending
		job.message = b
		if l.e.links.sendSnapshot(to, &job) {
			return
		}
		err = fmt.Errorf("there is no connection, or one is on its way")
	}
	l.e.log.Debug("a snapshot is not sent", zap.Stringer("raft-id", to), zap.Error(err))
	l.unsent = append(l.unsent, to)
}

// reportUnsent tells raft of snapshots that could not even begin to be sent.
func (l *loop) reportUnsent() error {
	unsent := l.unsent
	l.unsent = nil
	if l.node == nil || len(unsent) == 0 {
		return nil
	}
	return guard(func() {
		for _, to := range unsent {
			l.node.ReportSnapshot(uint64(to), raft.SnapshotFailure)
		}
	})
}

// reportSnapshot tells raft how the sending of a snapshot went.
func (l *loop) reportSnapshot(s *snapshotSent) error {
	if l.node == nil {
		return nil
	}
	l.sending = nil // whoever is being sent it has it
	status := raft.SnapshotFinish
	if s.err != nil {
		status = raft.SnapshotFailure
		l.e.log.Info("a snapshot was not sent", zap.Stringer("raft-id", s.to), zap.Error(s.err))
	}
	return guard(func() { l.node.ReportSnapshot(uint64(s.to), status) })
}
