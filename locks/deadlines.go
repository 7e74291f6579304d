// SPDX-License-Identifier: Apache-2.0

package locks

import "time"

// Lease is a session as the leader's deadlines know it.
type Lease struct {
	Session SessionID
	TTL     time.Duration
}

// Wait is a waiter as the leader's deadlines know it.
type Wait struct {
	Session SessionID
	Holder  uint64
	Name    string
	Wait    time.Duration
}

// Renewal is the answer to a renewal. It has three answers: "not now" is neither yes
// nor no.
type Renewal uint8

const (
	// RenewalTaken: the session has its full TTL from here on. The client is answered
	// once a quorum has confirmed the leader (after the renewal came).
	RenewalTaken Renewal = 1 + iota
	// RenewalOpen: the session's expiry is proposed. It gets no answer until that is
	// applied, or the leader's office ends.
	RenewalOpen
	// RenewalUnknown: there is no such session.
	RenewalUnknown
)

// Leases are the leader's deadlines of sessions.
type Leases struct{}

// NewLeases returns deadlines of no session.
func NewLeases() *Leases { return &Leases{} }

// Arm forgets everything and gives each session its full TTL: what a new leader does
// once the entry of its term is applied (TRAPS L5).
func (l *Leases) Arm(sessions []Lease, now time.Time) {}

// Note takes an event of the table: sessions that begin and end.
func (l *Leases) Note(e Event, now time.Time) {}

// Renew gives a session its full TTL again, unless its expiry is proposed.
func (l *Leases) Renew(id SessionID, now time.Time) Renewal { return RenewalUnknown }

// Due hands out up to limit sessions to be expired, at most 1,000 a second. From here on
// they are not renewed any more. Those whose end is not noted are handed out again
// after some seconds, so that a proposal that came to nothing is repeated.
func (l *Leases) Due(now time.Time, limit int) []SessionID { return nil }

// Next says when to ask Due again; false where there is nothing to wait for.
func (l *Leases) Next() (time.Time, bool) { return time.Time{}, false }

// Waits are the leader's deadlines of waiters.
type Waits struct{}

// NewWaits returns deadlines of no waiter.
func NewWaits() *Waits { return &Waits{} }

// Arm forgets everything and gives each waiter its whole wait.
func (w *Waits) Arm(waiting []Wait, now time.Time) {}

// Note takes an event of the table: waits that begin and end.
func (w *Waits) Note(e Event, now time.Time) {}

// Due hands out up to limit waits that are over. Those whose end is not noted are handed
// out again after some seconds.
func (w *Waits) Due(now time.Time, limit int) []Wait { return nil }

// Next says when to ask Due again; false where there is nothing to wait for.
func (w *Waits) Next() (time.Time, bool) { return time.Time{}, false }
