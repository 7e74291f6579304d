// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"sync"
	"time"
)

// maxServing bounds the calls of other members that are being answered at once: some
// hundred members with as many proposals each as a connection may have under way.
const maxServing = 16 << 10

// serving owns the goroutines that calls are answered in.
type serving struct {
	mu   sync.Mutex // guards what follows
	life context.Context
	ends bool
	open int
	runs sync.WaitGroup
}

// begin lets goroutines be started; they end with ctx.
func (s *serving) begin(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = ctx
}

// end refuses further ones and waits for those that run.
func (s *serving) end() {
	s.mu.Lock()
	s.ends = true
	s.mu.Unlock()
	s.runs.Wait()
}

// spawn starts f, whose context ends with the group's part here; false where there are too
// many, or where the group does not run.
func (s *serving) spawn(f func(context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil || s.ends || s.open >= maxServing {
		return false
	}
	s.open++
	life := s.life
	s.runs.Go(func() {
		defer s.left()
		f(life)
	})
	return true
}

func (s *serving) left() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// sleep waits, and reports false where ctx or the group's part here ends first.
func (s *serving) sleep(ctx context.Context, d time.Duration) bool {
	s.mu.Lock()
	life := s.life
	s.mu.Unlock()
	if life == nil {
		return sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	case <-life.Done():
		return false
	}
}

// bind returns a context that ends with ctx, and with the group's part here once that has
// begun.
func (s *serving) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	life := s.life
	s.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	if life == nil {
		return ctx, func() { cancel(nil) }
	}
	stop := context.AfterFunc(life, func() { cancel(errAbsent) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
