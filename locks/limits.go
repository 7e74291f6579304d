// SPDX-License-Identifier: Apache-2.0

package locks

import "time"

const (
	// MaxName bounds the names of locks and sessions, and By and Reason of a forced
	// release, in bytes: that of a bucket's name.
	MaxName = 255
	// MaxValue bounds a holder's text in bytes: an address and what goes with it.
	MaxValue = 4 << 10

	// MinTTL leaves room for a change of leader within a session's life.
	MinTTL = 5 * time.Second
	// MaxTTL bounds for how long a dead client's locks stay locked.
	MaxTTL = 24 * time.Hour
	// MaxWait bounds a wait. A wait ends with its session anyway: the bound only keeps
	// deadlines within what can be counted.
	MaxWait = 365 * 24 * time.Hour

	// MaxHolder is the highest holder number, so that there is always one behind it.
	MaxHolder = 1<<63 - 1

	// MaxSessions bounds the sessions; a leader renews that many with a TTL of 15 s on
	// a part of one core.
	MaxSessions = 100_000
	// MaxExpire bounds the sessions of one SessionExpire: a second's worth.
	MaxExpire = 1_000
	// MaxActive bounds what one session holds and waits for: more waits than a node
	// parks (10,000), and little enough to be ended by one entry.
	MaxActive = 16_384
	// MaxTotal bounds the grants and waiters of the table.
	MaxTotal = 200_000
	// MaxDone bounds the intervals of finished numbers above DoneThrough at which a
	// session begins something new. A client that says DoneThrough stays far below.
	MaxDone = 1_024
	// MaxEnded is how many ended sessions are remembered, the oldest forgotten first: at
	// the highest rate of expiries, a minute's worth, twice as long as a forwarded
	// command may be under way.
	MaxEnded = 65_536
	// MaxSize bounds the table in bytes, by a count that its encoding stays below. With
	// ring and members it leaves a snapshot below 64 MiB.
	MaxSize = 48 << 20
)

// What each part counts towards MaxSize, beside its names and values. A hold counts the
// interval that its end may leave behind, so that no release is ever refused.
const (
	sizeSession  = 80
	sizeLock     = 48
	sizeInterval = 20
	sizeHold     = 96 + sizeInterval
)
