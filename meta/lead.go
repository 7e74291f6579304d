// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
)

const (
	// leadRest is the pause after something that a leader proposes came to nothing, and the
	// shortest time between two looks at what is due.
	leadRest = 50 * time.Millisecond
	// formEvery is how often a leader looks whether the first ring is due.
	formEvery = 200 * time.Millisecond
	// usualTTL is that of most sessions; only a mutant asks.
	usualTTL = 15 * time.Second
)

// errNotArmed: this member does not lead, or has not armed the sessions yet.
var errNotArmed = errors.New("meta: this member does not keep sessions now")

// lead does a leader's duties as long as this member leads, one office after the other.
func (g *Group) lead(ctx context.Context) error {
	var running sync.WaitGroup
	stop := func() {}
	for {
		select {
		case <-ctx.Done():
			stop()
			running.Wait()
			return nil
		case held := <-g.offices:
			stop()
			running.Wait()
			if !held.Leads {
				continue
			}
			var term context.Context
			term, stop = context.WithCancel(ctx)
			running.Go(func() { newOffice(g, held).run(term) })
		}
	}
}

// office is one leadership: the deadlines of sessions and waits, which exist in the memory
// of the leader only, and begin anew with each (LOCKS R2).
type office struct {
	// Immutable after newOffice.
	group *Group
	held  leadership
	// Tokens, size 1 each: batches wait to be confirmed; a deadline may be nearer than it was.
	batched, leased, waited chan struct{}

	mu      sync.Mutex // guards what follows; taken under the machine's
	leases  *locks.Leases
	waits   *locks.Waits
	armed   bool
	batches []*renewBatch
}

func newOffice(g *Group, held leadership) *office {
	token := func() chan struct{} { return make(chan struct{}, 1) }
	return &office{
		group: g, held: held, batched: token(), leased: token(), waited: token(),
		leases: locks.NewLeases(), waits: locks.NewWaits(),
	}
}

// run waits until the leader's own first entry is applied, so that the state is what it
// was when the office before ended, arms every session, and serves until ctx ends.
func (o *office) run(ctx context.Context) {
	g := o.group
	if g.machine.await(ctx, o.held.First) != nil {
		return
	}
	g.machine.lead(o)
	g.office.Store(o)
	g.log.Info("leads the group", zap.Uint64("term", o.held.Term))
	var duties sync.WaitGroup
	for _, duty := range []func(context.Context){o.renews, o.expires, o.endsWaits, o.forms} {
		duties.Go(func() { duty(ctx) })
	}
	duties.Wait()
	g.office.Store(nil)
	g.machine.lead(nil)
	o.dismiss()
	g.log.Info("leads the group no more", zap.Uint64("term", o.held.Term))
}

// reset implements follower: it arms everything with the whole time.
func (o *office) reset(s *state.State) {
	now := time.Now()
	if mutant.On(mutant.LeasesGoOn) {
		now = now.Add(-usualTTL)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.leases.Arm(s.Locks().Leases(), now)
	o.waits.Arm(s.Locks().Waiting(), now)
	o.armed = true
	signal(o.leased)
	signal(o.waited)
}

// noted implements follower.
func (o *office) noted(events []locks.Event, _ uint64) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range events {
		o.leases.Note(e, now)
		o.waits.Note(e, now)
		switch e.Kind {
		case locks.EventOpened:
			signal(o.leased)
		case locks.EventQueued:
			signal(o.waited)
		}
	}
}

// expires proposes the end of sessions that were not renewed. Before that a quorum has
// confirmed the leader, so that one that was paused, and has a successor perhaps, expires
// nobody; and with the term in the command it could not (LOCKS R4).
func (o *office) expires(ctx context.Context) {
	g := o.group
	for o.until(ctx, o.leased, func(now time.Time) (time.Time, bool) {
		o.leases.Sort(now)
		return o.leases.Next()
	}) {
		if err := g.confirms.confirmTerm(ctx, o.held.Term); err != nil {
			sleep(ctx, leadRest)
			continue
		}
		o.mu.Lock()
		ids := o.leases.Due(time.Now(), locks.MaxExpire)
		o.mu.Unlock()
		if len(ids) == 0 {
			continue
		}
		g.log.Info("sessions have expired", zap.Int("count", len(ids)))
		o.propose(ctx, state.SessionExpire{IDs: ids, Term: o.held.Term})
	}
}

// endsWaits proposes the end of waits that have lasted their time.
func (o *office) endsWaits(ctx context.Context) {
	for o.until(ctx, o.waited, func(time.Time) (time.Time, bool) { return o.waits.Next() }) {
		o.mu.Lock()
		over := o.waits.Due(time.Now(), state.MaxCommands)
		o.mu.Unlock()
		commands := make([]state.Command, len(over))
		for i, w := range over {
			commands[i] = state.CancelWait{Session: w.Session, Holder: w.Holder, Name: w.Name}
		}
		o.propose(ctx, commands...)
	}
}

// until waits until something is due, as next says, which is called with the office
// locked. It reports false when ctx ends.
func (o *office) until(
	ctx context.Context, changed <-chan struct{}, next func(time.Time) (time.Time, bool),
) bool {
	for {
		now := time.Now()
		o.mu.Lock()
		due, some := next(now)
		o.mu.Unlock()
		if some && !due.After(now) {
			return ctx.Err() == nil
		}
		wait := time.Hour
		if some {
			wait = max(due.Sub(now), leadRest)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return false
		}
	}
}

// propose proposes what a leader has decided. What fails is not tried again here: what is
// still due is handed out again.
func (o *office) propose(ctx context.Context, commands ...state.Command) {
	if len(commands) == 0 {
		return
	}
	encoded := make([][]byte, len(commands))
	for i, c := range commands {
		encoded[i] = state.AppendCommand(nil, c)
	}
	ctx, cancel := context.WithTimeout(ctx, o.group.cfg.CallTimeout)
	defer cancel()
	if _, _, err := o.group.engine.propose(ctx, encoded); err != nil {
		o.group.log.Debug("a leader's proposal failed", zap.Error(err))
		sleep(ctx, leadRest)
	}
}

// forms proposes the first ring when it is due.
func (o *office) forms(ctx context.Context) {
	for sleep(ctx, formEvery) {
		v := o.group.View()
		if v == nil || v.Ring != nil {
			return // a leader has a state, and so a view
		}
		if formable(v.Expect, v.Opened, len(o.group.engine.standing().Voters)) {
			o.group.log.Info("the first ring is due", zap.Int("members", v.Opened))
			o.propose(ctx, state.FormRing{})
		}
	}
}
