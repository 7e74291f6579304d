// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// The ways in which a proposal or a read fails.
var (
	// errNotLeader: nothing was proposed, another member leads; engineStatus.Leader is a
	// hint who.
	errNotLeader = errors.New("meta: this member does not lead the group")
	// errDropped: nothing was proposed, and this member leads; try again.
	errDropped = errors.New("meta: the leader is too busy; nothing was proposed; try again")
	// errUnknown: it was proposed, and whether it will be carried out is not known.
	errUnknown = errors.New("meta: the outcome of the proposal is not known")
)

// The ways in which an engine ends. The process must end with it.
var (
	// ErrStalled: one write of the raft log took longer than EngineConfig.StallAfter.
	ErrStalled = errors.New("meta: the disk stands still; replace it or find out why")
	// ErrDiverged: two members disagree on the state after the same entry.
	ErrDiverged = errors.New("meta: this member's state differs from the leader's after the same " +
		"entry; keep its directory for the developers and let it join anew")
	// ErrDamagedLog: what is stored of the raft log is not what was written.
	ErrDamagedLog = errors.New("meta: the raft log is damaged; restore it or let the node join anew")
	// ErrBrokenRaft: the raft library gave up because something can not be.
	ErrBrokenRaft = errors.New("meta: raft met what can not be; nothing more was written")
)

// applier is the state machine that the engine feeds. All its methods but applied are
// called on the engine's loop, and none may wait for the engine.
type applier interface {
	// applied is the index of the newest entry in the state; 0 where there is no state.
	applied() uint64
	// apply carries out the entry at index; one without data, or at or below applied, only
	// moves the index. An error halts the engine.
	apply(index, term uint64, entry []byte) (state.Applied, error)
	// restore replaces the state by that of a snapshot; of one at or below applied it does
	// nothing.
	restore(index, term uint64, snapshot []byte) error
	// snapshot is the state as it stands.
	snapshot() (index, term uint64, b []byte)
	// read shows the state for the time of the call; it is not called before the first
	// restore.
	read(func(*state.State))
}

// leadership is what the engine tells when this member begins or ceases to lead.
type leadership struct {
	Leads bool
	Term  uint64
	// First is the index of the leader's own first entry: what a leader says is right once
	// the machine has applied it.
	First uint64
}

// engineEnv is what an engine is made of beside its configuration.
type engineEnv struct {
	node    kv.NodeID
	open    kv.Open // the present opening of the store; never the zero Open
	control *storage.Control
	machine applier
	dial    rpc.Dialer
	hello   func(kv.NodeID) rpc.Hello
	rand    *rand.Rand // the engine owns it
	// address is where a member's peers reach it; "" where nobody knows.
	address func(kv.NodeID) string
	// alive reports whether a member seems to be up: only such a one is given a seat.
	alive func(kv.NodeID) bool
	// witnesses are all other members that are known, and ask says hello to one of them, over
	// connections that are not those of raft. ask is nil where there is nobody to ask.
	witnesses func() []kv.NodeID
	ask       func(context.Context, kv.NodeID, *wire.MetaHello) (wire.MetaHello, error)
	// lead is told of every change of leadership, on the engine's loop; it must not wait.
	lead func(leadership)
}

// engine is this member's part in the raft group: a seat, or none. See doc.go.
type engine struct {
	// Immutable after openEngine.
	cfg    EngineConfig
	env    engineEnv
	log    *zap.Logger
	keeper *keeper
	gate   *gate
	links  *raftLinks
	watch  *stopwatch

	hellos    chan *helloCall
	inbox     chan inbound
	proposals chan *proposal
	reads     chan *readRequest
	events    chan event

	status atomic.Pointer[engineStatus]
	// attested is the raft id under which all other members have accepted this one, when it
	// was the only voter.
	attested atomic.Uint64
	ended    chan struct{} // closed when run ends

	doors  sync.RWMutex // guards closed; never held over a wait
	closed bool         // nothing is taken into hellos and the keeper's jobs any more

	loop loop // owned by run
}

// openEngine reads what is stored and brings the machine to the newest snapshot. It
// starts nothing.
func openEngine(cfg EngineConfig, env engineEnv, log *zap.Logger) (*engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if env.open == (kv.Open{}) {
		return nil, errors.New("meta: the opening of the store is missing")
	}
	e := &engine{
		cfg: cfg, env: env, log: log, watch: newStopwatch(),
		keeper: newKeeper(env.control, log),
		hellos: make(chan *helloCall, helloQueue), inbox: make(chan inbound, inboxSize),
		proposals: make(chan *proposal, proposalQueue), reads: make(chan *readRequest, readQueue),
		events: make(chan event, eventQueue), ended: make(chan struct{}),
	}
	store, snapshot, err := openLog(env.control, e.watch)
	if err != nil {
		return nil, err
	}
	if e.gate, err = openGate(env.control, env.machine.read); err != nil {
		return nil, err
	}
	if err := e.keeper.clean(store.head.ID); err != nil {
		return nil, err
	}
	e.links = newRaftLinks(&e.env, &e.cfg, e.gate, e.tell, log)
	e.links.examine = e.examine
	e.loop = loop{
		e: e, store: store, inFlight: make(map[uint64]*batch), linger: newLingering(),
		rounds: make(map[uint64][]*readRequest), heard: make(map[state.RaftID]time.Time),
	}
	store.now = e.loop.presentState
	if store.exists() {
		if err := store.opened(env.open); err != nil {
			return nil, err
		}
		if store.refused {
			log.Error(remedy, zap.Stringer("raft-id", state.RaftID(store.state.Raft)))
			e.loop.refused = remedy // what it has applied may never have been: nobody sees that
		} else if err := e.loop.restart(snapshot); err != nil {
			return nil, err
		}
	}
	e.loop.publish()
	return e, nil
}

// run drives raft until ctx ends (then it returns nil) or the engine must end. Where it
// returns ErrStalled its loop still stands in a write: the process must end.
func (e *engine) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.links.open(ctx)
	e.loop.begin()
	// Size 4, one for each: none waits, also where nobody listens any more.
	faults := make(chan error, 4)
	looped := make(chan struct{})
	go func() {
		defer close(looped)
		faults <- e.loop.run(ctx)
	}()
	var helpers sync.WaitGroup
	helpers.Go(func() { faults <- e.keeper.run(ctx) })
	helpers.Go(func() { faults <- e.judgeHellos(ctx) })
	helpers.Go(func() { faults <- e.seekWitnesses(ctx) })
	stalled := make(chan error, 1)
	helpers.Go(func() { stalled <- e.watch.awaitStall(ctx, e.cfg.StallAfter) })

	var fault error
	select {
	case fault = <-faults:
	case fault = <-stalled:
	}
	cancel()
	close(e.ended)
	e.shut()
	if !errors.Is(fault, ErrStalled) {
		<-looped
		helpers.Wait()
	}
	e.links.close()
	e.shut() // what the helpers were doing meanwhile
	return fault
}

// tell hands an event to the loop, and gives up when ctx ends.
func (e *engine) tell(ctx context.Context, ev event) {
	select {
	case e.events <- ev:
	case <-ctx.Done():
	}
}

// resign hands the leadership to another voter, if this member has it.
func (e *engine) resign(ctx context.Context) { e.tell(ctx, event{resign: true}) }
