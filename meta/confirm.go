// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"sync"
	"time"
)

// confirms has a leader confirmed by a quorum, for many calls at once: those that come
// while a confirmation is under way share the next one, so that each is confirmed after
// it has come.
type confirms struct {
	// Immutable after newConfirms.
	read    func(context.Context) (index, term uint64, err error)
	spawn   func(func(context.Context)) bool
	timeout time.Duration

	mu      sync.Mutex // guards what follows
	next    *confirmation
	running bool
}

// confirmation is one round.
type confirmation struct {
	done  chan struct{} // closed after what follows is set
	index uint64
	term  uint64 // in which this member leads
	err   error
}

// confirm returns an index at or above all that was committed before the call, once a
// quorum has confirmed, after the call, that this member leads.
func (c *confirms) confirm(ctx context.Context) (index uint64, err error) {
	round, err := c.await(ctx)
	if err != nil {
		return 0, err
	}
	return round.index, nil
}

// confirmTerm is confirm for the leadership of one term. Where this member leads again, in
// a later one, others may have led in between and ended what the earlier one knows.
func (c *confirms) confirmTerm(ctx context.Context, term uint64) error {
	round, err := c.await(ctx)
	if err == nil && round.term != term {
		err = errNotArmed
	}
	return err
}

// await waits for the round that begins next. The error is the round's, or ctx's.
func (c *confirms) await(ctx context.Context) (*confirmation, error) {
	round := c.join()
	if round == nil {
		return nil, errAbsent
	}
	select {
	case <-round.done:
		return round, round.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// errAbsent: the group's part here does not run.
var errAbsent = errors.New("meta: this member takes no part in the group now")

// join returns the round that begins next.
func (c *confirms) join() *confirmation {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next = &confirmation{done: make(chan struct{})}
	}
	round := c.next
	if !c.running {
		if !c.spawn(c.rounds) {
			c.next = nil
			return nil
		}
		c.running = true
	}
	return round
}

// rounds runs one round after the other, as long as somebody waits for one.
func (c *confirms) rounds(ctx context.Context) {
	for {
		c.mu.Lock()
		round := c.next
		c.next = nil
		c.running = round != nil
		c.mu.Unlock()
		if round == nil {
			return
		}
		limited, cancel := context.WithTimeout(ctx, c.timeout)
		round.index, round.term, round.err = c.read(limited)
		cancel()
		close(round.done)
	}
}
