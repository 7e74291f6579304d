// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/wire"
)

// WithLock runs fn while it holds the lock, in a session of its own. The context of fn
// ends when the lock is lost, with a cause that is ErrLockLost; fn should then come back
// at once. WithLock returns what fn returns, with ErrLockLost beside it where the lock was
// lost before fn came back. Options: those of [Client.NewSession] and [Mutex.Lock];
// [WithTimeout] bounds the wait for the lock.
func (c *Client) WithLock(
	ctx context.Context, name string, fn func(ctx context.Context, fence uint64) error,
	opts ...Option,
) error {
	forSession, forLock, why := split(opts)
	if why != "" {
		return invalidName(wire.MethodLockAcquire, name, why)
	}
	s, err := c.NewSession(ctx, forSession...)
	if err != nil {
		return err
	}
	defer s.leave(ctx)
	held, err := s.Mutex(name).Lock(ctx, forLock...)
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(s.over, func() {
		cancel(held.over(s.Err()))
	})
	defer stop()
	err = fn(inner, held.Fence())
	return withLoss(err, held.Unlock(context.WithoutCancel(ctx)))
}

// split deals the options of WithLock out.
func split(opts []Option) (forSession, forLock []Option, why string) {
	for _, p := range opts {
		if p.kind&optOpen != 0 && p.kind != optTimeout {
			forSession = append(forSession, p)
		}
		if p.kind&optLock != 0 {
			forLock = append(forLock, p)
		}
		if p.kind&(optOpen|optLock) == 0 {
			return nil, nil, "option " + p.kind.name() + " has no meaning for this request"
		}
	}
	return forSession, forLock, ""
}

// leave closes the session. It does not matter to the caller whether that succeeds: the
// time to live of the session ends it in any case.
func (s *Session) leave(ctx context.Context) {
	if err := s.Close(context.WithoutCancel(ctx)); err != nil && s.client.life.Err() == nil {
		s.client.log.Warn("session not closed, it ends by itself",
			zap.String("session", s.label()), zap.Duration("ttl", s.ttl), zap.Error(err))
	}
}

// withLoss is what fn returned, and the loss of the lock, if it was lost. That it could
// not be given back is no fault of what was done under it, and ends with the session.
func withLoss(err, unlock error) error {
	switch {
	case !errors.Is(unlock, ErrLockLost):
		return err
	case err == nil:
		return unlock
	default:
		return errors.Join(err, unlock)
	}
}
