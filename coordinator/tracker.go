// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"sync"
)

// tracker counts what is under way, so that somebody can wait until nothing is. Unlike
// a sync.WaitGroup it may be added to while somebody waits: other nodes forward writes
// until the very end.
type tracker struct {
	mu sync.Mutex
	// Guarded by mu.
	open int
	idle chan struct{} // closed when open falls to 0; nil while nobody waits
}

func (t *tracker) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open++
}

func (t *tracker) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	if t.open == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

// wait returns when nothing is open, or with ctx's error.
func (t *tracker) wait(ctx context.Context) error {
	idle := t.whenIdle()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *tracker) whenIdle() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == 0 {
		return nil
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	return t.idle
}
