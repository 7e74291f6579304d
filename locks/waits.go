// SPDX-License-Identifier: Apache-2.0

package locks

import "time"

// Wait is a waiter as the leader's deadlines know it.
type Wait struct {
	Session SessionID
	Holder  uint64
	Name    string
	Wait    time.Duration
}

// waiterKey names a waiter.
type waiterKey struct {
	session SessionID
	holder  uint64
}

// Waits are the leader's deadlines of waiters. A new leader gives each its whole wait
// again: it may last longer than its client asked for, and the client's own deadline
// ends it.
type Waits struct {
	deadlines[waiterKey]
}

// NewWaits returns deadlines of no waiter.
func NewWaits() *Waits { return &Waits{newDeadlines[waiterKey]()} }

// Arm forgets everything and gives each waiter its whole wait.
func (w *Waits) Arm(waiting []Wait, now time.Time) {
	*w = *NewWaits()
	for _, one := range waiting {
		w.set(waiterKey{one.Session, one.Holder}, one.Name, one.Wait, now)
	}
}

// Note takes an event of the table: waits that begin and end.
func (w *Waits) Note(e Event, now time.Time) {
	key := waiterKey{e.Session, e.Holder}
	switch e.Kind {
	case EventQueued:
		w.set(key, e.Name, e.Span, now)
	case EventGranted, EventWaitOver, EventCancelled, EventEnded:
		w.forget(key)
	}
}

// Due hands out up to limit waits that are over. Those whose end is not noted are handed
// out again after 5 s.
func (w *Waits) Due(now time.Time, limit int) []Wait {
	var over []Wait
	for len(over) < limit {
		e := w.take(now)
		if e == nil {
			break
		}
		over = append(over, Wait{
			Session: e.key.session, Holder: e.key.holder, Name: e.name, Wait: e.span,
		})
	}
	return over
}

// Next says when to ask Due again; false where there is nothing to wait for.
func (w *Waits) Next() (time.Time, bool) { return w.next() }
