// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"sync"
	"time"
)

// Clock is the wall clock of one machine: the bubble's time, with an offset, and with a
// rate that is not quite right. It becomes data (stamps, expiry) and moves no timer, so it
// may jump, also backwards. Its methods may be called from any goroutine.
type Clock struct {
	mu sync.Mutex
	// Guarded by mu: at the bubble's time since the clock showed shown, and has gone on
	// from there with drift parts per million more than the bubble's.
	since time.Time
	shown time.Time
	drift int64
}

// mostDrift bounds the drift, in parts per million: a clock that stands still, and one
// that is twice as fast.
const mostDrift = 1_000_000

// NewClock returns a clock that is offset ahead and goes drift parts per million fast.
func NewClock(offset time.Duration, drift int64) *Clock {
	now := time.Now()
	c := &Clock{since: now, shown: now.Add(offset).Round(0)}
	c.SetDrift(drift)
	return c
}

// Now is what the clock shows. It has no monotonic part: whoever subtracts two of these
// times sees the clock's steps, as between two machines, or two boots.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(time.Now())
}

func (c *Clock) at(now time.Time) time.Time {
	gone := now.Sub(c.since)
	// Whole seconds apart, so that nothing overflows within some centuries.
	fast := int64(gone/time.Second)*c.drift*int64(time.Second/mostDrift) +
		int64(gone%time.Second)*c.drift/mostDrift
	return c.shown.Add(gone + time.Duration(fast))
}

// Step puts the clock forward by d; backward where d is below 0.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.shown, c.since = c.at(now).Add(d), now
}

// SetDrift changes the rate from now on, within bounds; the clock does not jump.
func (c *Clock) SetDrift(ppm int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.shown, c.since = c.at(now), now
	c.drift = min(max(ppm, -mostDrift), mostDrift)
}

// Offset is how far ahead of the bubble's time the clock is.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return c.at(now).Sub(now.Round(0))
}
