// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

// codeExpired is what the group says of a session that it does not know any more; what only
// the client knows of a loss has another code (docs/protocol.md).
const codeExpired client.Code = "SESSION_EXPIRED"

// Locks are the locks of a cluster as one client of a workload asks for them. Sessions are
// left by closing their client, as a process that dies leaves them: the next session has a
// client of its own.
type Locks struct {
	dial func() (*client.Client, error)
	now  func() int64

	mu     sync.Mutex // guards client
	client *client.Client
}

var _ workload.LockService = (*Locks)(nil)

// NewLocks lets one client of a workload use the locks of a cluster through the clients that
// dial makes, one after the other. now is the clock of the run, in nanoseconds.
func NewLocks(dial func() (*client.Client, error), now func() int64) *Locks {
	return &Locks{dial: dial, now: now}
}

// Stop closes the client that is in use.
func (l *Locks) Stop() { l.leave(nil) }

// Open implements workload.LockService.
func (l *Locks) Open(
	ctx context.Context, ttl time.Duration,
) (workload.LockSession, workload.LockAnswer) {
	c, err := l.use()
	if err != nil {
		return nil, workload.LockAnswer{Outcome: history.Fail, Error: err.Error()}
	}
	s, err := c.NewSession(ctx, client.WithTTL(ttl))
	if err != nil {
		return nil, lockFailure(err)
	}
	return &lockSession{
		service: l, client: c, session: s, held: make(map[uint64]*client.Held),
	}, workload.LockAnswer{Outcome: history.OK}
}

// use is the client in use, a new one where there is none.
func (l *Locks) use() (*client.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil {
		return l.client, nil
	}
	c, err := l.dial()
	if err == nil {
		l.client = c
	}
	return c, err
}

// leave closes the client in use, if it is that one, or whichever it is where c is nil.
func (l *Locks) leave(c *client.Client) {
	l.mu.Lock()
	used := l.client
	if c == nil || c == used {
		l.client = nil
	}
	l.mu.Unlock()
	if c == nil {
		c = used
	}
	if c != nil {
		c.Close()
	}
}

// lockSession is a session with what it holds.
type lockSession struct {
	service *Locks
	client  *client.Client
	session *client.Session

	mu   sync.Mutex // guards all below
	held map[uint64]*client.Held
}

var (
	_ workload.LockCanceller = (*lockSession)(nil)
	_ workload.LockForcer    = (*lockSession)(nil)
)

// Acquire implements workload.LockSession. Most failures do not say that the lock was never
// granted: only that it is not any more, since the client has cancelled the attempt. Such
// an attempt has an unknown outcome, and is over.
func (s *lockSession) Acquire(ctx context.Context, r *workload.LockRequest) workload.LockAnswer {
	m := s.session.RWMutex(r.Name)
	get := m.TryLock
	var opts []client.Option
	switch {
	case r.Wait > 0 && r.Shared:
		get, opts = m.RLock, append(opts, client.WithTimeout(r.Wait))
	case r.Wait > 0:
		get, opts = m.Lock, append(opts, client.WithTimeout(r.Wait))
	case r.Shared:
		get = m.TryRLock
	}
	held, err := get(ctx, opts...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.held[r.Holder] = held
		return workload.LockAnswer{Outcome: history.OK, Fence: held.Fence()}
	}
	a := s.failure(err)
	if errors.Is(err, client.ErrLocked) {
		return workload.LockAnswer{Outcome: history.OK, Node: a.Node}
	}
	// Where the session is over the attempt ends with it.
	a.Over = a.Outcome == history.Fail && s.session.Err() == nil
	a.Outcome = history.Info
	return a
}

// failure is that of a request of the session.
func (s *lockSession) failure(err error) workload.LockAnswer {
	a := lockFailure(err)
	a.Expired = codeOfLock(s.session.Err()) == codeExpired
	return a
}

// Release implements workload.LockSession.
func (s *lockSession) Release(ctx context.Context, r *workload.LockRequest) workload.LockAnswer {
	s.mu.Lock()
	held := s.held[r.Holder]
	delete(s.held, r.Holder)
	s.mu.Unlock()
	if held == nil {
		return workload.LockAnswer{Outcome: history.Fail, Error: "nothing is held"}
	}
	err := held.Unlock(ctx)
	switch {
	case err == nil:
		return workload.LockAnswer{Outcome: history.OK, Released: true}
	case errors.Is(err, client.ErrLockLost) && s.session.Err() == nil:
		// A node may have told the group twice, and heard of the second time only.
		return workload.LockAnswer{Outcome: history.OK, Again: true}
	}
	a := s.failure(err)
	a.Outcome = history.Info // the client goes on, or has gone on before
	return a
}

// Cancel implements workload.LockCanceller. The client cancels what has failed by itself; a
// lock that is held is given back.
func (s *lockSession) Cancel(ctx context.Context, r *workload.LockRequest) workload.LockAnswer {
	s.mu.Lock()
	held := s.held[r.Holder] != nil
	s.mu.Unlock()
	if !held {
		a := s.failure(errCancelling)
		a.Outcome = history.Info
		return a
	}
	a := s.Release(ctx, r)
	a.Released, a.Again = false, false
	return a
}

// ForceRelease implements workload.LockForcer.
func (s *lockSession) ForceRelease(
	ctx context.Context, r *workload.LockRequest,
) workload.LockAnswer {
	s.mu.Lock()
	delete(s.held, r.Holder)
	s.mu.Unlock()
	released, err := s.client.ForceRelease(ctx, r.Name, r.Fence, "the workload wants it")
	if err != nil {
		return lockFailure(err)
	}
	return workload.LockAnswer{Outcome: history.OK, Released: released, Again: !released}
}

// Close implements workload.LockSession.
func (s *lockSession) Close(ctx context.Context) workload.LockAnswer {
	if err := s.session.Close(ctx); err != nil {
		a := s.failure(err)
		a.Outcome = history.Info
		return a
	}
	return workload.LockAnswer{Outcome: history.OK}
}

// Leave implements workload.LockSession.
func (s *lockSession) Leave() { s.service.leave(s.client) }

// Lost implements workload.LockSession.
func (s *lockSession) Lost() bool { return s.session.Err() != nil }

// Renewed implements workload.LockSession.
func (s *lockSession) Renewed() int64 {
	return max(0, s.service.now()-int64(time.Since(s.session.Renewed())))
}

// TTL implements workload.LockSession.
func (s *lockSession) TTL() time.Duration { return s.session.TTL() }

var errCancelling = errors.New("the client still cancels it")

func lockFailure(err error) workload.LockAnswer {
	a := workload.LockAnswer{Outcome: history.Fail, Error: err.Error()}
	if client.OutcomeOf(err) == client.OutcomeUnknown {
		a.Outcome = history.Info
	}
	var e *client.Error
	if errors.As(err, &e) {
		a.Node, a.Again = e.Node, e.Attempts > 1
	}
	return a
}

func codeOfLock(err error) client.Code {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
