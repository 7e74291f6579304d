// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/raft/v3"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
)

const (
	// batchBytes is how much of commands an entry carries, unless one proposal is more.
	batchBytes = 64 << 10
	// maxInFlight is how many entries are proposed and not applied yet: while one is on
	// its way what comes in gathers for the next, and the disk of the leader writes one
	// while those of the others acknowledge the other.
	maxInFlight = 2
	// proposalQueue bounds the proposals that wait, readQueue the reads. Above them a call
	// is refused.
	proposalQueue = 4096
	readQueue     = 4096
)

// proposal is commands that a caller waits for.
type proposal struct {
	ctx      context.Context
	commands [][]byte
	size     int
	acquire  *locks.Acquire // what it consists of, where that will only queue; else nil
	done     chan proposed  // size 1: nobody waits to tell
}

// proposed is how a proposal ended.
type proposed struct {
	results []state.Result
	index   uint64
	err     error
}

// propose has the leader commit commands, which are encoded, as parts of one entry, and
// returns their results in order and the entry's index. Errors wrap errNotLeader,
// errDropped or errUnknown; where ctx ends first the outcome is unknown too.
func (e *engine) propose(ctx context.Context, commands [][]byte) (
	results []state.Result, index uint64, err error,
) {
	p := &proposal{ctx: ctx, commands: commands, done: make(chan proposed, 1)}
	for _, c := range commands {
		if len(c) > state.MaxCommand {
			return nil, 0, fmt.Errorf("%w: a command of %d bytes", errDropped, len(c))
		}
		p.size += len(c)
	}
	if len(commands) == 0 || len(commands) > state.MaxCommands {
		return nil, 0, fmt.Errorf("%w: %d commands at once", errDropped, len(commands))
	}
	if !e.status.Load().Leads {
		return nil, 0, errNotLeader
	}
	p.acquire = e.patient(commands)
	select {
	case e.proposals <- p:
	default:
		return nil, 0, errDropped
	}
	select {
	case d := <-p.done:
		return d.results, d.index, d.err
	case <-ctx.Done():
		return nil, 0, fmt.Errorf("%w: %w", errUnknown, context.Cause(ctx))
	case <-e.ended:
		return nil, 0, errUnknown
	}
}

// batch is an entry that was proposed and is not applied yet.
type batch struct {
	proposals []*proposal
	seats     bool   // the loop's own, about seats
	term      uint64 // in which it was proposed
}

func (b *batch) fail(err error) {
	for _, p := range b.proposals {
		p.done <- proposed{err: err}
	}
}

// take adds a proposal to what goes into the next entry.
func (l *loop) take(p *proposal) {
	switch {
	case !l.leads():
		p.done <- proposed{err: errNotLeader}
	case p.ctx.Err() != nil:
		p.done <- proposed{err: errDropped}
	default:
		l.waiting = append(l.waiting, p)
		l.linger.joined(p, len(l.waiting))
	}
}

// wants reports whether the loop looks for proposals: while enough entries are in flight
// they gather in the queue.
func (l *loop) wants() bool { return !l.leads() || len(l.inFlight) < maxInFlight }

// gather takes what else waits, and proposes it in as few entries as may be.
func (l *loop) gather(queue <-chan *proposal) error {
	for l.wants() {
		for more := true; more && len(l.waiting) < state.MaxCommands; {
			select {
			case p := <-queue:
				l.take(p)
			default:
				more = false
			}
		}
		if len(l.waiting) == 0 || l.holds() {
			return nil
		}
		if err := l.proposeBatch(); err != nil {
			return err
		}
	}
	return nil
}

// proposeBatch proposes as many of the waiting commands as an entry carries.
func (l *loop) proposeBatch() error {
	b := &batch{}
	var commands [][]byte
	size := 0
	for len(l.waiting) > 0 {
		p := l.waiting[0]
		full := len(commands)+len(p.commands) > state.MaxCommands || size+p.size > batchBytes
		if full && len(commands) > 0 {
			break
		}
		commands = append(commands, p.commands...)
		size += p.size
		b.proposals = append(b.proposals, p)
		l.waiting = l.waiting[1:]
	}
	l.linger.over() // what did not fit has waited
	return l.proposeEntry(b, commands)
}

// proposeEntry proposes one entry. The error is one of the library.
func (l *loop) proposeEntry(b *batch, commands [][]byte) error {
	l.seq++
	b.term = l.led.Term
	entry := state.AppendEntryOf(nil, state.Token{Raft: l.raft, Seq: l.seq}, commands...)
	var refused error
	if err := guard(func() { refused = l.node.Propose(entry) }); err != nil {
		b.fail(errUnknown)
		return err
	}
	switch {
	case refused == nil:
		l.inFlight[l.seq] = b
	case errors.Is(refused, raft.ErrProposalDropped):
		b.fail(errDropped) // nothing was appended
	default:
		b.fail(errUnknown)
		return fmt.Errorf("%w: %w", ErrBrokenRaft, refused)
	}
	return nil
}

// finish answers those who wait for an entry that was applied. An entry of an earlier term
// may have been proposed by an earlier process of this seat, under the same number.
func (l *loop) finish(index, term uint64, applied *state.Applied) {
	b := l.inFlight[applied.Token.Seq]
	if b == nil || applied.Token.Raft != l.raft || term != b.term {
		return
	}
	delete(l.inFlight, applied.Token.Seq)
	if b.seats {
		l.seatsBusy = 0
	}
	results := applied.Results
	for _, p := range b.proposals {
		n := len(p.commands)
		p.done <- proposed{results: results[:n:n], index: index}
		results = results[n:]
	}
}

// passOver answers those who wait for an entry that a tail had applied before: what it led
// to was not told here. Left in flight it would keep the place of another one.
func (l *loop) passOver(term uint64, entry []byte) {
	token, _, err := state.DecodeEntry(entry)
	b := l.inFlight[token.Seq]
	if err != nil || b == nil || token.Raft != l.raft || term != b.term {
		return
	}
	delete(l.inFlight, token.Seq)
	if b.seats {
		l.seatsBusy = 0
	}
	b.fail(errUnknown)
}

// abandon answers everybody who waits for this leader: entries that are in flight may yet
// be applied, all else was not proposed.
func (l *loop) abandon() {
	for _, seq := range slices.Sorted(maps.Keys(l.inFlight)) {
		l.inFlight[seq].fail(errUnknown)
	}
	clear(l.inFlight)
	for _, p := range l.waiting {
		p.done <- proposed{err: errNotLeader}
	}
	l.waiting = nil
	l.linger.over()
	l.seatsBusy = 0
	l.abandonReads()
}
