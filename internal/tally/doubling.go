// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// powers is how many buckets there are: the last takes all from 2^40 on, which is 12 days
// in microseconds and a terabyte in bytes.
const powers = 42

// Doubling counts values by the power of two that they are below. Its zero value is ready
// to use, by many goroutines.
type Doubling struct {
	counts [powers]atomic.Uint64 // at i: those below 2^i that are not below 2^(i-1)
	sum    atomic.Uint64
}

// Observe counts a value.
func (d *Doubling) Observe(value uint64) {
	d.counts[min(bits.Len64(value), powers-1)].Add(1)
	d.sum.Add(value)
}

// ObserveTime counts a time, in microseconds.
func (d *Doubling) ObserveTime(t time.Duration) { d.Observe(uint64(max(0, t.Microseconds()))) }

// Count is how many values were observed, Sum their sum.
func (d *Doubling) Count() (count uint64) {
	for i := range d.counts {
		count += d.counts[i].Load()
	}
	return count
}

// Sum is the sum of the values that were observed.
func (d *Doubling) Sum() uint64 { return d.sum.Load() }

// Below is how many values were below each power of two from 2^from to 2^to, every step-th
// of them, and how many there were in all.
func (d *Doubling) Below(from, to, step int) (below []uint64, all uint64) {
	for i := range d.counts {
		all += d.counts[i].Load()
		if i >= from && i <= to && (i-from)%step == 0 {
			below = append(below, all)
		}
	}
	return below, all
}
