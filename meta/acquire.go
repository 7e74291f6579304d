// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
)

// MaxPoll is the longest that Acquire waits.
const MaxPoll = 30 * time.Second

// Acquire asks for a lock, and waits until it is granted, or refused, or poll is over: then
// the answer is locks.CodeQueued, and the place in the queue is kept for the next call
// with the same session and holder. poll is at most MaxPoll. Errors are those of Do, and
// ErrOverloaded. Where ctx ends while the lock is waited for the error is ctx's, and the
// place is kept.
func (g *Group) Acquire(
	ctx context.Context, a locks.Acquire, poll time.Duration,
) (locks.Result, error) {
	if a.Wait == 0 {
		result, err := g.Do(ctx, state.Acquire(a))
		return result.Lock, err
	}
	ctx, cancel := g.serving.bind(ctx)
	defer cancel()
	t, ok := g.desk.take(attempt{a.Session, a.Holder}) // before the command is proposed: I5
	if !ok {
		return locks.Result{}, ErrOverloaded
	}
	defer g.desk.leave(t)
	over := time.NewTimer(max(0, min(poll, MaxPoll)))
	defer over.Stop()
	for {
		result, err := g.queue(ctx, a)
		if err != nil || result.Lock.Code != locks.CodeQueued {
			return result.Lock, err
		}
		answer, again, err := g.park(ctx, t, result.Lock, over.C)
		if !again {
			return answer, err
		}
	}
}

// queue proposes the command. Its time is that of a call, however long the lock may be
// waited for.
func (g *Group) queue(ctx context.Context, a locks.Acquire) (state.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.CallTimeout)
	defer cancel()
	return g.Do(ctx, state.Acquire(a))
}

// park waits for what becomes of an attempt that was queued. Where this member does not
// know the command is to be proposed again.
func (g *Group) park(
	ctx context.Context, t *ticket, queued locks.Result, over <-chan time.Time,
) (answer locks.Result, again bool, err error) {
	for {
		select {
		case <-t.wake:
		case <-over:
			return g.stillQueued(t.attempt, queued), false, nil
		case <-ctx.Done():
			return locks.Result{}, false, context.Cause(ctx)
		}
		switch f := g.desk.fateOf(t); {
		case f.look:
			if now, known := g.lookUp(t.attempt, queued); !known || now.Code != locks.CodeQueued {
				return now, !known, nil
			}
		case f.code != 0:
			return locks.Result{Code: f.code, Fence: f.fence, Index: f.index}, false, nil
		}
	}
}

// lookUp is what the state says of an attempt that was queued, which is what was answered
// then while the state has not come so far; false where it knows nothing of it.
func (g *Group) lookUp(a attempt, queued locks.Result) (now locks.Result, known bool) {
	now, known = queued, true
	g.machine.read(func(s *state.State) {
		if s != nil && s.Index() >= queued.Index {
			now, known = s.Locks().Look(a.session, a.holder)
		}
	})
	return now, known
}

// stillQueued is the answer at the end of a poll: with the place that the attempt has now,
// as far as this member knows.
func (g *Group) stillQueued(a attempt, queued locks.Result) locks.Result {
	if now, known := g.lookUp(a, queued); known {
		return now
	}
	return queued
}
