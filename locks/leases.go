// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"fmt"
	"time"
)

const (
	// expiryGap leaves this much time between two expiries: at most 1,000 a second, so
	// that those of a whole cluster that was away do not fill the log in one moment.
	expiryGap = time.Millisecond
	// expiryGroup is how many may be made up for at once after a time without any.
	expiryGroup = 100
)

// Lease is a session as the leader's deadlines know it.
type Lease struct {
	Session SessionID
	TTL     time.Duration
}

// Renewal is the answer to a renewal. It has three answers: "not now" is neither yes
// nor no.
type Renewal uint8

const (
	// RenewalTaken: the session has its full TTL from here on. The client is answered
	// once a quorum has confirmed the leader, after the renewal came.
	RenewalTaken Renewal = 1 + iota
	// RenewalOpen: the session's expiry is proposed. It gets no answer until that is
	// applied, or the leader's office ends.
	RenewalOpen
	// RenewalUnknown: there is no such session.
	RenewalUnknown
)

func (r Renewal) String() string {
	switch r {
	case RenewalTaken:
		return "taken"
	case RenewalOpen:
		return "open"
	case RenewalUnknown:
		return "unknown"
	default:
		return fmt.Sprintf("renewal(%d)", uint8(r))
	}
}

// Leases are the leader's deadlines of sessions. A member that is no leader has none; a
// new leader arms all, with their full TTL, whatever they had with the one before it.
type Leases struct {
	deadlines[SessionID]
	// free is when the next session may be handed out.
	free time.Time
}

// NewLeases returns deadlines of no session.
func NewLeases() *Leases { return &Leases{deadlines: newDeadlines[SessionID]()} }

// Arm forgets everything and gives each session its full TTL: what a new leader does
// once the entry of its term is applied (TRAPS L5).
func (l *Leases) Arm(sessions []Lease, now time.Time) {
	*l = *NewLeases()
	for _, s := range sessions {
		l.set(s.Session, "", s.TTL, now)
	}
}

// Note takes an event of the table: sessions that begin and end.
func (l *Leases) Note(e Event, now time.Time) {
	switch {
	case e.Kind == EventOpened:
		l.set(e.Session, "", e.Span, now)
	case e.Kind == EventEnded && e.Holder == 0:
		l.forget(e.Session)
	}
}

// Renew gives a session its full TTL again, unless its expiry is proposed (TRAPS L4).
// It is called when the renewal comes: the client counts from before that.
func (l *Leases) Renew(id SessionID, now time.Time) Renewal {
	e := l.entries[id]
	switch {
	case e == nil:
		return RenewalUnknown
	case e.handed:
		return RenewalOpen
	}
	if due := now.Add(e.span); due.After(e.due) {
		e.due = due
	}
	return RenewalTaken
}

// Due hands out up to limit sessions to be expired, at most 1,000 a second in groups of
// up to 100. From here on they are not renewed any more. Those whose end is not noted are
// handed out again after 5 s, so that a proposal that came to nothing is repeated.
func (l *Leases) Due(now time.Time, limit int) []SessionID {
	if back := now.Add(-expiryGap * (expiryGroup - 1)); l.free.Before(back) {
		l.free = back
	}
	var ids []SessionID
	for len(ids) < limit && !l.free.After(now) {
		e := l.take(now)
		if e == nil {
			break
		}
		l.free = l.free.Add(expiryGap)
		ids = append(ids, e.key)
	}
	return ids
}

// Sort makes Next exact where renewals have moved the nearest deadlines, and hands out
// nothing: after it Next is past now only if Due has nothing.
func (l *Leases) Sort(now time.Time) { l.sort(now) }

// Next says when to ask Due again; false where there is nothing to wait for.
func (l *Leases) Next() (time.Time, bool) {
	next, ok := l.next()
	if ok && next.Before(l.free) {
		next = l.free
	}
	return next, ok
}
