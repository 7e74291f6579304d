// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"slices"

	"github.com/dyno-kv/dyno/internal/invariant"
	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
)

// Table is the state of the lock service. It is not safe for use by several goroutines
// while one of them applies a command; reading changes nothing.
//
// A command costs the logarithm of what the table holds; the end of a session, that for
// each thing which it held or waited for, and the same for each who is granted by it.
type Table struct {
	fence    kv.Fence // of the last grant, ever
	arrivals uint64   // counts the waiters that came; orders queues
	sessions map[SessionID]*session
	byName   ordered[*session]
	locks    ordered[*lock]
	ended    endings
	holders  int
	waiters  int
	size     int

	touched []*lock // within a command: whose queues are to be served
	events  []Event // since TakeEvents
}

// New returns an empty table.
func New() *Table {
	return &Table{sessions: make(map[SessionID]*session), ended: newEndings()}
}

// TakeEvents returns what the commands since the last call caused, in order, and forgets
// it. The caller owns the slice. Whoever applies commands takes the events.
func (t *Table) TakeEvents() []Event {
	events := t.events
	t.events = nil
	return events
}

func (t *Table) tell(e Event) { t.events = append(t.events, e) }

// nextFence is higher than all before it, also than those of a former generation whose
// last entries were lost (TRAPS L8).
func (t *Table) nextFence(at At) kv.Fence {
	fence := t.fence + 1
	if mutant.On(mutant.FenceFromMemory) {
		t.fence = fence
		return fence
	}
	if id, err := kv.MakeID[kv.Fence](at.Generation, at.Index); err == nil {
		fence = max(fence, id)
	}
	invariant.Check(fence > t.fence, "fences increase")
	t.fence = fence
	return fence
}

// find returns a session's active number, nil where it is new or finished.
func (s *session) find(number uint64) *hold {
	if i, found := s.search(number); found {
		return s.active[i]
	}
	return nil
}

func (s *session) search(number uint64) (int, bool) {
	return slices.BinarySearchFunc(s.active, number, func(h *hold, n uint64) int {
		switch {
		case h.number < n:
			return -1
		case h.number > n:
			return 1
		default:
			return 0
		}
	})
}

// findLock returns a lock, nil where it is free.
func (t *Table) findLock(name string) *lock {
	l, _ := t.locks.find(&lock{name: name})
	return l
}

// makeLock returns the lock of a name, a new one where it is free.
func (t *Table) makeLock(name string) *lock {
	if l := t.findLock(name); l != nil {
		return l
	}
	l := &lock{name: name}
	t.locks.insert(l)
	t.size += sizeLock + len(name)
	return l
}

// add makes a number active.
func (t *Table) add(h *hold) {
	i, found := h.session.search(h.number)
	invariant.Check(!found, "a number becomes active once")
	h.session.active = slices.Insert(h.session.active, i, h)
	t.size += h.size()
}

// grant makes a number that is active, and in no queue, a holder of its lock.
func (t *Table) grant(at At, h *hold) {
	l := h.lock
	invariant.Check(l.takes(h.kind), "a grant goes together with the holders")
	l.kind = h.kind
	h.fence = t.nextFence(at)
	h.place = uint64(h.fence)
	h.index = at.Index
	l.holders.insert(h)
	t.holders++
}

// enqueue makes a number that is active the last of its lock's queue.
func (t *Table) enqueue(at At, h *hold) {
	t.arrivals++
	h.place = t.arrivals
	h.index = at.Index
	h.lock.queue.insert(h)
	t.waiters++
}

// detach takes a grant or a waiter away from its lock. The queue is served by settle, once
// everything is removed. What becomes of the number is the caller's.
func (t *Table) detach(h *hold) {
	l := h.lock
	if h.waits() {
		l.queue.remove(h)
		t.waiters--
	} else {
		l.holders.remove(h)
		t.holders--
	}
	t.size -= h.size()
	if !l.touched {
		l.touched = true
		t.touched = append(t.touched, l)
	}
}

// remove takes one grant or waiter away, and finishes its number.
func (t *Table) remove(h *hold) {
	t.detach(h)
	if i, found := h.session.search(h.number); found {
		h.session.active = slices.Delete(h.session.active, i, i+1)
	}
	t.finish(h.session, h.number)
}

// finish puts a number among the finished ones.
func (t *Table) finish(s *session, number uint64) {
	before := len(s.done.above)
	s.done.add(number)
	t.size += (len(s.done.above) - before) * sizeInterval
}

// settle serves the queues of all locks that something was removed from.
func (t *Table) settle(at At) {
	for _, l := range t.touched {
		l.touched = false
		t.serve(at, l)
	}
	clear(t.touched)
	t.touched = t.touched[:0]
}

// serve grants the head of a queue while it goes together with the holders: one
// exclusive, or all shared ones that stand in front. A lock that nobody holds goes.
func (t *Table) serve(at At, l *lock) {
	for h, ok := l.queue.first(); ok && l.takes(h.kind); h, ok = l.queue.first() {
		l.queue.remove(h)
		t.waiters--
		t.grant(at, h)
		t.tell(Event{
			Kind: EventGranted, Session: h.session.id, Holder: h.number, Name: l.name,
			Fence: h.fence, Index: at.Index,
		})
	}
	if l.holders.size == 0 {
		t.locks.remove(l)
		t.size -= sizeLock + len(l.name)
	}
}
