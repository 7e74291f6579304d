// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
)

// maxParked is how many waits for locks a member keeps open. Above it one is refused
// before anything is proposed. It is the bound of docs/protocol.md for a connection.
const maxParked = 10_000

// attempt names one attempt to get a lock: a holder number stands for one only (R6).
type attempt struct {
	session locks.SessionID
	holder  uint64
}

// compare orders attempts, so that what is done to many is done in one order.
func (a attempt) compare(b attempt) int {
	return cmp.Or(bytes.Compare(a.session[:], b.session[:]), cmp.Compare(a.holder, b.holder))
}

// fate is what became of an attempt after it was queued. The zero fate: nothing yet.
type fate struct {
	code  locks.Code // CodeOK: granted
	fence kv.Fence
	index uint64
	// look: a snapshot has been restored, whose events nobody has told. The state knows,
	// where it has come far enough.
	look bool
}

// desk is where waits for locks are parked. What this member applies answers them, so
// that the leader pays for no waiter.
//
// A ticket is taken before the command is proposed (I5). So of everything that happens
// after the command was applied the ticket hears, although the result of the command
// comes back on another way, and later perhaps.
type desk struct {
	limit int

	mu     sync.Mutex // guards what follows, and the tickets
	parked int
	// waiting has the newest ticket of each attempt; a retry may wait beside the call that
	// it repeats.
	waiting map[attempt]*ticket
}

// ticket is one parked wait.
type ticket struct {
	attempt attempt
	next    *ticket // an older one of the same attempt
	fate    fate
	// wake has a token when fate is set. Size 1: a token that is there says the same.
	wake chan struct{}
}

func newDesk(limit int) *desk {
	return &desk{limit: limit, waiting: make(map[attempt]*ticket)}
}

// take parks a wait; ok is false where too many are parked already.
func (d *desk) take(a attempt) (t *ticket, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.parked >= d.limit {
		return nil, false
	}
	d.parked++
	t = &ticket{attempt: a, next: d.waiting[a], wake: make(chan struct{}, 1)}
	d.waiting[a] = t
	return t, true
}

// leave ends a wait.
func (d *desk) leave(t *ticket) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.parked--
	first := d.waiting[t.attempt]
	if first != t {
		for at := first; at != nil; at = at.next {
			if at.next == t {
				at.next = t.next
			}
		}
		return
	}
	if t.next != nil {
		d.waiting[t.attempt] = t.next
		return
	}
	delete(d.waiting, t.attempt)
}

// fateOf tells what became of a ticket's attempt, and forgets it: what comes later wakes
// again.
func (d *desk) fateOf(t *ticket) fate {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := t.fate
	t.fate = fate{}
	return f
}

// count is how many waits are parked.
func (d *desk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.parked
}

// note wakes those whom events of the table concern. The machine calls it, in the order
// of the log.
func (d *desk) note(events []locks.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.parked == 0 {
		return
	}
	for i := range events {
		e := &events[i]
		f := fate{fence: e.Fence, index: e.Index}
		switch e.Kind {
		case locks.EventGranted:
			f.code = locks.CodeOK
		case locks.EventWaitOver:
			f.code = locks.CodeWaitOver
		case locks.EventCancelled, locks.EventReleased:
			f.code = locks.CodeLockLost
		case locks.EventEnded:
			f.code = locks.CodeSessionExpired
		default:
			continue
		}
		// The end of a session itself wakes nobody: that of each of its waits was told before.
		d.wake(attempt{e.Session, e.Holder}, f)
	}
}

// wake tells the tickets of an attempt. What comes later is what holds: a grant that was
// taken away again is no grant. d.mu is held.
func (d *desk) wake(a attempt, f fate) {
	for t := d.waiting[a]; t != nil; t = t.next {
		t.fate = f
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// restored has everybody look what became of the attempt. The machine calls it. The state
// may be one from before the attempt, so that only who knows when it was queued can judge.
func (d *desk) restored() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range slices.SortedFunc(maps.Keys(d.waiting), attempt.compare) {
		d.wake(a, fate{look: true})
	}
}
