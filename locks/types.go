// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// SessionID names a session. Whoever opens the session draws it at random, so that a
// retry opens the same one, and nobody else can guess it. Zero means "no session".
type SessionID [16]byte

// IsZero says that there is no session.
func (id SessionID) IsZero() bool { return id == SessionID{} }

func (id SessionID) String() string { return hex.EncodeToString(id[:]) }

// Kind says how a lock is held.
type Kind uint8

const (
	// KindExclusive: one holder.
	KindExclusive Kind = 1
	// KindShared: any number of holders, and no exclusive one beside them.
	KindShared Kind = 2
	// KindSemaphore and KindElection keep their place: they are refused in this version.
	KindSemaphore Kind = 3
	// KindElection is refused in this version.
	KindElection Kind = 4
)

func (k Kind) String() string {
	switch k {
	case KindExclusive:
		return "exclusive"
	case KindShared:
		return "shared"
	case KindSemaphore:
		return "semaphore"
	case KindElection:
		return "election"
	default:
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
}

// At is the place in the log of the command that is applied.
type At struct {
	// Index is that of the entry. Commands of one batch share it. It never goes down.
	Index uint64
	// Term is the entry's.
	Term uint64
	// Generation is the group's present one. It never goes down.
	Generation kv.Generation
}

// Interval is a range of holder numbers, both ends included.
type Interval struct {
	First, Last uint64
}

// Session is a client's lease on all that it holds and waits for.
type Session struct {
	ID    SessionID
	Name  string    // for people: a host, a job
	Owner kv.NodeID // through which node it was opened first
	// TTL is how long the session lives after its last renewal.
	TTL time.Duration
	// Created is the index of the entry that opened it.
	Created uint64
	// DoneThrough: every holder number up to it is finished.
	DoneThrough uint64
	// Done are the finished numbers above DoneThrough.
	// Invariant: in order, disjoint, with a number between each two that is not
	// finished, and likewise above DoneThrough.
	Done []Interval
}

// Grant is one holder of a lock.
type Grant struct {
	Session SessionID
	Holder  uint64
	Permits uint32
	Fence   kv.Fence
	// Index is that of the entry that granted it.
	Index uint64
	// Value is the holder's own text. Nobody changes it in place.
	Value []byte
	// Revision is that of the SetValue which wrote Value; 0: Value came with Acquire.
	Revision uint64
}

// Waiter is one place in a lock's queue.
type Waiter struct {
	Session SessionID
	Holder  uint64
	Kind    Kind
	Permits uint32
	Value   []byte
	// Wait is the whole wait, as the request that queued it said.
	Wait time.Duration
	// Index is that of the entry that queued it.
	Index uint64
}

// Lock is a lock that somebody holds. A free lock does not exist.
type Lock struct {
	Name string
	// Kind is that of all its holders.
	Kind Kind
	// Limit keeps the place of a semaphore's limit: 0 in this version.
	Limit uint32
	// Holders are in order of their fences.
	Holders []Grant
	// Queue is in order of arrival.
	Queue []Waiter
	// Delay keeps the place of a lock delay: 0 in this version.
	Delay uint64
}
