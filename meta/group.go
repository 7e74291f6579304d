// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// settlePatience is how long Do waits for this member to see what it changed. A member
// that is further behind than this learns it when it catches up.
const settlePatience = time.Second

// Group is this member's part in the metadata group, as a seat or as a client of it: which
// of the two changes while it runs, and nobody who uses a Group has to know. Its methods
// may be called from any goroutine.
type Group struct {
	// Immutable after Open.
	cfg      Config
	log      *zap.Logger
	desk     *desk
	views    *views
	machine  *machine
	engine   consensus
	caller   caller
	links    *links
	hints    hints
	confirms confirms
	renewals *renewals
	tail     *tail
	shelf    *shelf // for members that tail this one
	saves    *shelf // for those who save the state
	pulls    *pulls
	forwards chan struct{}          // a token for each command that is forwarded now
	offices  chan leadership        // size 1: only the newest counts
	office   atomic.Pointer[office] // nil unless this member leads, and has armed

	random sync.Mutex // guards rand
	rand   *rand.Rand

	serving serving
}

// consensus is the engine, as the services see it.
type consensus interface {
	run(ctx context.Context) error
	standing() *engineStatus
	propose(ctx context.Context, commands [][]byte) ([]state.Result, uint64, error)
	readIndex(ctx context.Context) (index, term uint64, err error)
	// handle answers a call that is the engine's. It never waits.
	handle(call *rpc.Call)
	// examine judges the openings that another seat shows.
	examine(ctx context.Context, h *wire.MetaHello) (wire.MetaHello, error)
	// claims tells what a member that tails this one says it has applied.
	claims(ctx context.Context, c claim)
}

// Open reads what this member keeps of the group, and starts nothing. From here on View
// answers with the last view that was kept; calls to the group fail until Run runs.
func Open(cfg Config, log *zap.Logger) (*Group, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	g := newGroup(cfg, log)
	if err := g.views.load(cfg.Control, cfg.Cluster); err != nil {
		return nil, err
	}
	e, err := openEngine(cfg.Engine, engineEnv{
		node: cfg.Node, open: cfg.Opens[len(cfg.Opens)-1], control: cfg.Control,
		machine: g.machine, dial: cfg.Dial, hello: cfg.Hello, rand: g.fork(),
		address: g.address, alive: cfg.Alive, lead: g.appoint,
		witnesses: g.witnesses, ask: g.ask,
	}, log.Named("engine"))
	if err != nil {
		return nil, err
	}
	e.tellEntries(cfg.Trace)
	g.engine = seated{e}
	return g, nil
}

// seated is the engine as a consensus.
type seated struct{ *engine }

func (s seated) standing() *engineStatus { return s.status.Load() }

func (s seated) handle(call *rpc.Call) {
	switch string(call.Method) {
	case wire.MethodMetaHello:
		s.handleHello(call)
	case wire.MethodMetaStep:
		s.handleStep(call)
	case wire.MethodMetaSnapshot:
		s.handleSnapshot(call)
	}
}

// newGroup makes the services, which have no engine yet.
func newGroup(cfg Config, log *zap.Logger) *Group {
	g := &Group{
		cfg: cfg, log: log, desk: newDesk(cfg.Parked), views: &views{},
		forwards: make(chan struct{}, maxForwards), offices: make(chan leadership, 1), rand: cfg.Rand,
	}
	g.machine = newMachine(g.desk, g.views, cfg.Trace)
	g.links = newLinks(cfg.Dial, cfg.Hello, g.address, g.fork(), log.Named("links"))
	g.caller = g.links
	g.confirms.read = func(ctx context.Context) (uint64, uint64, error) {
		return g.engine.readIndex(ctx)
	}
	g.confirms.spawn, g.confirms.timeout = g.serving.spawn, cfg.TryTimeout
	g.renewals = newRenewals(g)
	g.tail = &tail{group: g}
	g.shelf, g.saves = &shelf{machine: g.machine}, &shelf{machine: g.machine}
	g.pulls = newPulls(g)
	return g
}

// fork is a source of random numbers for a part that owns it.
func (g *Group) fork() *rand.Rand {
	g.random.Lock()
	defer g.random.Unlock()
	return rand.New(rand.NewPCG(g.rand.Uint64(), g.rand.Uint64()))
}

// Run takes part until ctx ends. It returns nil then, and an error where this member can
// not go on: its disk fails, or its copy of the state has halted. When it returns no
// goroutine of the group is left, and every call has been answered; but with ErrStalled it
// returns at once, and the process must end.
func (g *Group) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g.serving.begin(ctx)
	var parts sync.WaitGroup
	var faults error
	var mu sync.Mutex // guards faults
	start := func(part func(context.Context) error) {
		parts.Go(func() {
			err := part(ctx)
			if err == nil && ctx.Err() == nil {
				err = errors.New("meta: a part of the group ended by itself")
			}
			if err != nil {
				mu.Lock()
				faults = errors.Join(faults, err)
				mu.Unlock()
				cancel(err)
			}
		})
	}
	for _, part := range []func(context.Context) error{
		g.engine.run, g.links.run, g.tail.run, g.renewals.run, g.pulls.run, g.keepViews,
		g.lead, g.shelf.run, g.saves.run,
	} {
		start(part)
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); errors.Is(cause, ErrStalled) {
		return cause // what else writes stands still as well
	}
	g.serving.end()
	parts.Wait()
	return faults
}

// appoint is told by the engine of every change of leadership; it never waits. What was
// told before and has not been taken up is past.
func (g *Group) appoint(office leadership) {
	for {
		select {
		case g.offices <- office:
			return
		default:
		}
		select {
		case <-g.offices:
		default:
		}
	}
}

// View is the newest view that this member knows; nil before it knows any. It is durable
// before long: a member that starts without the group begins with it.
func (g *Group) View() *state.View { return g.views.newest.Load() }

// Watch returns a channel that has a token whenever View has changed since the last one
// was taken, and at first. The function ends the watch.
func (g *Group) Watch() (<-chan struct{}, func()) { return g.views.watch() }

// Do has the group carry out a command and returns its result. It is tried again, with
// whoever leads, until ctx ends. Then the error wraps ErrNoLeader where the command was
// surely not proposed, and ErrUnknown where it was, perhaps. What the command changed in
// View, View knows when Do returns, unless this member is far behind.
func (g *Group) Do(ctx context.Context, c state.Command) (state.Result, error) {
	results, index, repeated, err := g.propose(ctx, [][]byte{state.AppendCommand(nil, c)})
	if err != nil {
		return state.Result{}, err
	}
	if _, ends := c.(state.Release); ends && repeated && results[0].Lock.Code == locks.CodeOK &&
		!results[0].Lock.Released {
		// The first of two may have ended the grant: of all commands only this one is answered
		// otherwise when it is repeated.
		return state.Result{}, fmt.Errorf("%w: the grant was not held at the second try", ErrUnknown)
	}
	if results[0].Lock.Code == 0 {
		g.machine.awaitFor(ctx, index, settlePatience)
	}
	return results[0], nil
}

// Barrier waits until this member has applied all that the group had committed when
// Barrier was called: what Read shows afterwards is not stale. The error wraps
// ErrNoLeader: a barrier proposes nothing.
func (g *Group) Barrier(ctx context.Context) (index uint64, err error) {
	ctx, cancel := g.bounded(ctx)
	defer cancel()
	if index, err = g.readIndex(ctx); err != nil {
		return 0, err
	}
	if err := g.machine.await(ctx, index); err != nil {
		return 0, fmt.Errorf("%w: this member has not applied entry %d: %w", ErrNoLeader, index, err)
	}
	return index, nil
}

// Read shows the state to f, which must neither change nor keep it, nor wait. What it
// shows is as old as this member is behind; a member that knows no state yet shows nil.
func (g *Group) Read(f func(*state.State)) { g.machine.read(f) }

// Role is what a member is in the group.
type Role uint8

const (
	// RoleClient: it follows the group without a part in it.
	RoleClient Role = 1 + iota
	// RoleLearner: it has a seat and does not vote, yet.
	RoleLearner
	// RoleVoter: it has a seat and votes.
	RoleVoter
)

func (r Role) String() string { return role(r).String() }

// Status is what a member says of itself and the group, for people.
type Status struct {
	Node       kv.NodeID
	Role       Role
	Raft       state.RaftID // 0 without a seat
	Refused    string       // why the group does not take this member's seat; "" where it does
	Leads      bool         // this member does, as far as it knows
	Leader     kv.NodeID    // as far as this member knows; 0: none
	Term       uint64
	Applied    uint64 // the index that this member has applied
	Committed  uint64 // the index that this member knows as committed
	Generation kv.Generation
	// Source is whom this member tails; 0: nobody.
	Source kv.NodeID
	// Parked is how many waits for locks are open here.
	Parked int
	// Locks counts what the lock table has.
	Locks locks.Counts
	// Seats are the group's, in order of their numbers, as far as this member knows.
	Seats []SeatStatus
}

// SeatStatus is one seat, as a member knows it.
type SeatStatus struct {
	Node  kv.NodeID
	Raft  state.RaftID
	Peer  string
	Voter bool
	Match uint64 // how far its log is known to agree; 0: not known here
}

// Status tells how things stand.
func (g *Group) Status() Status {
	engine := g.engine.standing()
	s := Status{
		Node: g.cfg.Node, Role: Role(engine.Role), Raft: engine.Raft, Refused: engine.Refused,
		Leads: engine.Leads, Leader: engine.Leader, Term: engine.Term, Committed: engine.Commit,
		Source: g.tail.current(), Parked: g.desk.count(),
	}
	if s.Leader == 0 && engine.Role == roleClient { // a seat hears for itself
		s.Leader = g.hints.get()
	}
	voters := engine.Voters
	if engine.Role == roleClient {
		voters = g.tail.voters()
	}
	g.machine.read(func(st *state.State) {
		if st == nil {
			return
		}
		s.Applied, s.Generation, s.Locks = st.Index(), st.Generation(), st.Locks().Counts()
		for _, m := range st.Members() {
			if m.Raft == 0 {
				continue
			}
			s.Seats = append(s.Seats, SeatStatus{
				Node: m.ID, Raft: m.Raft, Peer: m.Peer, Match: engine.Match[m.Raft],
				Voter: slices.Contains(voters, m.Raft),
			})
		}
	})
	s.Committed = max(s.Committed, s.Applied)
	return s
}
