// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Locks draws attempts at locks. It has no state: what it draws depends on rng alone.
type Locks struct {
	// Slots is how many locks there are at a time.
	Slots int
	// TTL is that of sessions.
	TTL time.Duration
	// Try is the share of attempts that do not wait; Shared that of those for a shared lock.
	Try, Shared float64
	// Close and Leave are the shares of steps at whose end the session is closed, or not
	// renewed any more, while its locks are held.
	Close, Leave float64
	// Cancel and Force are the shares of grants that are ended by cancelling the attempt, or
	// by force, where the client can.
	Cancel, Force float64
	// MaxWait, MaxHold and MaxPause bound how long is waited for a lock, how long it is
	// held, and how long is paused before the next attempt.
	MaxWait, MaxHold, MaxPause time.Duration
}

// LockEnd is how a step ends what it was granted.
type LockEnd uint8

const (
	// LockRelease gives it back.
	LockRelease LockEnd = iota
	// LockCancel cancels the attempt.
	LockCancel
	// LockForce takes it away by its fence.
	LockForce
	// LockClose closes the session.
	LockClose
	// LockLeave stops to renew the session.
	LockLeave
)

// LockStep is what a holder does next.
type LockStep struct {
	// Pause comes before it.
	Pause time.Duration
	// Slot is which lock is asked for, from 0 on.
	Slot   int
	Shared bool
	// Wait is how long may be waited for it; 0: it is a try.
	Wait time.Duration
	// Hold is how long it is held, and End what ends it. Sessions are ended by their owners
	// alone: for others LockClose and LockLeave are LockRelease.
	Hold time.Duration
	End  LockEnd
}

// DrawLocks draws a mix: from one lock that all fight over to a few, from trying to waiting,
// from short holds to long ones. Pauses are short where pause is 0.
func DrawLocks(rng *rand.Rand, pause time.Duration) Locks {
	w := Locks{
		Slots: 1 + rng.IntN(4), TTL: time.Duration(5+rng.IntN(11)) * time.Second,
		Try: rng.Float64() / 2, Close: rng.Float64() / 20, Leave: rng.Float64() / 50,
		Cancel: rng.Float64() / 10, Force: rng.Float64() / 20,
		MaxPause: drawPause(rng),
	}
	if rng.IntN(2) == 0 {
		w.Shared = rng.Float64()
	}
	if pause > 0 {
		w.MaxPause = 2 * pause // pauses are drawn evenly
	}
	w.MaxHold = w.MaxPause * time.Duration(1+rng.IntN(4)) / 2
	w.MaxWait = 10 * w.MaxHold * time.Duration(1+rng.IntN(4))
	return w
}

// Next draws a step.
func (w Locks) Next(rng *rand.Rand) LockStep {
	s := LockStep{
		Pause: upToDuration(rng, w.MaxPause), Slot: rng.IntN(w.Slots),
		Shared: rng.Float64() < w.Shared, Hold: upToDuration(rng, w.MaxHold),
	}
	if rng.Float64() >= w.Try {
		s.Wait = max(upToDuration(rng, w.MaxWait).Truncate(time.Millisecond), time.Millisecond)
	}
	switch n := rng.Float64(); {
	case n < w.Close:
		s.End = LockClose
	case n < w.Close+w.Leave:
		s.End = LockLeave
	case n < w.Close+w.Leave+w.Cancel:
		s.End = LockCancel
	case n < w.Close+w.Leave+w.Cancel+w.Force:
		s.End = LockForce
	}
	return s
}

func upToDuration(rng *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(most) + 1))
}

// Bounds of one lock's history: beyond them a search for an order of its operations may take
// for ever. An attempt is two operations at most, and those that were under way when a
// bound was reached come on top.
const (
	maxAttempts = 100
	maxUnsure   = 3
)

// LockNames names the locks of a run. A lock that was asked for often, or whose operations
// had too many unknown outcomes, gets a new name, and is another one. Sessions share it.
type LockNames struct {
	prefix string

	mu    sync.Mutex // guards slots; nothing waits under it
	slots []lockSlot
}

type lockSlot struct{ generation, attempts, unsure int }

// NewLockNames names the locks of a workload; all names begin with prefix.
func NewLockNames(prefix string, w Locks) *LockNames {
	return &LockNames{prefix: prefix, slots: make([]lockSlot, w.Slots)}
}

// take gives the name of a slot for one attempt.
func (n *LockNames) take(slot int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &n.slots[slot%len(n.slots)]
	if s.attempts >= maxAttempts || s.unsure >= maxUnsure {
		*s = lockSlot{generation: s.generation + 1}
	}
	s.attempts++
	return fmt.Sprintf("%s%d.%d", n.prefix, slot%len(n.slots), s.generation)
}

// doubt counts an operation whose outcome is not known.
func (n *LockNames) doubt(slot int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slots[slot%len(n.slots)].unsure++
}
