// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// LockClient is a client with one session at a time, which its holders share.
type LockClient struct {
	service LockService
	id      int
	record  *history.Recorder
	now     func() int64
	names   *LockNames
	ttl     time.Duration

	mu       sync.Mutex // guards all below; nothing waits under it
	sessions int        // so far
	session  *lockSession
}

// lockSession is a session with its name in the run.
type lockSession struct {
	LockSession
	name string

	mu       sync.Mutex // guards all below
	attempts uint64
	left     bool // closed or left by the client itself
}

// gone reports whether the client has told of the session's loss, or has ended it itself.
func (s *lockSession) gone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left || s.Lost()
}

func (s *lockSession) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
}

func (s *lockSession) attempt() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	return s.attempts
}

// NewLockClient returns client id of a run, from 0 on. now is the clock of the run, in
// nanoseconds; clients that share names fight over the same locks.
func NewLockClient(
	s LockService, id int, w Locks, names *LockNames, r *history.Recorder, now func() int64,
) *LockClient {
	return &LockClient{service: s, id: id, record: r, now: now, names: names, ttl: w.TTL}
}

// LockHolder makes one attempt after the other, as one process of a history. It is for one
// goroutine.
type LockHolder struct {
	client  *LockClient
	process int
	// owner says that the holder opens and ends the client's sessions.
	owner bool
}

// Owner returns the holder that opens and ends the client's sessions. There must be one.
func (c *LockClient) Owner(process int) *LockHolder { return &LockHolder{c, process, true} }

// Holder returns a further holder, that uses whatever session there is.
func (c *LockClient) Holder(process int) *LockHolder { return &LockHolder{c, process, false} }

// RunLocks does n steps that w draws, or fewer if ctx ends. An error is one of the run, not
// of the locks: what the group refuses is in the history.
func RunLocks(ctx context.Context, h *LockHolder, w Locks, rng *rand.Rand, n int) error {
	for range n {
		step := w.Next(rng)
		if !rest(ctx, step.Pause) {
			return nil
		}
		if err := h.Do(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// rest reports whether the time passed before ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// Do does one step; where there is no session nothing is done, but that its owner opens one.
// An error says that an operation can not be recorded.
func (h *LockHolder) Do(ctx context.Context, step LockStep) error {
	s, err := h.use(ctx)
	if err != nil || s == nil {
		return err
	}
	r := LockRequest{
		Name: h.client.names.take(step.Slot), Holder: s.attempt(),
		Shared: step.Shared, Wait: step.Wait,
	}
	op := h.begin(history.Acquire, s, &r)
	got := s.Acquire(ctx, &r)
	if got.Outcome == history.Info && got.Over {
		return h.over(s, &r, op, got, step.Slot)
	}
	if err := h.end(op, got, step.Slot); err != nil {
		return err
	}
	switch {
	case got.Outcome == history.Info:
		return h.cancel(ctx, s, &r, step.Slot)
	case got.Outcome != history.OK || got.Fence == 0:
		return nil
	}
	r.Fence = got.Fence
	rest(ctx, step.Hold)
	return h.finish(ctx, s, &r, step)
}

// finish ends a grant as the step says.
func (h *LockHolder) finish(
	ctx context.Context, s *lockSession, r *LockRequest, step LockStep,
) error {
	forcer, forces := s.LockSession.(LockForcer)
	_, cancels := s.LockSession.(LockCanceller)
	switch {
	case step.End == LockClose && h.owner:
		return h.Close(ctx)
	case step.End == LockLeave && h.owner:
		return h.leave(s)
	case step.End == LockCancel && cancels:
		return h.cancel(ctx, s, r, step.Slot)
	case step.End == LockForce && forces:
		op := h.begin(history.ForceRelease, s, r)
		return h.end(op, forcer.ForceRelease(ctx, r), step.Slot)
	}
	op := h.begin(history.Release, s, r)
	return h.end(op, s.Release(ctx, r), step.Slot)
}

// cancel ends an attempt whose outcome is not known, or that is to be ended so, where the
// client can.
func (h *LockHolder) cancel(
	ctx context.Context, s *lockSession, r *LockRequest, slot int,
) error {
	canceller, ok := s.LockSession.(LockCanceller)
	if !ok {
		h.client.names.doubt(slot)
		return nil
	}
	op := h.begin(history.Cancel, s, r)
	return h.end(op, canceller.Cancel(ctx, r), slot)
}

// over records an attempt that the client itself has cancelled. When, between its beginning
// and now, nobody knows: others may have been granted the lock before now. So the attempt
// may take place at any time from its beginning on, and so may its cancel, until now.
func (h *LockHolder) over(
	s *lockSession, r *LockRequest, op *history.Op, got LockAnswer, slot int,
) error {
	cancel := h.begin(history.Cancel, s, r)
	cancel.Invoked, cancel.Lock.Lost = op.Invoked, op.Lock.Lost
	if err := h.endAt(op, got, slot, op.Invoked); err != nil {
		return err
	}
	return h.end(cancel, LockAnswer{Outcome: history.OK, Node: got.Node}, slot)
}

// begin is an operation that begins now.
func (h *LockHolder) begin(k history.Kind, s *lockSession, r *LockRequest) *history.Op {
	op := &history.Op{
		Process: h.process, Kind: k, Key: r.Name, Invoked: h.client.now(),
		Lock: history.Lock{Session: s.name, Holder: r.Holder, Lost: s.gone()},
	}
	switch k {
	case history.Acquire:
		op.Lock.Shared, op.Lock.Wait = r.Shared, int64(r.Wait)
	case history.Release:
		op.Lock.Fence = r.Fence
	case history.ForceRelease:
		op.Lock.Fence, op.Lock.Holder = r.Fence, 0
	}
	return op
}

// end records an operation with what became of it.
func (h *LockHolder) end(op *history.Op, got LockAnswer, slot int) error {
	return h.endAt(op, got, slot, h.client.now())
}

func (h *LockHolder) endAt(op *history.Op, got LockAnswer, slot int, at int64) error {
	op.Completed, op.Outcome = at, got.Outcome
	op.Node, op.Error, op.Again = got.Node, got.Error, got.Again
	op.Lock.Expired = got.Expired && got.Outcome != history.OK
	if got.Outcome == history.OK {
		op.Lock.Released = got.Released && op.Kind != history.Cancel && op.Kind != history.Acquire
		if op.Kind == history.Acquire {
			op.Lock.Fence = got.Fence
		}
	}
	if op.Outcome == history.Info && op.Kind != history.Acquire { // which is cancelled next
		h.client.names.doubt(slot)
	}
	return h.client.save(op)
}

func (c *LockClient) save(op *history.Op) error {
	if err := c.record.Op(op); err != nil {
		return fmt.Errorf("workload: %s: %w", op, err)
	}
	return nil
}
