// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"sync"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// Mutex is a lock that one holder has at a time, as a session asks for it. It costs
// nothing to make, and may be used from any number of goroutines, which exclude each
// other. It is not reentrant.
type Mutex struct {
	session *Session
	name    string
}

// Mutex names a lock; 1 to 255 bytes. It asks no node.
func (s *Session) Mutex(name string) *Mutex { return &Mutex{s, name} }

// Lock waits for the lock, in the order of those who asked, until ctx ends or the session
// is over. Without a deadline in ctx or [WithTimeout] it waits as long as the session
// lives, also while the group has no leader. Whoever gives up leaves the queue: after an
// error with OutcomeNone that is certain; with OutcomeUnknown the client goes on telling
// the group. Options: [WithLockValue], [WithTimeout], [WithTrace], [WithEndpoint].
func (m *Mutex) Lock(ctx context.Context, opts ...Option) (*Held, error) {
	return m.session.acquire(ctx, m.name, wire.LockExclusive, true, opts)
}

// TryLock takes the lock if it is free, and returns ErrLocked where it is not. Options as
// those of Lock; Config.Timeout bounds it.
func (m *Mutex) TryLock(ctx context.Context, opts ...Option) (*Held, error) {
	return m.session.acquire(ctx, m.name, wire.LockExclusive, false, opts)
}

// RWMutex is a lock that one writer or any number of readers have at a time, as a session
// asks for it. Readers that come later than a waiting writer wait behind it. RWMutex and
// [Mutex] of one name are one lock.
type RWMutex struct {
	session *Session
	name    string
}

// RWMutex names a lock; 1 to 255 bytes. It asks no node.
func (s *Session) RWMutex(name string) *RWMutex { return &RWMutex{s, name} }

// Lock waits to be the writer, as [Mutex.Lock] does.
func (m *RWMutex) Lock(ctx context.Context, opts ...Option) (*Held, error) {
	return m.session.acquire(ctx, m.name, wire.LockExclusive, true, opts)
}

// TryLock is [Mutex.TryLock].
func (m *RWMutex) TryLock(ctx context.Context, opts ...Option) (*Held, error) {
	return m.session.acquire(ctx, m.name, wire.LockExclusive, false, opts)
}

// RLock waits to be one of the readers. Otherwise as [Mutex.Lock].
func (m *RWMutex) RLock(ctx context.Context, opts ...Option) (*Held, error) {
	return m.session.acquire(ctx, m.name, wire.LockShared, true, opts)
}

// TryRLock is [Mutex.TryLock] for a reader.
func (m *RWMutex) TryRLock(ctx context.Context, opts ...Option) (*Held, error) {
	return m.session.acquire(ctx, m.name, wire.LockShared, false, opts)
}

// Held is a lock that is held, until Unlock or until the session is over. A holder that
// was paused for long may go on for a moment after another got the lock, whatever the
// two do: only what checks Fence keeps the first from harm.
type Held struct {
	// Immutable.
	session *Session
	name    string
	holder  uint64
	fence   uint64
	index   uint64

	mu   sync.Mutex    // guards what follows
	done chan struct{} // nil before Unlock; closed when it has ended
	err  error         // of it; set before done is closed
}

// Name is the lock's.
func (h *Held) Name() string { return h.name }

// Fence is the number of this grant. Every later grant, of any lock, has a higher one:
// whoever takes orders from holders can refuse those of a former one.
func (h *Held) Fence() uint64 { return h.fence }

// Holder is the number of the attempt that was granted, unique in its session.
func (h *Held) Holder() uint64 { return h.holder }

// Index is the place of the grant in the group's log.
func (h *Held) Index() uint64 { return h.index }

// Lost is closed when the lock must be taken for lost: no later than the group could give
// it to somebody else. It is the session's Done. A lock that an operator releases by force
// is not noticed before Unlock.
func (h *Held) Lost() <-chan struct{} { return h.session.Done() }

// Unlock gives the lock back. ErrLockLost says that this grant was held no longer: its
// session was over, or an operator had released it. (Seldom it says so because a node,
// unsure whether it had told the group, told it twice.) After any other error the client
// goes on telling the group, for as long as the session lives. Config.Timeout bounds the
// call; calling again returns what the first call did.
func (h *Held) Unlock(ctx context.Context) error {
	h.mu.Lock()
	done, first := h.done, h.done == nil
	if first {
		done = make(chan struct{})
		h.done = done
	}
	h.mu.Unlock()
	if first {
		h.err = h.release(ctx)
		close(done)
		return h.err
	}
	select {
	case <-done:
		return h.err
	case <-ctx.Done():
		return h.fault(CodeCanceled, "another Unlock is under way", ctx.Err())
	}
}

func (h *Held) release(ctx context.Context) error {
	s := h.session
	if err := s.Err(); err != nil {
		return h.over(err)
	}
	q := s.call(wire.MethodLockRelease, wire.OpWrite)
	q.name = h.name
	q.deadline = s.client.deadline(ctx, &options{})
	q.encode = func(dst []byte) []byte {
		return wire.AppendLockReleaseRequest(dst, &wire.LockReleaseRequest{
			Common: s.common(q), Session: s.id, Holder: h.holder, Name: h.name,
			Fence: kv.Fence(h.fence),
		})
	}
	ctx, stop := s.during(ctx)
	defer stop()
	got, err := ask(ctx, s.client, q, wire.DecodeLockReleaseResult)
	code := codeOf(err)
	switch {
	case code == wire.CodeSessionExpired:
		s.expired(err)
		return h.over(s.Err())
	case err == nil, code == wire.CodeLockLost:
		s.finished(h.holder)
		if got.Released || q.unknown {
			return nil // by this attempt, or by one before whose answer was lost
		}
		return h.fault(wire.CodeLockLost, "it was released by force", err)
	}
	s.cancel(h.name, h.holder)
	if over := s.Err(); over != nil {
		return h.over(over)
	}
	return err
}

// over is the error of a lock whose session is over.
func (h *Held) over(why error) *Error {
	text := "its session is over"
	var e *Error
	if errors.As(why, &e) {
		text += ": " + e.Text
	}
	return h.fault(wire.CodeLockLost, text, why)
}

func (h *Held) fault(code Code, text string, cause error) *Error {
	return &Error{
		Op: wire.MethodLockRelease, Name: h.name, Holder: h.holder, Code: code, Text: text,
		Outcome: OutcomeNone, Err: cause,
	}
}
