// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"math/rand/v2"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Counter draws operations on keys that hold counters: each client has a part of its own,
// which only grows, and what a counter holds is the sum of the parts.
type Counter struct {
	Common
	// Increments and Totals weigh the kinds against each other.
	Increments, Totals int
	// MaxDelta bounds what is added at a time, from 1 on.
	MaxDelta int64
}

// DrawCounter draws a mix of increments and reads. Its keys begin with prefix.
func DrawCounter(rng *rand.Rand, prefix string, n uint8) Counter {
	w := Counter{
		Common:     Common{Keys: names(prefix, 1+rng.IntN(4)), N: n},
		Increments: 2 + rng.IntN(4), Totals: 1 + rng.IntN(3), MaxDelta: 1 << rng.IntN(8),
	}
	w.MaxPause = drawPause(rng)
	return w
}

// Next implements Workload.
func (w Counter) Next(rng *rand.Rand) Step {
	s := w.step(rng)
	s.Kind = history.Total
	if rng.IntN(w.Increments+w.Totals) < w.Increments {
		s.Kind, s.Delta = history.Increment, 1+rng.Int64N(w.MaxDelta)
		return s // reads and writes: all levels
	}
	s.Levels = s.Levels.of(s.Kind)
	return s
}

// Final implements Workload.
func (w Counter) Final(round uint8) []Step { return w.finals(history.Total, round) }
