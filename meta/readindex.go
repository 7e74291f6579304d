// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/raft/v3"

	"github.com/dyno-kv/dyno/internal/mutant"
)

// maxReadRounds is how many confirmations of the leader are under way: what comes in
// meanwhile shares the next one.
const maxReadRounds = 4

// readRequest is a caller who waits for a confirmed index.
type readRequest struct {
	ctx  context.Context
	done chan readAnswer // size 1: nobody waits to tell
}

type readAnswer struct {
	index, term uint64
	err         error
}

// readIndex returns an index at or above that of everything that was committed before
// the call, once a quorum has confirmed after the call that this member leads in term.
// What a machine says that has applied index was true during the call. The error wraps
// errNotLeader where that was not confirmed.
func (e *engine) readIndex(ctx context.Context) (index, term uint64, err error) {
	r := &readRequest{ctx: ctx, done: make(chan readAnswer, 1)}
	standing := e.status.Load()
	if !standing.Leads {
		return 0, 0, errNotLeader
	}
	if mutant.On(mutant.LeaderUnconfirmed) {
		return standing.Commit, standing.Term, nil
	}
	select {
	case e.reads <- r:
	default:
		return 0, 0, fmt.Errorf("%w: too many reads wait", errDropped)
	}
	select {
	case a := <-r.done:
		return a.index, a.term, a.err
	case <-ctx.Done():
		return 0, 0, fmt.Errorf("%w: %w", errNotLeader, context.Cause(ctx))
	case <-e.ended:
		return 0, 0, errNotLeader
	}
}

// confirm begins a round for the reads that wait. A leader that has not applied an entry
// of its term yet does not know what is committed: reads wait until then.
func (l *loop) confirm(queue <-chan *readRequest) error {
	for more := true; more && len(l.readers) < readQueue; {
		select {
		case r := <-queue:
			l.takeRead(r)
		default:
			more = false
		}
	}
	if len(l.readers) == 0 || l.applied < l.led.First || len(l.rounds) >= maxReadRounds {
		return nil
	}
	l.seq++
	round := l.seq
	l.rounds[round], l.readers = l.readers, nil
	return guard(func() { l.node.ReadIndex(binary.BigEndian.AppendUint64(nil, round)) })
}

func (l *loop) takeRead(r *readRequest) {
	switch {
	case !l.leads():
		r.done <- readAnswer{err: errNotLeader}
	case r.ctx.Err() == nil:
		l.readers = append(l.readers, r)
	}
}

// confirmed answers the reads of rounds that a quorum has confirmed.
func (l *loop) confirmed(states []raft.ReadState) {
	for _, s := range states {
		round := binary.BigEndian.Uint64(s.RequestCtx)
		for _, r := range l.rounds[round] {
			r.done <- readAnswer{index: s.Index, term: l.led.Term}
		}
		delete(l.rounds, round)
	}
}

func (l *loop) abandonReads() {
	for _, round := range slices.Sorted(maps.Keys(l.rounds)) {
		for _, r := range l.rounds[round] {
			r.done <- readAnswer{err: errNotLeader}
		}
	}
	clear(l.rounds)
	for _, r := range l.readers {
		r.done <- readAnswer{err: errNotLeader}
	}
	l.readers = nil
}
