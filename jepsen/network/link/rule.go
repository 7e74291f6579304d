// SPDX-License-Identifier: Apache-2.0

package link

import (
	"fmt"
	"time"
)

// Rule is what meets packets of one direction. The zero value is a healthy link.
type Rule struct {
	// Drop loses all of them: the link is cut.
	Drop bool
	// Jam keeps them until the rule changes, and then lets them all go at once.
	Jam bool
	// Reset answers each segment of TCP with resets to both sides, in its place.
	Reset bool
	// Loss, Duplicate, Reorder and Corrupt are shares of the packets, from 0 to 1.
	Loss, Duplicate, Reorder, Corrupt float64
	// Delay is added to the way of each packet, and up to Jitter more, equally likely.
	Delay, Jitter time.Duration
	// Rate is how many bytes pass in a second; 0: as many as come.
	Rate int64
}

// MaxDelay bounds Delay and Jitter.
const MaxDelay = time.Minute

// Validate says what is wrong with a rule.
func (r Rule) Validate() error {
	shares := []struct {
		name  string
		value float64
	}{
		{"Loss", r.Loss}, {"Duplicate", r.Duplicate},
		{"Reorder", r.Reorder}, {"Corrupt", r.Corrupt},
	}
	for _, s := range shares {
		if !(s.value >= 0 && s.value <= 1) { // NaN is neither
			return fmt.Errorf("link: %s is %v, must be a share from 0 to 1", s.name, s.value)
		}
	}
	switch {
	case r.Delay < 0 || r.Delay > MaxDelay:
		return fmt.Errorf("link: Delay is %v, must be 0 to %v", r.Delay, MaxDelay)
	case r.Jitter < 0 || r.Jitter > MaxDelay:
		return fmt.Errorf("link: Jitter is %v, must be 0 to %v", r.Jitter, MaxDelay)
	case r.Rate < 0:
		return fmt.Errorf("link: Rate is %d, must be 0 or positive", r.Rate)
	}
	return nil
}

// Healthy says that the rule does nothing.
func (r Rule) Healthy() bool { return r == Rule{} }

// Counts are what a link has seen and done. Where a network moves no packets but connections
// and what is written to them, those are counted.
type Counts struct {
	Packets int64 `json:"packets"` // offered
	Bytes   int64 `json:"bytes"`   // in them
	// Delivered went to the receiver or are on their way there, copies not counted.
	Delivered int64 `json:"delivered"`

	// Cut, Lost and Reset never arrived, for the rule says so; Overflowed for too much waited.
	Cut        int64 `json:"cut,omitempty"`
	Lost       int64 `json:"lost,omitempty"`
	Reset      int64 `json:"reset,omitempty"`
	Overflowed int64 `json:"overflowed,omitempty"`

	// Jammed were kept; they are delivered when the jam ends.
	Jammed     int64 `json:"jammed,omitempty"`
	Delayed    int64 `json:"delayed,omitempty"` // by delay, jitter, rate or reordering
	Duplicated int64 `json:"duplicated,omitempty"`
	Reordered  int64 `json:"reordered,omitempty"`
	Corrupted  int64 `json:"corrupted,omitempty"`
}

// Bites is how often something was done to a packet that does not happen on a healthy link.
func (c Counts) Bites() int64 {
	return c.Cut + c.Lost + c.Reset + c.Overflowed + c.Jammed + c.Delayed + c.Duplicated +
		c.Reordered + c.Corrupted
}

// Plus is the sum of both.
func (c Counts) Plus(o Counts) Counts {
	return Counts{
		Packets: c.Packets + o.Packets, Bytes: c.Bytes + o.Bytes,
		Delivered: c.Delivered + o.Delivered, Cut: c.Cut + o.Cut, Lost: c.Lost + o.Lost,
		Reset: c.Reset + o.Reset, Overflowed: c.Overflowed + o.Overflowed,
		Jammed: c.Jammed + o.Jammed, Delayed: c.Delayed + o.Delayed,
		Duplicated: c.Duplicated + o.Duplicated, Reordered: c.Reordered + o.Reordered,
		Corrupted: c.Corrupted + o.Corrupted,
	}
}

// Minus is what c has more than an earlier o.
func (c Counts) Minus(o Counts) Counts {
	return Counts{
		Packets: c.Packets - o.Packets, Bytes: c.Bytes - o.Bytes,
		Delivered: c.Delivered - o.Delivered, Cut: c.Cut - o.Cut, Lost: c.Lost - o.Lost,
		Reset: c.Reset - o.Reset, Overflowed: c.Overflowed - o.Overflowed,
		Jammed: c.Jammed - o.Jammed, Delayed: c.Delayed - o.Delayed,
		Duplicated: c.Duplicated - o.Duplicated, Reordered: c.Reordered - o.Reordered,
		Corrupted: c.Corrupted - o.Corrupted,
	}
}
