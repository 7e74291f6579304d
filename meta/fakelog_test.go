// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// fakeLog is the log of a group in memory, in the place of raft: who leads is what a test
// says, and what a leader proposes is committed after a delay, unless it was deposed.
type fakeLog struct {
	mu      sync.Mutex
	delay   time.Duration // of a commit, and of a confirmation
	stall   time.Duration // of a commit, beside that
	term    uint64
	leader  *fakeSeat
	first   uint64 // index of entries[0]
	entries []committed
	grown   chan struct{} // closed, and replaced, by each append
	seats   []*fakeSeat
}

// fakeSeat is a member's engine on a fakeLog.
type fakeSeat struct {
	log     *fakeLog
	node    kv.NodeID
	machine *machine
	lead    func(leadership)

	// guarded by the log's mu
	client    bool          // it has no seat
	leads     *leadership   // what it believes
	knows     kv.NodeID     // whom it takes for the leader
	gate      chan struct{} // not nil: it is paused until this is closed
	lag       time.Duration // it applies so much later
	lose      int           // so many proposals are committed and not answered
	seq       uint64
	reads     int // how many confirmations were asked for
	proposed  [][]byte
	waiting   map[uint64]chan []state.Result // for the results of the entry at an index
	refuses   atomic.Bool                    // the stores of all seats
	denounced atomic.Int32                   // how often it was told that others refuse it
}

func newFakeLog(delay time.Duration, next uint64) *fakeLog {
	return &fakeLog{delay: delay, term: 1, first: next, grown: make(chan struct{})}
}

func (l *fakeLog) seat(node kv.NodeID, m *machine, lead func(leadership)) *fakeSeat {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &fakeSeat{log: l, node: node, machine: m, lead: lead,
		waiting: make(map[uint64]chan []state.Result)}
	l.seats = append(l.seats, s)
	return s
}

// elect makes a seat the leader of the next term, which all hear of who are not paused.
func (l *fakeLog) elect(s *fakeSeat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.term++
	l.leader = s
	index := l.append(l.term, nil)
	for _, other := range l.seats {
		if other.gate == nil {
			other.hear(s, l.term, index)
		}
	}
}

// depose leaves the group without a leader, as all hear who are not paused.
func (l *fakeLog) depose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leader = nil
	for _, s := range l.seats {
		if s.gate == nil {
			s.hear(nil, l.term, 0)
		}
	}
}

// hear tells a seat who leads. The log is locked.
func (s *fakeSeat) hear(leader *fakeSeat, term, first uint64) {
	s.knows = 0
	if leader != nil && !s.client {
		s.knows = leader.node
	}
	was := s.leads
	s.leads = nil
	if leader == s {
		s.leads = &leadership{Leads: true, Term: term, First: first}
		s.lead(*s.leads)
	} else if was != nil {
		s.lead(leadership{Term: term})
	}
}

// append adds an entry and returns its index. The log is locked.
func (l *fakeLog) append(term uint64, data []byte) uint64 {
	l.entries = append(l.entries, committed{Term: term, Data: data})
	close(l.grown)
	l.grown = make(chan struct{})
	return l.first + uint64(len(l.entries)) - 1
}

// entry returns the entry at index, or a channel that is closed when there is one more.
func (l *fakeLog) entry(index uint64) (committed, chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := index - l.first; at < uint64(len(l.entries)) {
		return l.entries[at], nil
	}
	return committed{}, l.grown
}

// pause stops a seat as SIGSTOP does: it neither applies nor answers before resume.
func (s *fakeSeat) pause() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.gate = make(chan struct{})
}

func (s *fakeSeat) resume() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	close(s.gate)
	s.gate = nil
}

// learn tells a seat that was paused who leads now: what the first message of another
// seat does to an old leader.
func (s *fakeSeat) learn() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.hear(s.log.leader, s.log.term, 0)
}

// passed waits while the seat is paused.
func (s *fakeSeat) passed(ctx context.Context) error {
	for {
		s.log.mu.Lock()
		gate := s.gate
		s.log.mu.Unlock()
		if gate == nil {
			return nil
		}
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// run implements consensus: it applies what is committed, while it has a seat.
func (s *fakeSeat) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if s.passed(ctx) != nil {
			return nil
		}
		s.log.mu.Lock()
		client, lag := s.client, s.lag
		s.log.mu.Unlock()
		if client {
			sleep(ctx, 10*time.Millisecond)
			continue
		}
		next := s.machine.applied() + 1
		entry, grown := s.log.entry(next)
		if grown != nil {
			select {
			case <-grown:
			case <-ctx.Done():
			}
			continue
		}
		if lag > 0 && !sleep(ctx, lag) {
			return nil
		}
		applied, err := s.machine.apply(next, entry.Term, entry.Data)
		if err != nil {
			return err
		}
		s.log.mu.Lock()
		if answer := s.waiting[next]; answer != nil {
			answer <- applied.Results
			delete(s.waiting, next)
		}
		s.log.mu.Unlock()
	}
	return nil
}

func (s *fakeSeat) standing() *engineStatus {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	status := &engineStatus{Role: roleVoter, Fed: true, Leader: s.knows, Term: s.log.term}
	if s.client {
		return &engineStatus{Role: roleClient}
	}
	status.Raft, status.Open = state.RaftID(uint64(s.node)<<48), kv.Open{Seq: 1, Nonce: 1}
	status.Commit = s.log.first + uint64(len(s.log.entries)) - 1
	if s.leads != nil {
		status.Leads, status.Term, status.First = true, s.leads.Term, s.leads.First
	}
	for _, other := range s.log.seats {
		if !other.client {
			status.Voters = append(status.Voters, state.RaftID(uint64(other.node)<<48))
		}
	}
	return status
}

// propose implements consensus.
func (s *fakeSeat) propose(ctx context.Context, commands [][]byte) ([]state.Result, uint64, error) {
	if err := s.passed(ctx); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errUnknown, err)
	}
	s.log.mu.Lock()
	if s.leads == nil {
		s.log.mu.Unlock()
		return nil, 0, errNotLeader
	}
	term := s.leads.Term
	s.seq++
	token := state.Token{Raft: state.RaftID(uint64(s.node) << 48), Seq: s.seq}
	s.proposed = append(s.proposed, commands...)
	stall := s.log.stall
	s.log.mu.Unlock()
	sleep(ctx, stall+s.log.commitTime())

	s.log.mu.Lock()
	if s.log.leader != s || s.log.term != term {
		s.log.mu.Unlock()
		<-ctx.Done()
		return nil, 0, fmt.Errorf("%w: %w", errUnknown, ctx.Err())
	}
	index := s.log.append(term, state.AppendEntryOf(nil, token, commands...))
	answer := make(chan []state.Result, 1)
	s.waiting[index] = answer
	lose := s.lose > 0
	if lose {
		s.lose--
	}
	s.log.mu.Unlock()
	select {
	case results := <-answer:
		if lose {
			return nil, 0, errUnknown
		}
		return results, index, nil
	case <-ctx.Done():
		return nil, 0, fmt.Errorf("%w: %w", errUnknown, ctx.Err())
	}
}

// readIndex implements consensus.
func (s *fakeSeat) readIndex(ctx context.Context) (index, term uint64, err error) {
	s.log.mu.Lock()
	s.reads++
	leads := s.leads
	s.log.mu.Unlock()
	if leads == nil {
		return 0, 0, errNotLeader
	}
	if err := s.passed(ctx); err != nil {
		return 0, 0, err
	}
	sleep(ctx, s.log.commitTime())
	s.log.mu.Lock()
	deposed := s.log.leader != s || s.log.term != leads.Term
	index = s.log.first + uint64(len(s.log.entries)) - 1
	s.log.mu.Unlock()
	if deposed {
		<-ctx.Done()
		return 0, 0, ctx.Err()
	}
	return index, leads.Term, nil
}

// handle implements consensus: nobody speaks raft here, but a seat says who it is.
func (s *fakeSeat) handle(call *rpc.Call) {
	var asked wire.MetaHello
	if string(call.Method) != wire.MethodMetaHello ||
		wire.DecodeMetaHello(call.Params, &asked) != nil {
		call.ReplyError("INVALID: no raft here")
		return
	}
	if asked.Verdict != 0 {
		s.denounced.Add(1)
	}
	answer := wire.MetaHello{Verdict: kv.VerdictUnknown}
	if status := s.standing(); status.Raft != 0 {
		answer.Raft, answer.Open = uint64(status.Raft), []kv.Open{status.Open}
	}
	call.Reply(func(dst []byte) []byte { return wire.AppendMetaHello(dst, &answer) })
}

// examine implements consensus: every store is well, unless this member is to refuse it.
func (s *fakeSeat) examine(context.Context, *wire.MetaHello) (wire.MetaHello, error) {
	if s.refuses.Load() {
		return wire.MetaHello{Verdict: kv.VerdictForked}, nil
	}
	return wire.MetaHello{Verdict: kv.VerdictConfirmed}, nil
}

// claims implements consensus.
func (s *fakeSeat) claims(context.Context, claim) {}

// expiries is how many SessionExpire a seat has proposed.
func (s *fakeSeat) expiries() (count int) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for _, encoded := range s.proposed {
		if c, err := state.DecodeCommand(encoded); err == nil {
			if _, ok := c.(state.SessionExpire); ok {
				count++
			}
		}
	}
	return count
}

func (s *fakeSeat) confirmations() int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.reads
}

func (s *fakeSeat) setLag(d time.Duration) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.lag = d
}

func (s *fakeSeat) loseAnswers(n int) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.lose = n
}

func (l *fakeLog) setDelay(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

func (l *fakeLog) setStall(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stall = d
}

func (l *fakeLog) commitTime() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delay
}

// forgetLeader has a seat hear no more of who leads.
func (l *fakeLog) forgetLeader(s *fakeSeat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.knows = 0
}

// setClient takes a seat, or gives it back.
func (l *fakeLog) setClient(s *fakeSeat, client bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.client = client
}

func (s *fakeSeat) paused() bool {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.gate != nil
}

// believe has a seat take another one for the leader.
func (l *fakeLog) believe(s, leader *fakeSeat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.knows = leader.node
}
