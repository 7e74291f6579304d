// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// renewShare is which part of a session's TTL its renewal may wait for company, and
	// hurryShare which part of its caller's time.
	renewShare, hurryShare = 6, 8
	// renewAgain is the pause after a batch that nobody answered. Those in it wait for the
	// next one, beside those that came meanwhile.
	renewAgain = 200 * time.Millisecond
	// maxRenewals bounds the renewals that wait at one member: more than a group has
	// sessions.
	maxRenewals = 200_000
	// renewTry bounds the first tries of a batch, so that a leader which is paused holds it up
	// for little longer than an election. For one that is only slow it is twice as long after
	// each renewTries.
	renewTry   = 500 * time.Millisecond
	renewTries = 4
	// newsPoll is how often a try looks whether another leader is named.
	newsPoll = 50 * time.Millisecond
)

// renewals gathers the renewals of a member's clients into batches for the leader: one a
// sixth of the shortest TTL among them, or an eighth of the shortest time that one of them
// has, but for retries. A renewal that finds no batch sent within that time goes at once. It
// is answered with the batch that carried it, and with no other: a later one confirms the
// leader for a later moment only, an earlier one for one before it came.
type renewals struct {
	group *Group
	wake  chan struct{} // size 1: the next batch is due earlier

	mu      sync.Mutex // guards what follows
	waiting []*renewal
	due     time.Time // of the next batch, where somebody waits
	sent    time.Time // when the last one was
}

// renewal is one that waits.
type renewal struct {
	id    locks.SessionID
	every time.Duration // how long it may wait for company
	done  chan error    // size 1: it is answered once
	gone  bool          // nobody waits for it any more; guarded by the renewals' mu
}

func newRenewals(g *Group) *renewals {
	return &renewals{group: g, wake: make(chan struct{}, 1)}
}

// Renew keeps a session alive: it has its full TTL from some moment after the call on. It
// waits for the batch that carries it, for a sixth of the TTL or an eighth of ctx's time: who
// has little left says so by that. The error wraps ErrSessionExpired where the group does not
// know the session, and ErrNoLeader where ctx ended before a leader answered; the session may
// then be alive or not.
func (g *Group) Renew(ctx context.Context, id locks.SessionID) error {
	ctx, cancel := g.bounded(ctx)
	defer cancel()
	r := &renewal{id: id, every: g.every(id), done: make(chan error, 1)}
	if deadline, bounded := ctx.Deadline(); bounded {
		r.every = min(r.every, time.Until(deadline)/hurryShare)
	}
	if !g.renewals.add(r) {
		return ErrOverloaded
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
	}
	g.renewals.mu.Lock()
	r.gone = true
	g.renewals.mu.Unlock()
	return fmt.Errorf("%w: the session was not renewed: %w", ErrNoLeader, context.Cause(ctx))
}

// every is how long a session's renewal may wait.
func (g *Group) every(id locks.SessionID) (every time.Duration) {
	every = g.cfg.RenewAtLeast
	g.machine.read(func(s *state.State) {
		if s == nil {
			return
		}
		if session, known := s.Locks().Session(id); known {
			every = max(every, session.TTL/renewShare)
		}
	})
	return every
}

// add enters a renewal; false where too many wait.
func (q *renewals) add(r *renewal) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= maxRenewals {
		return false
	}
	due := q.sent.Add(r.every)
	if len(q.waiting) == 0 || due.Before(q.due) {
		q.due = due
		signal(q.wake)
	}
	q.waiting = append(q.waiting, r)
	return true
}

// run sends a batch whenever one is due, one after the other, until ctx ends.
func (q *renewals) run(ctx context.Context) error {
	for q.await(ctx) {
		batch := q.take(time.Now())
		again := q.send(ctx, batch)
		if len(again) == 0 {
			continue
		}
		sleep(ctx, q.group.jitter(renewAgain))
		q.mu.Lock()
		q.waiting = append(again, q.waiting...)
		q.due = time.Time{}
		q.mu.Unlock()
		signal(q.wake)
	}
	return nil
}

// await waits until a batch is due; false when ctx ends.
func (q *renewals) await(ctx context.Context) bool {
	for ctx.Err() == nil {
		q.mu.Lock()
		wait := time.Hour
		if len(q.waiting) > 0 {
			wait = time.Until(q.due)
		}
		q.mu.Unlock()
		if wait <= 0 {
			return true
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-q.wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return false
}

// take takes those that wait, but for those that nobody waits for.
func (q *renewals) take(now time.Time) []*renewal {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := make([]*renewal, 0, len(q.waiting))
	for _, r := range q.waiting {
		if !r.gone {
			batch = append(batch, r)
		}
	}
	q.waiting, q.sent = nil, now
	return batch
}

// send sends a batch, in as many messages as it needs, and returns those to be sent again.
func (q *renewals) send(ctx context.Context, batch []*renewal) (again []*renewal) {
	var sends sync.WaitGroup
	var mu sync.Mutex // guards again
	for len(batch) > 0 {
		part := batch[:min(len(batch), wire.MaxMetaRenewals)]
		batch = batch[len(part):]
		sends.Go(func() {
			open := q.sendPart(ctx, part)
			mu.Lock()
			defer mu.Unlock()
			again = append(again, open...)
		})
	}
	sends.Wait()
	return again
}

// sendPart has one message's renewals carried out and answers those who wait for them. It
// returns those that have no answer yet.
func (q *renewals) sendPart(ctx context.Context, part []*renewal) (again []*renewal) {
	sessions := make([][16]byte, len(part))
	for i, r := range part {
		sessions[i] = r.id
	}
	renewed, index, err := q.group.renewAt(ctx, sessions)
	if err != nil || len(renewed) != len(part) {
		return part
	}
	for i, r := range part {
		if renewed[i] {
			r.done <- nil
		} else {
			again = append(again, r)
		}
	}
	return q.group.judge(ctx, again, index)
}

// judge tells renewals that were not taken, as of an index, whose session has ended. The
// end of the others is proposed: they have no answer before it is decided.
func (g *Group) judge(ctx context.Context, refused []*renewal, index uint64) (open []*renewal) {
	if len(refused) == 0 || !g.machine.awaitFor(ctx, index, settlePatience) {
		return refused
	}
	g.machine.read(func(s *state.State) {
		for _, r := range refused {
			if _, alive := s.Locks().Session(r.id); alive {
				open = append(open, r)
				continue
			}
			r.done <- fmt.Errorf("%w: %v", ErrSessionExpired, r.id)
		}
	})
	return open
}

// renewAt renews a batch with whoever leads. Who is not answered in that time is sent again
// beside those that have come meanwhile.
func (g *Group) renewAt(ctx context.Context, sessions [][16]byte) (
	renewed []bool, index uint64, err error,
) {
	err = g.search(ctx, g.hasten, func(ctx context.Context, leader kv.NodeID) error {
		var err error
		if leader == g.cfg.Node {
			renewed, index, err = g.renewHere(ctx, sessions)
		} else {
			renewed, index, err = g.renewThere(ctx, leader, sessions)
		}
		return err
	})
	return renewed, index, err
}

// hasten bounds a try of a batch: by a short time at first, and by the news that another
// member leads. A batch costs little to repeat, and a session may wait for it.
func (g *Group) hasten(ctx context.Context, leader kv.NodeID, silences int) (
	context.Context, context.CancelFunc,
) {
	try := g.cfg.TryTimeout
	if longer := silences / renewTries; longer < 8 {
		try = min(try, renewTry<<longer)
	}
	ctx, cancel := context.WithTimeout(ctx, try)
	before := g.named()
	var watching sync.WaitGroup
	watching.Go(func() {
		for sleep(ctx, newsPoll) {
			if now := g.named(); now != before && now != 0 && now != leader {
				cancel()
			}
		}
	})
	return ctx, func() {
		cancel()
		watching.Wait()
	}
}

// renewThere asks another member to renew a batch.
func (g *Group) renewThere(ctx context.Context, leader kv.NodeID, sessions [][16]byte) (
	renewed []bool, index uint64, err error,
) {
	request := wire.MetaRenewRequest{RemainingMS: remaining(ctx), Sessions: sessions}
	answer, err := g.caller.call(ctx, leader, wire.MethodMetaRenew,
		func(dst []byte, _ uint16) []byte { return wire.AppendMetaRenewRequest(dst, &request) })
	if err != nil {
		return nil, 0, err
	}
	var reply wire.MetaRenewReply
	if err := wire.DecodeMetaRenewReply(answer, &reply); err != nil {
		return nil, 0, err
	}
	return reply.Renewed, reply.Index, g.heed(leader, &reply.MetaOutcome)
}
