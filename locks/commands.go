// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// SessionOpen begins a session. Again with the same name and TTL it is the same session,
// also through another node; with others it is a conflict.
type SessionOpen struct {
	ID    SessionID
	Name  string
	Owner kv.NodeID
	TTL   time.Duration // MinTTL to MaxTTL
}

// SessionClose ends a session at its client's wish. The id is finished with, also where
// the session was never opened: a late SessionOpen opens nothing.
type SessionClose struct {
	ID SessionID
}

// SessionExpire ends sessions that were not renewed. It counts only where Term is that
// of its own entry: a leader that lost its office in between expires nobody (TRAPS L4).
type SessionExpire struct {
	IDs  []SessionID // at most MaxExpire
	Term uint64
}

// Acquire asks for a lock.
type Acquire struct {
	Session SessionID
	// Holder is the number of this attempt, 1 to MaxHolder; each attempt takes a new,
	// higher one.
	Holder uint64
	// DoneThrough says that the client is finished with every number up to it. It is
	// below Holder. What one of them still holds is released, and its place in a queue
	// given up, as by Cancel; see [Table.Acquire].
	DoneThrough uint64
	Name        string
	Kind        Kind
	Limit       uint32 // semaphores, later: 0
	Permits     uint32 // semaphores, later: 0 or 1
	Value       []byte // the holder's own text
	// Wait is the whole wait; 0 tries once. That of the first request counts, not that
	// of its repetitions.
	Wait time.Duration
	// Delay keeps the place of the lock delay: 0 in this version.
	Delay time.Duration
}

// Cancel gives up an attempt: it removes the waiter or the grant, and finishes the
// number, also where no Acquire with it has come yet.
type Cancel struct {
	Session SessionID
	Holder  uint64
	Name    string
}

// CancelWait ends a wait that has lasted its time. It removes a waiter only: one that has
// been granted in between keeps its lock, and any other number stays as it is.
type CancelWait struct {
	Session SessionID
	Holder  uint64
	Name    string
}

// Release gives a lock back. It names its grant by the fence: a late one frees nothing
// that was acquired since (TRAPS L3).
type Release struct {
	Session SessionID
	Holder  uint64
	Name    string
	Fence   kv.Fence
}

// SetValue changes the holder's text. Of two the higher revision stays, so that a late
// repetition changes nothing.
type SetValue struct {
	Session  SessionID
	Holder   uint64
	Name     string
	Fence    kv.Fence
	Revision uint64 // from 1
	Value    []byte
}

// ForceRelease takes a grant from its holder, at an operator's wish. By and Reason are
// for those who read the log.
type ForceRelease struct {
	Name   string
	Fence  kv.Fence
	By     string
	Reason string
}

// EndDelay ends the delay of a lock. In this version no lock has one.
type EndDelay struct {
	Name  string
	Delay uint64 // which delay, as Lock.Delay tells
}
