// SPDX-License-Identifier: Apache-2.0

package locks

import "fmt"

// OpenSession begins a session, or finds it begun.
func (t *Table) OpenSession(at At, c SessionOpen) Result {
	if detail := c.problem(); detail != "" {
		return invalid(detail)
	}
	if s := t.sessions[c.ID]; s != nil {
		if s.name != c.Name || s.ttl != c.TTL {
			return Result{Code: CodeConflict, Detail: fmt.Sprintf(
				"session %v is open with name %q and ttl %v; draw another id", c.ID, s.name, s.ttl)}
		}
		return Result{Code: CodeOK, Index: s.created, TTL: s.ttl}
	}
	size := sizeSession + len(c.Name)
	switch {
	case t.ended.has(c.ID):
		return Result{Code: CodeSessionExpired, Detail: fmt.Sprintf(
			"session %v has ended; draw another id", c.ID)}
	case len(t.sessions) >= MaxSessions:
		return overloaded(fmt.Sprintf("%d sessions are open, no more are taken", MaxSessions))
	case t.size+size > MaxSize:
		return overloaded(tableFull)
	}
	s := &session{id: c.ID, name: c.Name, owner: c.Owner, ttl: c.TTL, created: at.Index}
	t.addSession(s)
	t.tell(Event{Kind: EventOpened, Session: c.ID, Index: at.Index, Span: c.TTL})
	return Result{Code: CodeOK, Index: at.Index, TTL: c.TTL}
}

func (t *Table) addSession(s *session) {
	t.sessions[s.id] = s
	t.byName.insert(s)
	t.size += sizeSession + len(s.name) + len(s.done.above)*sizeInterval
}

// CloseSession ends a session; one that has ended stays ended.
func (t *Table) CloseSession(at At, c SessionClose) Result {
	if c.ID.IsZero() {
		return invalid(noSession)
	}
	t.endSession(at, c.ID)
	t.ended.add(c.ID)
	t.settle(at)
	return Result{Code: CodeOK}
}

// ExpireSessions ends sessions, those that are still there. All that they held and waited
// for goes before the first queue is served: nobody is granted a lock by one death who
// dies of the next (TRAPS L2).
func (t *Table) ExpireSessions(at At, c SessionExpire) Result {
	if len(c.IDs) > MaxExpire {
		return invalid(fmt.Sprintf("%d sessions, at most %d end at once", len(c.IDs), MaxExpire))
	}
	if c.Term != at.Term {
		return Result{Code: CodeStaleTerm, Detail: fmt.Sprintf(
			"proposed in term %d, applied in %d", c.Term, at.Term)}
	}
	for _, id := range c.IDs {
		if t.endSession(at, id) {
			t.ended.add(id)
		}
	}
	t.settle(at)
	return Result{Code: CodeOK}
}

// endSession removes a session with all that it has; false where it is not there.
func (t *Table) endSession(at At, id SessionID) bool {
	s := t.sessions[id]
	if s == nil {
		return false
	}
	for _, h := range s.active {
		if h.waits() {
			t.tell(Event{
				Kind: EventEnded, Session: id, Holder: h.number, Name: h.lock.name, Index: at.Index,
			})
		}
		t.detach(h)
	}
	delete(t.sessions, id)
	t.byName.remove(s)
	t.size -= sizeSession + len(s.name) + len(s.done.above)*sizeInterval
	t.tell(Event{Kind: EventEnded, Session: id, Index: at.Index})
	return true
}
