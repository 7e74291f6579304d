// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

const (
	// pollMost is how long a node holds on to a request that waits for a lock. The
	// protocol allows 30 s; but a node that has gone silent meanwhile is not missed
	// before, and a lock that it was told of is held by nobody until then.
	pollMost = 10 * time.Second
	// pollLeast is how soon the next poll may follow on one that brought nothing.
	pollLeast = 100 * time.Millisecond
	// waitMost is the longest wait that is asked for at once; who waits longer takes
	// another place then. If this side goes away the end of the session ends the wait.
	waitMost = 24 * time.Hour
	// cancelWait is how long a caller that has given up is kept for the group to know.
	// What takes longer goes on behind its back.
	cancelWait = time.Second
)

// acquisition is an attempt at a lock.
type acquisition struct {
	session *Session
	call    *call
	request wire.LockAcquireRequest
	// waits says that the attempt queues; until is when the caller's time is over, zero
	// where that is never.
	waits bool
	until time.Time
	// doubt says that the group may know of the number.
	doubt bool
}

// acquire gets a lock, or fails. What it leaves behind then is nothing, or is being
// cancelled.
func (s *Session) acquire(
	ctx context.Context, name string, kind wire.LockKind, waits bool, opts []Option,
) (*Held, error) {
	var o options
	why := o.fold(opts, optLock)
	if why == "" && (name == "" || len(name) > wire.MaxLockName) {
		why = "the name of a lock has 1 to 255 bytes"
	}
	if why != "" {
		return nil, invalidName(wire.MethodLockAcquire, name, why)
	}
	a := &acquisition{session: s, waits: waits}
	a.request = wire.LockAcquireRequest{Session: s.id, Name: name, Kind: kind, Value: o.value}
	if o.trace == "" {
		o.trace = s.trace
	}
	a.aim(ctx, &o)
	if err := a.number(); err != nil {
		return nil, err
	}
	ctx, stop := s.during(ctx)
	defer stop()
	return a.run(ctx)
}

// aim prepares the request, which is the same for each poll but for its times.
func (a *acquisition) aim(ctx context.Context, o *options) {
	s := a.session
	switch deadline, bounded := ctx.Deadline(); {
	case !a.waits || o.timeout != 0:
		a.until = s.client.deadline(ctx, o)
	case bounded:
		a.until = deadline
	}
	q := s.call(wire.MethodLockAcquire, wire.OpWrite)
	q.name = a.request.Name
	if o.endpoint != "" {
		q.endpoint = o.endpoint
	}
	if a.waits {
		q.parks = true
		q.try = pollMost + s.client.cfg.TryTimeout
	}
	q.encode = func(dst []byte) []byte {
		r := a.request
		r.Common = wire.Common{TimeoutMS: q.timeoutMS, Trace: o.trace}
		if a.waits {
			r.TimeoutMS = min(q.timeoutMS, uint32(pollMost.Milliseconds()))
			r.WaitMS = waitMS(a.left())
		}
		return wire.AppendLockAcquireRequest(dst, &r)
	}
	a.call = q
}

// waitMS is what the group is told of a wait, in milliseconds: a little less than what a
// node is told of the request's time, so that it can tell that the wait is over.
func waitMS(left time.Duration) uint32 {
	const most = 100 * time.Millisecond
	left -= min(left/10, most)
	return uint32(max(1, left.Milliseconds()))
}

// left is what is left of the wait.
func (a *acquisition) left() time.Duration {
	if a.until.IsZero() {
		return waitMost
	}
	return min(time.Until(a.until), waitMost)
}

// number takes a number, and fails where the session is over.
func (a *acquisition) number() error {
	s := a.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state >= SessionLost {
		return a.overError()
	}
	a.request.Holder = s.numbers.take()
	a.doubt = false
	return nil
}

// run polls until the lock is there, or there is no more hope of it.
func (a *acquisition) run(ctx context.Context) (*Held, error) {
	c := a.session.client
	for pauses := 0; ; pauses++ {
		began := time.Now()
		got, err := a.poll(ctx)
		switch code := codeOf(err); {
		case err == nil && !got.Queued:
			return a.granted(&got)
		case err == nil && time.Since(began) >= pollLeast:
			pauses = -1
			continue
		case a.beginsAnew(code):
			a.session.finished(a.request.Holder)
			if err := a.number(); err != nil {
				return nil, err
			}
		case err != nil && !a.comesAgain(ctx, code):
			return nil, a.giveUp(ctx, err)
		}
		until := a.until
		if until.IsZero() {
			until = time.Now().Add(waitMost)
		}
		pause := c.pause(pauses, c.cfg.Retry.PauseMin, c.cfg.Retry.PauseMax)
		if woke, f := c.sleep(ctx, pause, until); !woke {
			return nil, a.giveUp(ctx, a.stopped(f, err))
		}
	}
}

// poll asks once: until the node answers that there is nothing yet, at the latest.
func (a *acquisition) poll(ctx context.Context) (wire.LockAcquireResult, error) {
	s, q := a.session, a.call
	s.mu.Lock()
	a.request.DoneThrough = s.numbers.through
	s.mu.Unlock()
	q.most = 0
	q.deadline = time.Now().Add(pollMost + s.client.cfg.TryTimeout + s.client.cfg.Timeout)
	if !a.until.IsZero() && a.until.Before(q.deadline) {
		q.deadline = a.until
	}
	got, err := ask(ctx, s.client, q, wire.DecodeLockAcquireResult)
	if err == nil && got.Fence == 0 && !got.Queued {
		err = q.badAnswer(errNoFence)
	}
	// A conflict comes of another request of this number only: nothing is known of this one.
	a.doubt = a.doubt || got.Queued || OutcomeOf(err) == OutcomeUnknown ||
		codeOf(err) == wire.CodeLockConflict
	return got, err
}

var errNoFence = errors.New("neither a fence nor a place in the queue")

// beginsAnew reports whether a number is finished with while the caller still has time:
// the longest wait was not long enough, or the answer that told how the attempt ended was
// lost. Another number takes its place then.
func (a *acquisition) beginsAnew(code Code) bool {
	const soon = 150 * time.Millisecond // a wait ends a little before the caller's time does
	return (code == wire.CodeWaitTimeout || code == wire.CodeLockLost) && a.left() > soon
}

// comesAgain reports whether a poll that failed may fare better later.
func (a *acquisition) comesAgain(ctx context.Context, code Code) bool {
	over := !a.until.IsZero() && !time.Now().Before(a.until)
	if !a.waits || over || ctx.Err() != nil {
		return false
	}
	switch code {
	case CodeConnect, CodeLost:
		return true
	}
	switch code.Retry(wire.OpWrite) {
	case wire.RetryLater, wire.RetryElsewhere, wire.RetrySameID:
		return true
	default:
		return false
	}
}

// granted makes the lock the caller's, unless the session was lost on the way.
func (a *acquisition) granted(got *wire.LockAcquireResult) (*Held, error) {
	s := a.session
	if s.Err() != nil {
		return nil, a.overError()
	}
	return &Held{
		session: s, name: a.request.Name, holder: a.request.Holder, fence: uint64(got.Fence),
		index: got.Index,
	}, nil
}

// stopped is the error of a pause that was not slept through.
func (a *acquisition) stopped(f fault, last error) error {
	if last != nil && !f.final {
		return last // it tells more than that there is no time left
	}
	if !f.final {
		f = ended(context.Background())
	}
	a.call.note(f)
	return a.call.failed()
}

// giveUp ends the attempt: the number is finished with where the group is done with it,
// and cancelled otherwise.
func (a *acquisition) giveUp(ctx context.Context, err error) error {
	s, number := a.session, a.request.Holder
	var e *Error
	if !errors.As(err, &e) {
		return err // ask returns no other
	}
	e.Holder = number
	switch {
	case e.Code == wire.CodeSessionExpired:
		s.expired(err)
		return a.overError()
	case s.Err() != nil:
		return a.overError() // the number ends with the session
	case e.Code == wire.CodeLockHeld, e.Code == wire.CodeWaitTimeout,
		e.Code == wire.CodeLockLost, !a.inDoubt(e.Code):
		s.finished(number)
		e.Outcome = OutcomeNone
	case s.cancel(a.request.Name, number):
		e.Outcome = OutcomeNone
	default:
		e.Outcome = OutcomeUnknown
	}
	a.tellWait(ctx, e)
	return e
}

// inDoubt reports whether the group may know of the number, after an error. A node that
// waits for a lock may have had it queued, lost sight of it, and then found no leader to
// ask again: of a wait that was sent only a final refusal says that there was nothing.
func (a *acquisition) inDoubt(code Code) bool {
	return a.doubt || a.waits && !a.call.sent.IsZero() && !refusedForGood(code)
}

// refusedForGood reports whether a node will not carry out the request, ever.
func refusedForGood(code Code) bool {
	return code.Retry(wire.OpWrite) == wire.RetryNo && code.Outcome(wire.OpWrite) == OutcomeNone
}

// tellWait makes an error that only means that the caller's time was over say so.
func (a *acquisition) tellWait(ctx context.Context, e *Error) {
	over := !a.until.IsZero() && !time.Now().Before(a.until)
	unanswered := a.doubt && over && e.Code == wire.CodeTimeout
	// With LOCK_LOST the answer before that one has been lost.
	if a.waits && (unanswered || e.Code == wire.CodeLockLost) {
		e.Code, e.Text = wire.CodeWaitTimeout, "not granted in time"
	}
	if e.Code == wire.CodeWaitTimeout && e.Err == nil {
		e.Err = context.DeadlineExceeded
	}
}

func (a *acquisition) overError() *Error {
	e := &Error{
		Op: wire.MethodLockAcquire, Name: a.request.Name, Holder: a.request.Holder,
		Code: CodeSessionLost, Text: "the session is over", Outcome: OutcomeNone,
	}
	if over := a.session.Err(); over != nil {
		e.Code, e.Err = codeOf(over), over
	}
	return e
}

// finished takes note that the group is done with a number.
func (s *Session) finished(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.numbers.finish(number)
}

// cancel ends what the group may know of a number, and reports whether it has. Where it
// reports false the client goes on, until the group has answered or the session is over.
func (s *Session) cancel(name string, number uint64) bool {
	err := s.askCancel(name, number, cancelWait)
	if err == nil || refusedForGood(codeOf(err)) {
		return err == nil
	}
	s.client.start(func() {
		c := s.client
		for pauses := 0; s.Err() == nil; pauses++ {
			pause := c.pause(pauses, c.cfg.Retry.PauseMin, c.cfg.Retry.PauseMax)
			woke, _ := c.sleep(s.over, pause, time.Now().Add(2*pause))
			if !woke {
				return
			}
			if err := s.askCancel(name, number, c.cfg.Timeout); err == nil ||
				refusedForGood(codeOf(err)) {
				return
			}
		}
	})
	return false
}

func (s *Session) askCancel(name string, number uint64, within time.Duration) error {
	q := s.call(wire.MethodLockCancel, wire.OpWrite)
	q.name = name
	q.deadline = time.Now().Add(within)
	q.encode = func(dst []byte) []byte {
		return wire.AppendLockCancelRequest(dst, &wire.LockCancelRequest{
			Common: s.common(q), Session: s.id, Holder: number, Name: name,
		})
	}
	_, err := ask(s.over, s.client, q, decodeEmpty)
	switch codeOf(err) {
	case wire.CodeSessionExpired:
		s.expired(err)
	case "":
		s.finished(number)
	}
	return err
}
