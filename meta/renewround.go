// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/wire"
)

// renewBatch is one batch of renewals at the leader.
type renewBatch struct {
	sessions [][16]byte
	done     chan struct{} // closed after what follows is set
	renewed  []bool        // of each session, in order
	err      error
}

// renew renews a batch: at once, so that nothing of it falls due while it waits, and
// again after the confirmation, which is the answer (LOCKS R3).
func (o *office) renew(ctx context.Context, sessions [][16]byte) ([]bool, error) {
	b := &renewBatch{sessions: sessions, done: make(chan struct{})}
	now := time.Now()
	o.mu.Lock()
	if !o.armed {
		o.mu.Unlock()
		return nil, errNotArmed
	}
	for _, id := range sessions {
		o.leases.Renew(id, now)
	}
	o.batches = append(o.batches, b)
	o.mu.Unlock()
	signal(o.batched)
	select {
	case <-b.done:
		return b.renewed, b.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// renews has the leader confirmed for the batches of a window at a time.
func (o *office) renews(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.batched:
		}
		if !sleep(ctx, o.group.cfg.RenewWindow) {
			return
		}
		o.mu.Lock()
		batches := o.batches
		o.batches = nil
		o.mu.Unlock()
		var err error
		if !mutant.On(mutant.RenewalUnconfirmed) {
			err = o.group.confirms.confirmTerm(ctx, o.held.Term)
		}
		o.settle(batches, err)
	}
}

// settle answers batches that were confirmed, or were not.
func (o *office) settle(batches []*renewBatch, err error) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range batches {
		if b.err = err; err == nil {
			b.renewed = make([]bool, len(b.sessions))
			for i, id := range b.sessions {
				b.renewed[i] = o.leases.Renew(id, now) == locks.RenewalTaken
			}
		}
		close(b.done)
	}
}

// dismiss ends the office: nothing is renewed in it any more.
func (o *office) dismiss() {
	o.mu.Lock()
	o.armed = false
	batches := o.batches
	o.batches = nil
	o.mu.Unlock()
	o.settle(batches, errNotArmed)
}

// renewHere renews a batch, if this member leads.
func (g *Group) renewHere(ctx context.Context, sessions [][16]byte) (
	renewed []bool, index uint64, err error,
) {
	o := g.office.Load()
	if o == nil {
		return nil, 0, errNotArmed
	}
	renewed, err = o.renew(ctx, sessions)
	return renewed, g.machine.applied(), err
}

// serveRenew answers another member's batch.
func (g *Group) serveRenew(
	ctx context.Context, q *wire.MetaRenewRequest,
) (reply wire.MetaRenewReply) {
	ctx, cancel := withRemaining(ctx, q.RemainingMS)
	defer cancel()
	renewed, index, err := g.renewHere(ctx, q.Sessions)
	if err != nil {
		reply.MetaOutcome = g.outcomeOf(err)
		return reply
	}
	return wire.MetaRenewReply{
		MetaOutcome: g.outcome(wire.MetaOK, ""), Renewed: renewed, Index: index,
	}
}
