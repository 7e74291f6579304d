// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"sync/atomic"
)

// Counters count what exchanges did since the node started.
type Counters struct {
	ends  [Stopped + 1]atomic.Uint64 // exchanges, by their outcome
	keys  [fateLeft + 1]atomic.Uint64
	bytes atomic.Uint64
}

func (c *Counters) end(o Outcome) { c.ends[o].Add(1) }
func (c *Counters) key(f fate)    { c.keys[f].Add(1) }
func (c *Counters) moved(n int)   { c.bytes.Add(uint64(n)) }

// Exchanges is how many exchanges ended so.
func (c *Counters) Exchanges(o Outcome) uint64 { return c.ends[o].Load() }

// Repaired is how many keys were brought together, and Bytes how many bytes of objects
// that took.
func (c *Counters) Repaired() uint64 { return c.keys[fateRepaired].Load() }

// Bytes is how many bytes of objects repairs moved, from here and to here.
func (c *Counters) Bytes() uint64 { return c.bytes.Load() }

// Moving is how many keys seemed to differ, and were being written.
func (c *Counters) Moving() uint64 {
	return c.keys[fateMoving].Load() + c.keys[fateEqual].Load()
}

// Left is how many times a key was left as it was, for it could not be read or stored.
func (c *Counters) Left() uint64 { return c.keys[fateLeft].Load() + c.keys[fateStale].Load() }

// PurgeCounts is what this node did as the leader of purge rounds, and as the sweeper of what
// has expired, since it started.
type PurgeCounts struct {
	Done   uint64 // rounds that went to their end
	HeldUp uint64 // that could not begin or go on: a member was down, or kept hints
	Failed uint64 // that ended with another error
	// Expired is how many keys a tombstone was put in the place of.
	Expired uint64
}

type purgeCounters struct{ done, heldUp, failed, expired atomic.Uint64 }

// ended counts a round that ended so.
func (c *purgeCounters) ended(err error) {
	switch {
	case err == nil:
		c.done.Add(1)
	case errors.Is(err, errNotNow):
		c.heldUp.Add(1)
	default:
		c.failed.Add(1)
	}
}

// Counts returns the present numbers.
func (u *Purger) Counts() PurgeCounts {
	c := &u.counts
	return PurgeCounts{
		Done: c.done.Load(), HeldUp: c.heldUp.Load(), Failed: c.failed.Load(),
		Expired: c.expired.Load(),
	}
}
