// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// steps is into how many parts each doubling of a wait is divided: a percentile is known
	// to an eighth of itself, so that a wait half as long again is seen.
	steps = 8
	// doublings is how many there are: from 1 us to more than an hour.
	doublings = 32
)

// Meter counts waits by their length. Its zero value is ready to use, by many goroutines.
type Meter struct {
	counts [steps * doublings]atomic.Uint32
}

// Observe counts one wait.
func (m *Meter) Observe(d time.Duration) { m.counts[place(d)].Add(1) }

// place is the counter of a wait: that of its doubling, and of the part of it.
func place(d time.Duration) int {
	us := uint64(max(1, d.Microseconds()))
	exponent := bits.Len64(us) - 1
	part := (us<<3)>>exponent - steps // 3 bits behind the first
	return min(exponent*steps+int(part), steps*doublings-1)
}

// upper is the longest wait that is counted at a place, about.
func upper(at int) time.Duration {
	exponent, part := at/steps, at%steps
	return time.Duration((uint64(steps+part+1) << exponent) >> 3 * uint64(time.Microsecond))
}

// P99 returns the wait that 99 of 100 did not exceed since the call before, and forgets
// them; 0 where there were none. A wait that is counted meanwhile is seen now or then.
func (m *Meter) P99() time.Duration {
	var counts [steps * doublings]uint32
	total := uint64(0)
	for i := range m.counts {
		counts[i] = m.counts[i].Swap(0)
		total += uint64(counts[i])
	}
	if total == 0 {
		return 0
	}
	rest := total / 100 // how many may have waited longer
	for i := len(counts) - 1; i > 0; i-- {
		if uint64(counts[i]) > rest {
			return max(upper(i), time.Microsecond)
		}
		rest -= uint64(counts[i])
	}
	return time.Microsecond
}
