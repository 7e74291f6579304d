// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/invariant"
	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/meta/state"
)

// Bounds of raft.
const (
	// maxAppend is how much an append message carries, beyond its first entry.
	maxAppend = 256 << 10
	// maxInflightAppends is how many of them are on their way to a seat, maxInflightBytes
	// how much.
	maxInflightAppends = 128
	maxInflightBytes   = 4 << 20
	// maxUncommitted is how much a leader appends that is not committed.
	maxUncommitted = 4 << 20
	// stepsAtOnce is how many calls of others are stepped before what follows from them is
	// stored: one sync for all.
	stepsAtOnce = 16
	// eventQueue bounds what is told to the loop by its helpers, who wait beyond it.
	eventQueue = 16
)

// event is something that a helper of the loop tells it: one of the fields is set.
type event struct {
	refused  *refusal
	sent     *snapshotSent
	written  *snapshotFile // by this member
	received *snapshotFile // from another seat
	claim    *claim
	resign   bool
}

// snapshotSent tells how the sending of a snapshot went.
type snapshotSent struct {
	to  state.RaftID
	err error
}

// loop is the state of the engine's loop. All of it is owned by the goroutine of
// engine.run, or by openEngine before that.
type loop struct {
	e     *engine
	store *logStore

	raft  state.RaftID
	node  *raft.RawNode // nil where this member has no seat, or does not take part in it
	seats *pb.ConfState // as of applied
	// applied is the last entry that raft has handed out. The machine may be ahead, where a
	// tail has fed it before.
	applied uint64
	fed     bool
	refused string
	// silentUntil is when a seat takes part at the latest: see mayAct.
	silentUntil time.Time
	acting      bool

	soft raft.SoftState
	led  leadership

	// voters and learners are those of shown, for the status.
	shown            *pb.ConfState
	voters, learners []state.RaftID

	// Of a leader.
	seq       uint64 // numbers entries and rounds of this life
	waiting   []*proposal
	linger    lingering
	inFlight  map[uint64]*batch
	readers   []*readRequest
	rounds    map[uint64][]*readRequest
	heard     map[state.RaftID]time.Time // when a seat was heard last
	ledSince  time.Time
	match     map[state.RaftID]uint64 // of the seats, at the last tick; never changed
	seatsBusy int                     // ticks that it yet waits for its last step about seats

	// A snapshot that this member is writing, one that it was sent, and the state that it
	// sends to others.
	writing  bool
	received *snapshotFile
	sending  *snapshotJob
	unsent   []state.RaftID // seats to which a snapshot could not even begin to be sent
	changing bool           // a change of seats is being applied

	hashes hashes
}

// restart makes the raft node of the seat that the store has. snapshot is the newest.
func (l *loop) restart(snapshot []byte) error {
	l.raft = state.RaftID(l.store.state.Raft)
	l.applied, l.seats = l.store.head.Index, seatsOf(&l.store.head)
	l.refused, l.acting = "", false
	if l.store.head.Index > 0 {
		err := l.e.env.machine.restore(l.store.head.Index, l.store.head.Term, snapshot)
		if err != nil {
			return fmt.Errorf("meta: the newest snapshot: %w", err)
		}
	}
	// A seat with an empty log has nothing for the machine until a leader has found it.
	l.fed = l.store.state.Last > 0
	var err error
	if broken := guard(func() { l.node, err = raft.NewRawNode(l.raftConfig()) }); broken != nil {
		return broken
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBrokenRaft, err)
	}
	l.soft = raft.SoftState{}
	l.introduce()
	return nil
}

func (l *loop) raftConfig() *raft.Config {
	cfg := &l.e.cfg
	// A leader that asks nobody whether it leads does not give up by itself either.
	unconfirmed := mutant.On(mutant.LeaderUnconfirmed) || mutant.On(mutant.RenewalUnconfirmed)
	return &raft.Config{
		ID: uint64(l.raft), Storage: l.store, Applied: l.applied,
		ElectionTick: cfg.ElectionTicks, HeartbeatTick: cfg.HeartbeatTicks,
		PreVote: true, CheckQuorum: !unconfirmed, ReadOnlyOption: raft.ReadOnlySafe,
		// A follower does not know whether its proposal arrives; the services forward.
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
		MaxSizePerMsg:             maxAppend, MaxCommittedSizePerReady: 4 * maxAppend,
		MaxInflightMsgs: maxInflightAppends, MaxInflightBytes: maxInflightBytes,
		MaxUncommittedEntriesSize: maxUncommitted,
		Logger:                    newRaftLogger(l.e.log.With(zap.Stringer("raft-id", l.raft))),
	}
}

// begin starts the time in which a seat takes no part yet.
func (l *loop) begin() {
	if l.node != nil {
		l.introduce()
	}
}

// introduce tells gate and links who this member is now.
func (l *loop) introduce() {
	own := state.RaftID(0)
	if l.node != nil {
		own = l.raft
	}
	l.e.gate.become(own, l.peers())
	l.e.links.become(identity{raft: own, opens: l.store.opens, term: l.store.state.Term})
	now := time.Now()
	l.silentUntil = now.Add(time.Duration(2*l.e.cfg.ElectionTicks) * l.e.cfg.Tick)
	l.e.links.follow(l.peers(), now)
}

// leave ends this member's part in raft; what is stored stays.
func (l *loop) leave(why string) {
	l.lose()
	l.node, l.fed, l.refused = nil, false, why
	l.received, l.sending = nil, nil
	l.introduce()
}

// mayAct reports whether a seat takes part yet. After each start it waits until all other
// seats have accepted its store, or for two elections: of those that were up while it was
// rolled back one says so, and it must not vote or acknowledge before it has heard that. One
// that is the only voter waits for all other members.
func (l *loop) mayAct(now time.Time) bool {
	if !l.acting && l.node != nil {
		l.acting = !now.Before(l.silentUntil) || l.e.gate.acceptedByAll() &&
			(!l.sole() || l.e.attested.Load() == uint64(l.raft))
	}
	return l.acting && l.node != nil
}

func (l *loop) leads() bool { return l.node != nil && l.led.Leads }

// run is the loop: whatever happens is followed by storing, sending and applying what
// follows from it.
func (l *loop) run(ctx context.Context) error {
	e := l.e
	ticker := time.NewTicker(e.cfg.Tick)
	defer ticker.Stop()
	if err := l.settle(); err != nil {
		return err
	}
	for {
		proposals := e.proposals
		if !l.wants() {
			proposals = nil
		}
		var err error
		select {
		case <-ctx.Done():
			l.abandon()
			return nil
		case now := <-ticker.C:
			err = l.tick(now)
		case in := <-e.inbox:
			err = l.stepAll(in)
		case p := <-proposals:
			l.take(p)
		case <-l.linger.timer.C:
			l.linger.over()
		case r := <-e.reads:
			l.takeRead(r)
		case ev := <-e.events:
			err = l.hear(ev)
		case <-e.links.lostSome:
			err = l.reportLost()
		}
		if err == nil {
			err = l.settle()
		}
		if err != nil {
			return err
		}
	}
}

// settle proposes what waits and handles all that raft is ready for, as long as that makes
// room for what still waits.
func (l *loop) settle() error {
	for more := true; more && l.node != nil && l.mayAct(time.Now()); {
		if err := l.gather(l.e.proposals); err != nil {
			return err
		}
		if err := l.confirm(l.e.reads); err != nil {
			return err
		}
		if err := l.ready(); err != nil {
			return err
		}
		more = len(l.waiting) > 0 && l.wants() && !l.holds()
	}
	l.publish()
	return nil
}

// tick passes a unit of the group's time.
func (l *loop) tick(now time.Time) error {
	if err := l.reconsider(); err != nil {
		return err
	}
	if l.node == nil {
		return nil
	}
	l.e.links.follow(l.peers(), now)
	if !l.mayAct(now) {
		return nil
	}
	if err := guard(l.node.Tick); err != nil {
		return err
	}
	if err := l.ready(); err != nil {
		return err
	}
	l.measure()
	return l.tendSeats(now)
}

// hear takes an event.
func (l *loop) hear(ev event) error {
	switch {
	case ev.refused != nil:
		return l.hearRefusal(ev.refused)
	case ev.claim != nil:
		return l.hearClaim(ev.claim)
	case ev.sent != nil:
		return l.reportSnapshot(ev.sent)
	case ev.written != nil:
		return l.compact(ev.written)
	case ev.received != nil:
		l.received = ev.received
	case ev.resign:
		return l.resign()
	default:
		invariant.Unreachable("an event has one of its fields")
	}
	return nil
}

// reportLost tells raft of messages that were lost.
func (l *loop) reportLost() error {
	lost := l.e.links.takeLost()
	if l.node == nil {
		return nil
	}
	return guard(func() {
		for _, id := range lost {
			l.node.ReportUnreachable(uint64(id))
		}
	})
}

// raftIDs returns all seats of a configuration, in order.
func raftIDs(seats *pb.ConfState) []state.RaftID {
	return idsOf(slices.Concat(
		seats.GetVoters(), seats.GetLearners(), seats.GetVotersOutgoing(), seats.GetLearnersNext()))
}
