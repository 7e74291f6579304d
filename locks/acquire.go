// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"fmt"
	"slices"
)

// Acquire grants a lock, queues for it, or refuses a try.
//
// A number that is active already is answered as it stands, and one that is finished
// gets nothing: LOCK_LOST. So an Acquire may be repeated by a client that does not know
// what became of it, and its late duplicate locks nothing for nobody.
//
// DoneThrough counts first, also where the rest is refused. A number at or below it that
// is still active is ended as by Cancel, with an event if it waited. The client says that
// it is finished with it; to refuse instead would leave a client whose Cancel was lost
// with a lock that it does not know of, and without a way on.
func (t *Table) Acquire(at At, c Acquire) Result {
	if detail := c.problem(); detail != "" {
		return invalid(detail)
	}
	s := t.sessions[c.Session]
	if s == nil {
		return expired(c.Session)
	}
	t.finishThrough(at, s, c.DoneThrough)
	if h := s.find(c.Holder); h != nil {
		return h.again(c)
	}
	if s.done.has(c.Holder) {
		return lost(c.Holder)
	}
	l := t.findLock(c.Name)
	if detail := t.full(s, l, len(c.Name), len(c.Value)); detail != "" {
		return overloaded(detail)
	}
	if l != nil && !l.admits(c.Kind) && c.Wait == 0 {
		t.finish(s, c.Holder)
		return Result{Code: CodeHeld}
	}
	return t.admit(at, s, c)
}

// admit makes the number active: at once a holder, or the last of the queue.
func (t *Table) admit(at At, s *session, c Acquire) Result {
	h := &hold{
		session: s, lock: t.makeLock(c.Name), number: c.Holder, kind: c.Kind,
		permits: max(c.Permits, 1), value: copyValue(c.Value), wait: c.Wait,
	}
	t.add(h)
	if h.lock.admits(c.Kind) {
		t.grant(at, h)
		return h.answer()
	}
	t.enqueue(at, h)
	t.tell(Event{
		Kind: EventQueued, Session: s.id, Holder: h.number, Name: c.Name,
		Index: at.Index, Span: c.Wait,
	})
	return h.answer()
}

// again answers an Acquire whose number is active.
func (h *hold) again(c Acquire) Result {
	switch {
	case h.lock.name != c.Name:
		return otherLock(h)
	case h.kind != c.Kind:
		return Result{Code: CodeConflict, Detail: fmt.Sprintf(
			"holder %d holds or waits as %v; take a new number for %v", h.number, h.kind, c.Kind)}
	}
	return h.answer()
}

// answer is what an Acquire of an active number is told.
func (h *hold) answer() Result {
	if h.waits() {
		return Result{
			Code: CodeQueued, Index: h.index, Position: h.lock.queue.before(h) + 1,
		}
	}
	return Result{Code: CodeOK, Fence: h.fence, Index: h.index}
}

// finishThrough finishes all numbers of a session up to one. What is still active goes first,
// all of it, then the queues are served.
func (t *Table) finishThrough(at At, s *session, through uint64) {
	end, found := s.search(through)
	if found {
		end++
	}
	for _, h := range s.active[:end] {
		t.tellCancelled(at, h)
		t.detach(h)
	}
	s.active = slices.Delete(s.active, 0, end)
	before := len(s.done.above)
	s.done.raise(through)
	t.size += (len(s.done.above) - before) * sizeInterval
	t.settle(at)
}

// tellCancelled tells of a waiter that its client is finished with.
func (t *Table) tellCancelled(at At, h *hold) {
	if h.waits() {
		t.tell(Event{
			Kind: EventCancelled, Session: h.session.id, Holder: h.number, Name: h.lock.name,
			Index: at.Index,
		})
	}
}

// full says which bound keeps a session from one more active number, "" where none does.
// A number counts the interval that its end may leave, so that it can always end.
func (t *Table) full(s *session, l *lock, name, value int) string {
	size := sizeHold + value
	if l == nil {
		size += sizeLock + name
	}
	switch {
	case len(s.done.above) >= MaxDone:
		return fmt.Sprintf("the session has %d intervals of finished numbers; raise done_through",
			len(s.done.above))
	case len(s.active) >= MaxActive:
		return fmt.Sprintf("the session holds and waits for %d locks; release some", len(s.active))
	case t.holders+t.waiters >= MaxTotal:
		return fmt.Sprintf("%d locks are held and waited for, no more are taken", MaxTotal)
	case t.size+size > MaxSize:
		return tableFull
	}
	return ""
}

// copyValue takes a value out of its message, which is much larger. No value is nil.
func copyValue(value []byte) []byte {
	if len(value) == 0 {
		return nil
	}
	return slices.Clone(value)
}
