// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"math/rand/v2"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Set draws operations on keys that hold sets.
type Set struct {
	Common
	// Adds and Sees weigh the kinds against each other.
	Adds, Sees int
}

// DrawSet draws a mix of adds and reads. Its keys begin with prefix.
func DrawSet(rng *rand.Rand, prefix string, n uint8) Set {
	w := Set{
		Common: Common{Keys: names(prefix, 1+rng.IntN(4)), N: n},
		Adds:   2 + rng.IntN(4), Sees: 1 + rng.IntN(2),
	}
	w.MaxPause = drawPause(rng)
	return w
}

// Next implements Workload.
func (w Set) Next(rng *rand.Rand) Step {
	s := w.step(rng)
	s.Kind = history.Members
	if rng.IntN(w.Adds+w.Sees) < w.Adds {
		s.Kind = history.Add
		return s // reads and writes: all levels
	}
	s.Levels = s.Levels.of(s.Kind)
	return s
}

// Final implements Workload.
func (w Set) Final(round uint8) []Step { return w.finals(history.Members, round) }
