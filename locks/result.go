// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// Code says how a command went.
type Code uint8

const (
	// CodeOK: done, or done before.
	CodeOK Code = 1 + iota
	// CodeQueued: the number waits; Result.Position tells where.
	CodeQueued
	// CodeHeld: a try was refused, and its number is finished.
	CodeHeld
	// CodeWaitOver: the wait is over, and its number is finished. CancelWait answers it
	// where it ended a wait.
	CodeWaitOver
	// CodeSessionExpired: there is no such session, or not any more.
	CodeSessionExpired
	// CodeLockLost: that number is finished with, or that grant is no longer held.
	CodeLockLost
	// CodeConflict: the number is active with another kind, the lock is of another
	// family, or the session is open with other properties.
	CodeConflict
	// CodeOverloaded: a bound of the table is reached; the same command may be repeated.
	CodeOverloaded
	// CodeInvalid: no state of the table would allow this command.
	CodeInvalid
	// CodeStaleTerm: the command was proposed in another term than it was applied in.
	CodeStaleTerm
)

func (c Code) String() string {
	switch c {
	case CodeOK:
		return "ok"
	case CodeQueued:
		return "queued"
	case CodeHeld:
		return "held"
	case CodeWaitOver:
		return "wait over"
	case CodeSessionExpired:
		return "session expired"
	case CodeLockLost:
		return "lock lost"
	case CodeConflict:
		return "conflict"
	case CodeOverloaded:
		return "overloaded"
	case CodeInvalid:
		return "invalid"
	case CodeStaleTerm:
		return "stale term"
	default:
		return fmt.Sprintf("code(%d)", uint8(c))
	}
}

// Result is the answer to a command. Two results are equal where they are ==.
type Result struct {
	Code Code
	// Detail says what was wrong and what to do, where Code is a refusal that needs it.
	Detail string
	// Fence is that of the grant, after Acquire.
	Fence kv.Fence
	// Index is that of the entry which granted, queued or opened; for a repetition it is
	// the first one's.
	Index uint64
	// Position is the place in the queue, from 1, where Code is CodeQueued.
	Position int
	// Released says that a grant was ended, by Release, Cancel or ForceRelease.
	Released bool
	// TTL is the session's, after SessionOpen.
	TTL time.Duration
}

// EventKind says what an event tells.
type EventKind uint8

const (
	// EventOpened: a session began. Span is its TTL.
	EventOpened EventKind = 1 + iota
	// EventEnded: a session ended. With Holder 0: the session itself. With a number: a
	// place in a queue that ended with it, told before.
	EventEnded
	// EventQueued: a number waits. Span is its whole wait.
	EventQueued
	// EventGranted: a number that waited holds its lock, with Fence.
	EventGranted
	// EventWaitOver: a number's wait lasted its time.
	EventWaitOver
	// EventCancelled: a number's wait was given up, by Cancel or DoneThrough.
	EventCancelled
	// EventReleased: a grant was taken from its holder by ForceRelease.
	EventReleased
)

func (k EventKind) String() string {
	switch k {
	case EventOpened:
		return "opened"
	case EventEnded:
		return "ended"
	case EventQueued:
		return "queued"
	case EventGranted:
		return "granted"
	case EventWaitOver:
		return "wait over"
	case EventCancelled:
		return "cancelled"
	case EventReleased:
		return "released"
	default:
		return fmt.Sprintf("event(%d)", uint8(k))
	}
}

// Event tells what a command did to others than its sender, and what starts or ends a
// deadline. Of a wait that began, exactly one event tells the end: granted, wait over,
// cancelled, or ended.
type Event struct {
	Kind    EventKind
	Session SessionID
	Holder  uint64 // 0 for a session's own events
	Name    string // the lock's
	Fence   kv.Fence
	Index   uint64        // that of the entry
	Span    time.Duration // the TTL, or the wait
}
