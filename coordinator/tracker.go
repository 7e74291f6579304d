// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"sync"
)

// tracker counts what is under way, so that somebody can wait until nothing is. Unlike
// a sync.WaitGroup it may be added to while somebody waits: other nodes forward writes
// until the very end. And it can be told to part what is under way from what comes later,
// so that somebody can wait for the former alone.
type tracker struct {
	mu sync.Mutex
	// Guarded by mu.
	open int
	idle chan struct{} // closed when open falls to 0; nil while nobody waits
	// past is the newest mark. What begins now has the ticket above it.
	past uint64
	// byTicket has how many are open of each ticket that any is open of: as many tickets at
	// most as marks were set while the longest of them was under way.
	byTicket map[uint64]int
}

// add counts something in. The ticket is for done.
func (t *tracker) add() (ticket uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byTicket == nil {
		t.byTicket = make(map[uint64]int)
	}
	t.open++
	ticket = t.past + 1
	t.byTicket[ticket]++
	return ticket
}

// more counts something else in that is to be as old as what has the ticket and is open.
func (t *tracker) more(ticket uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open++
	t.byTicket[ticket]++
}

func (t *tracker) done(ticket uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	if t.byTicket[ticket]--; t.byTicket[ticket] == 0 {
		delete(t.byTicket, ticket)
	}
	if t.open == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

// mark parts what has begun by now from what will: once ended has come to the mark, none
// of the former is open.
func (t *tracker) mark() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.past++
	return t.past
}

// ended is the newest mark of which nothing that began before is open.
func (t *tracker) ended() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	ended := t.past
	for ticket := range t.byTicket { // the least: their order does not matter
		ended = min(ended, ticket-1)
	}
	return ended
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
