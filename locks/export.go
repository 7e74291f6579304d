// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"errors"
	"fmt"
	"math"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
)

// ErrDamaged is returned for data that no table could have exported.
var ErrDamaged = errors.New("locks: damaged table")

// Data is a table as plain data, in one order for equal tables: what a snapshot holds.
type Data struct {
	// Fence is the last that was issued.
	Fence kv.Fence
	// Sessions are in order of their names, then of their ids.
	Sessions []Session
	// Locks are in order of their names.
	Locks []Lock
	// Ended are the sessions that ended, the oldest first; at most MaxEnded.
	Ended []SessionID
}

// Export returns the table as data. It shares values with the table, which nobody changes.
// Events that were not taken are not part of it.
func (t *Table) Export() Data {
	return Data{
		Fence:    t.fence,
		Sessions: t.Sessions("", SessionKey{}, math.MaxInt),
		Locks:    t.Locks("", "", math.MaxInt),
		Ended:    t.ended.list(),
	}
}

// Import returns the table that was exported as d. It shares the values of d alone.
// The error wraps ErrDamaged and says what in d no table could have exported.
func Import(d Data) (*Table, error) {
	t := New()
	t.fence = d.Fence
	if len(d.Ended) > MaxEnded {
		return nil, damaged("%d ended sessions, at most %d are remembered", len(d.Ended), MaxEnded)
	}
	for _, id := range d.Ended {
		if t.ended.has(id) {
			return nil, damaged("session %v ended twice", id)
		}
		t.ended.add(id)
	}
	for i := range d.Sessions {
		if err := t.importSession(d.Sessions, i); err != nil {
			return nil, err
		}
	}
	for i := range d.Locks {
		if i > 0 && d.Locks[i].Name <= d.Locks[i-1].Name {
			return nil, damaged("lock %q is out of order", d.Locks[i].Name)
		}
		if err := t.importLock(&d.Locks[i]); err != nil {
			return nil, err
		}
	}
	if mutant.On(mutant.FenceFromMemory) {
		t.fence = 0
	}
	return t, nil
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
}

func (t *Table) importSession(list []Session, i int) error {
	from := list[i]
	s := &session{
		id: from.ID, name: from.Name, owner: from.Owner, ttl: from.TTL, created: from.Created,
		done: finished{through: from.DoneThrough, above: append([]Interval(nil), from.Done...)},
	}
	switch {
	case s.id.IsZero():
		return damaged("session %d has no id", i)
	case t.sessions[s.id] != nil:
		return damaged("session %v is there twice", s.id)
	case t.ended.has(s.id):
		return damaged("session %v has ended", s.id)
	case i > 0 && t.sessions[list[i-1].ID].compare(s) >= 0:
		return damaged("session %v is out of order", s.id)
	}
	if err := s.done.validate(); err != nil {
		return damaged("session %v: %w", s.id, err)
	}
	t.addSession(s)
	return nil
}

func (t *Table) importLock(from *Lock) error {
	switch {
	case from.Kind != KindExclusive && from.Kind != KindShared:
		return damaged("lock %q is held as %v", from.Name, from.Kind)
	case len(from.Holders) == 0 || from.Kind == KindExclusive && len(from.Holders) > 1:
		return damaged("lock %q has %d holders as %v", from.Name, len(from.Holders), from.Kind)
	case from.Limit != 0 || from.Delay != 0:
		return damaged("lock %q has a limit or a delay; a newer version wrote it", from.Name)
	}
	l := t.makeLock(from.Name)
	l.kind = from.Kind
	for i := range from.Holders {
		if err := t.importGrant(l, &from.Holders[i]); err != nil {
			return fmt.Errorf("%w, a holder of %q", err, from.Name)
		}
	}
	for i := range from.Queue {
		if err := t.importWaiter(l, &from.Queue[i]); err != nil {
			return fmt.Errorf("%w, a waiter for %q", err, from.Name)
		}
	}
	if h, ok := l.queue.first(); ok && l.takes(h.kind) {
		return damaged("holder %d of session %v waits for nothing", h.number, h.session.id)
	}
	return nil
}

func (t *Table) importGrant(l *lock, from *Grant) error {
	h := &hold{
		lock: l, number: from.Holder, kind: l.kind, permits: from.Permits, value: from.Value,
		revision: from.Revision, index: from.Index, fence: from.Fence, place: uint64(from.Fence),
	}
	if err := t.importHold(h, from.Session); err != nil {
		return err
	}
	if last, ok := l.lastHolder(); h.fence == 0 || h.fence > t.fence || ok && last >= h.fence {
		return damaged("fence %d is out of order", h.fence)
	}
	l.holders.insert(h)
	t.holders++
	return nil
}

func (l *lock) lastHolder() (kv.Fence, bool) {
	if l.holders.size == 0 {
		return 0, false
	}
	last := l.holders.blocks[len(l.holders.blocks)-1]
	return last[len(last)-1].fence, true
}

func (t *Table) importWaiter(l *lock, from *Waiter) error {
	h := &hold{
		lock: l, number: from.Holder, kind: from.Kind, permits: from.Permits, value: from.Value,
		wait: from.Wait, index: from.Index,
	}
	if h.kind != KindExclusive && h.kind != KindShared {
		return damaged("a waiter as %v", h.kind)
	}
	if err := t.importHold(h, from.Session); err != nil {
		return err
	}
	t.arrivals++
	h.place = t.arrivals
	l.queue.insert(h)
	t.waiters++
	return nil
}

// importHold makes a number active.
func (t *Table) importHold(h *hold, id SessionID) error {
	h.session = t.sessions[id]
	switch {
	case h.session == nil:
		return damaged("session %v is not there", id)
	case h.number < 1 || h.number > MaxHolder || h.session.done.has(h.number):
		return damaged("number %d of session %v is finished or none", h.number, id)
	case h.session.find(h.number) != nil:
		return damaged("number %d of session %v is active twice", h.number, id)
	}
	t.add(h)
	return nil
}
