// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"slices"
	"strings"

	"github.com/dyno-kv/dyno/kv"
)

// Session returns a session.
func (t *Table) Session(id SessionID) (Session, bool) {
	s := t.sessions[id]
	if s == nil {
		return Session{}, false
	}
	return s.data(), true
}

// SessionKey is a session's place in the order of [Table.Sessions].
type SessionKey struct {
	Name string
	ID   SessionID
}

// Sessions returns up to limit sessions whose names begin with prefix, in order of name
// and id, those after the given one; the zero key begins at the first.
func (t *Table) Sessions(prefix string, after SessionKey, limit int) []Session {
	probe := &session{name: after.Name, id: after.ID}
	if first := (&session{name: prefix}); probe.compare(first) < 0 {
		probe = first
	}
	var list []Session
	for s := range t.byName.from(probe) {
		if len(list) >= limit || !strings.HasPrefix(s.name, prefix) {
			break
		}
		if s.name != after.Name || s.id != after.ID {
			list = append(list, s.data())
		}
	}
	return list
}

// Lock returns a lock; false where it is free.
func (t *Table) Lock(name string) (Lock, bool) {
	l := t.findLock(name)
	if l == nil {
		return Lock{}, false
	}
	return l.data(), true
}

// Locks returns up to limit locks whose names begin with prefix and come after the given
// name, in order of their names.
func (t *Table) Locks(prefix, after string, limit int) []Lock {
	var list []Lock
	for l := range t.locks.from(&lock{name: max(prefix, after)}) {
		if len(list) >= limit || !strings.HasPrefix(l.name, prefix) {
			break
		}
		if l.name != after {
			list = append(list, l.data())
		}
	}
	return list
}

// Look tells what an Acquire with this number would be answered, if its name and kind
// are those that the number has; false where the number is new.
func (t *Table) Look(id SessionID, holder uint64) (Result, bool) {
	s := t.sessions[id]
	if s == nil {
		return expired(id), true
	}
	if h := s.find(holder); h != nil {
		return h.answer(), true
	}
	if s.done.has(holder) {
		return lost(holder), true
	}
	return Result{}, false
}

// WouldQueue reports whether an Acquire that is applied now would only enter a queue: then
// nobody loses by its being applied a moment later.
func (t *Table) WouldQueue(c Acquire) bool {
	l, s := t.findLock(c.Name), t.sessions[c.Session]
	if c.Wait == 0 || l == nil || s == nil || l.admits(c.Kind) {
		return false
	}
	if len(s.active) > 0 && s.active[0].number <= c.DoneThrough {
		return false // it gives something up
	}
	if _, known := t.Look(c.Session, c.Holder); known {
		return false
	}
	return c.problem() == "" && t.full(s, l, len(c.Name), len(c.Value)) == ""
}

// Counts are the numbers of things in a table.
type Counts struct {
	Sessions, Locks, Holders, Waiters int
	// Size is what counts towards MaxSize.
	Size int
}

// Counts counts in constant time.
func (t *Table) Counts() Counts {
	return Counts{
		Sessions: len(t.sessions), Locks: t.locks.size, Holders: t.holders, Waiters: t.waiters,
		Size: t.size,
	}
}

// Fence is the last fence that was issued.
func (t *Table) Fence() kv.Fence { return t.fence }

// Leases returns all sessions with their TTLs: what a new leader arms its deadlines with.
func (t *Table) Leases() []Lease {
	list := make([]Lease, 0, len(t.sessions))
	for s := range t.byName.all() {
		list = append(list, Lease{Session: s.id, TTL: s.ttl})
	}
	return list
}

// Waiting returns all waiters with their waits, in order of the locks' names.
func (t *Table) Waiting() []Wait {
	list := make([]Wait, 0, t.waiters)
	for l := range t.locks.all() {
		for h := range l.queue.all() {
			list = append(list, Wait{
				Session: h.session.id, Holder: h.number, Name: l.name, Wait: h.wait,
			})
		}
	}
	return list
}

func (s *session) data() Session {
	return Session{
		ID: s.id, Name: s.name, Owner: s.owner, TTL: s.ttl, Created: s.created,
		DoneThrough: s.done.through, Done: append([]Interval(nil), s.done.above...),
	}
}

func (l *lock) data() Lock {
	out := Lock{
		Name: l.name, Kind: l.kind, Holders: make([]Grant, 0, l.holders.size),
		Queue: slices.Grow([]Waiter(nil), l.queue.size),
	}
	l.fill(&out)
	return out
}

// fill appends the holders and the queue.
func (l *lock) fill(out *Lock) {
	for h := range l.holders.all() {
		out.Holders = append(out.Holders, Grant{
			Session: h.session.id, Holder: h.number, Permits: h.permits, Fence: h.fence,
			Index: h.index, Value: h.value, Revision: h.revision,
		})
	}
	for h := range l.queue.all() {
		out.Queue = append(out.Queue, Waiter{
			Session: h.session.id, Holder: h.number, Kind: h.kind, Permits: h.permits,
			Value: h.value, Wait: h.wait, Index: h.index,
		})
	}
}
