// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/meta/state"
)

// stepAll gives raft what others sent, and what else waits of it.
func (l *loop) stepAll(in inbound) error {
	for range stepsAtOnce {
		if err := l.stepCall(in); err != nil {
			return err
		}
		select {
		case in = <-l.e.inbox:
		default:
			return nil
		}
	}
	return l.stepCall(in)
}

func (l *loop) stepCall(in inbound) error {
	if !l.mayAct(time.Now()) {
		return nil // as if it had been lost on its way
	}
	if l.leads() {
		l.heard[in.from] = time.Now()
	}
	for _, m := range in.messages {
		if err := l.step(m); err != nil {
			return err
		}
		if l.node == nil {
			return nil // it has left meanwhile
		}
	}
	return l.hashes.told(in.hash)
}

func (l *loop) step(m *pb.Message) error {
	if state.RaftID(m.GetTo()) != l.raft {
		return nil
	}
	switch m.GetType() {
	case pb.MsgHeartbeat:
		if forgot, err := l.hasForgotten(m); forgot || err != nil {
			return err
		}
	case pb.MsgSnap:
		if here, err := l.hasReceived(m); !here || err != nil {
			return err // as if it had been lost: the leader sends it again
		}
		if err := guard(func() { _ = l.node.Step(m) }); err != nil {
			return err
		}
		return l.ready() // before another one is received in its place
	}
	return guard(func() { _ = l.node.Step(m) }) // an error says that raft ignores it
}

// hasForgotten reports whether the leader knows of entries that this store has
// acknowledged and does not have: it was rolled back without being opened in between. Raft
// would panic.
func (l *loop) hasForgotten(m *pb.Message) (bool, error) {
	if m.GetCommit() <= l.store.state.Last || m.GetTerm() < l.store.state.Term {
		return false, nil
	}
	if err := l.ready(); err != nil { // what was stepped before may have brought them
		return false, err
	}
	if l.node == nil || m.GetCommit() <= l.store.state.Last || m.GetTerm() < l.store.state.Term {
		return false, nil
	}
	l.e.log.Error("the raft log lacks entries that were acknowledged: the directory was rolled back",
		zap.Uint64("last-index", l.store.state.Last), zap.Uint64("known-index", m.GetCommit()))
	l.leave("its raft log was rolled back")
	return true, nil
}

// hasReceived reports whether what a snapshot message announces is here.
func (l *loop) hasReceived(m *pb.Message) (bool, error) {
	meta := m.GetSnapshot().GetMetadata()
	for {
		if f := l.received; f != nil && f.head.Index == meta.GetIndex() &&
			f.head.Term == meta.GetTerm() {
			return l.node != nil, nil
		}
		select {
		case ev := <-l.e.events: // the keeper has told of it before the message was sent
			if err := l.hear(ev); err != nil {
				return false, err
			}
		default:
			l.e.log.Info("a snapshot was announced and is not here",
				zap.Uint64("index", meta.GetIndex()))
			return false, nil
		}
	}
}
