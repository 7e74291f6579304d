// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
)

// granted returns the grant that a session has under a number, a name and a fence; nil
// where it has none.
func (s *session) granted(number uint64, name string, fence kv.Fence) *hold {
	h := s.find(number)
	if h == nil || h.waits() || h.fence != fence || h.lock.name != name {
		return nil
	}
	return h
}

// Release ends the grant that it names, and serves the queue. Where that grant is not
// held (any more), nothing is freed and nothing is finished.
func (t *Table) Release(at At, c Release) Result {
	if detail := holderProblem(c.Session, c.Holder, c.Name); detail != "" {
		return invalid(detail)
	}
	s := t.sessions[c.Session]
	if s == nil {
		return expired(c.Session)
	}
	h := s.granted(c.Holder, c.Name, c.Fence)
	if h == nil {
		return Result{Code: CodeOK}
	}
	t.remove(h)
	t.settle(at)
	return Result{Code: CodeOK, Released: true}
}

// Cancel removes a number's waiter or grant and finishes the number, a new one too: the
// Acquire that it overtook comes to nothing.
func (t *Table) Cancel(at At, c Cancel) Result {
	if detail := holderProblem(c.Session, c.Holder, c.Name); detail != "" {
		return invalid(detail)
	}
	s := t.sessions[c.Session]
	if s == nil {
		return expired(c.Session)
	}
	h := s.find(c.Holder)
	if h == nil {
		return t.finishNew(s, c.Holder)
	}
	if h.lock.name != c.Name {
		return otherLock(h)
	}
	held := !h.waits()
	t.tellCancelled(at, h)
	t.remove(h)
	t.settle(at)
	return Result{Code: CodeOK, Released: held}
}

// finishNew finishes a number that is not active.
func (t *Table) finishNew(s *session, number uint64) Result {
	if s.done.has(number) {
		return Result{Code: CodeOK}
	}
	if len(s.done.above) >= MaxDone {
		return overloaded(fmt.Sprintf(
			"the session has %d intervals of finished numbers; raise done_through",
			len(s.done.above)))
	}
	if t.size+sizeInterval > MaxSize {
		return overloaded(tableFull)
	}
	t.finish(s, number)
	return Result{Code: CodeOK}
}

// CancelWait ends a wait. What holds stays, and what is new stays new.
func (t *Table) CancelWait(at At, c CancelWait) Result {
	if detail := holderProblem(c.Session, c.Holder, c.Name); detail != "" {
		return invalid(detail)
	}
	s := t.sessions[c.Session]
	if s == nil {
		return expired(c.Session)
	}
	h := s.find(c.Holder)
	if h == nil || !h.waits() || h.lock.name != c.Name {
		return Result{Code: CodeOK}
	}
	t.tell(Event{
		Kind: EventWaitOver, Session: s.id, Holder: h.number, Name: c.Name, Index: at.Index,
	})
	t.remove(h)
	t.settle(at) // who stood behind may go together with the holders
	return Result{Code: CodeWaitOver}
}

// SetValue changes the text of a grant.
func (t *Table) SetValue(_ At, c SetValue) Result {
	if detail := c.problem(); detail != "" {
		return invalid(detail)
	}
	s := t.sessions[c.Session]
	if s == nil {
		return expired(c.Session)
	}
	h := s.granted(c.Holder, c.Name, c.Fence)
	if h == nil {
		return lost(c.Holder)
	}
	grows := len(c.Value) - len(h.value)
	switch {
	case c.Revision <= h.revision:
		return h.answer()
	case grows > 0 && t.size+grows > MaxSize:
		return overloaded(tableFull)
	}
	t.size += grows
	h.value = copyValue(c.Value)
	h.revision = c.Revision
	return h.answer()
}

// ForceRelease ends the grant that it names by its fence. The holder is not asked: what
// it still does, only a store that checks the fence can keep out.
func (t *Table) ForceRelease(at At, c ForceRelease) Result {
	if detail := c.problem(); detail != "" {
		return invalid(detail)
	}
	l := t.findLock(c.Name)
	if l == nil {
		return Result{Code: CodeOK}
	}
	h, found := l.holders.find(&hold{place: uint64(c.Fence)})
	if !found {
		return Result{Code: CodeOK}
	}
	t.tell(Event{
		Kind: EventReleased, Session: h.session.id, Holder: h.number, Name: c.Name,
		Fence: h.fence, Index: at.Index,
	})
	t.remove(h)
	t.settle(at)
	return Result{Code: CodeOK, Released: true}
}

// EndDelay does nothing: no lock has a delay in this version.
func (t *Table) EndDelay(_ At, c EndDelay) Result {
	if detail := nameProblem(c.Name); detail != "" {
		return invalid(detail)
	}
	return Result{Code: CodeOK}
}
