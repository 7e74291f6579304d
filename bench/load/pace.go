// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"sync/atomic"
	"time"
)

// waiter blocks until a moment, or until ctx ends.
type waiter func(ctx context.Context, until time.Time)

// pace tells clients when to send. Requests that are due before measureFrom warm up.
type pace struct {
	// Immutable.
	began       time.Time
	measureFrom time.Time
	end         time.Time // no request is due from then on; zero: only ops ends the run
	ops         uint64    // measured requests; 0: only end ends the run
	interval    float64   // open loop: nanoseconds between requests; 0: closed loop
	wait        waiter

	next     atomic.Uint64 // open loop: number of the next request
	measured atomic.Uint64 // measured requests handed out
}

func newPace(cfg *Config, began time.Time, wait waiter) *pace {
	p := &pace{
		began: began, measureFrom: began.Add(cfg.WarmUp), ops: cfg.Ops, wait: wait,
	}
	if cfg.Duration > 0 {
		p.end = p.measureFrom.Add(cfg.Duration)
	}
	if cfg.Rate > 0 {
		p.interval = float64(time.Second) / cfg.Rate
	}
	return p
}

// take returns when the next request of the calling client is due, having waited for
// that moment; more is false where the run is over. A client that comes late gets a time
// that has passed: the request has been waiting since then.
func (p *pace) take(ctx context.Context) (due time.Time, measured, more bool) {
	due = time.Now()
	if p.interval > 0 {
		number := p.next.Add(1) - 1
		due = p.began.Add(time.Duration(float64(number) * p.interval))
	}
	if ctx.Err() != nil || !p.end.IsZero() && !due.Before(p.end) {
		return due, false, false
	}
	measured = !due.Before(p.measureFrom)
	if measured && p.ops > 0 && p.measured.Add(1) > p.ops {
		return due, false, false
	}
	if p.interval > 0 {
		p.wait(ctx, due)
	}
	return due, measured, ctx.Err() == nil
}

// waitUntil sleeps. The runtime wakes a sleeper of a process that is otherwise idle up
// to a millisecond late, which would be counted as the store's; so the last stretch is
// given to the kernel's own timer.
func waitUntil(ctx context.Context, until time.Time) {
	const fine = 2 * time.Millisecond
	if coarse := time.Until(until) - fine; coarse > 0 {
		timer := time.NewTimer(coarse)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
	if left := time.Until(until); left > 0 {
		sleepExactly(left)
	}
}
