// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"math/rand/v2"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Sessions draws operations on keys with siblings at levels that all meet, through one
// node after the other, so that what a session was told through one holds at the next.
type Sessions struct {
	Common
	// R and W are the levels of all operations; their sum is more than N.
	R, W uint8
	// Gets, Puts and Deletes weigh the kinds against each other.
	Gets, Puts, Deletes int
	// Blind and Atomic are shares as of Register.
	Blind, Atomic float64
}

// DrawSessions draws a mix, and levels: mostly majorities. Its keys begin with prefix.
func DrawSessions(rng *rand.Rand, prefix string, n uint8, nodes int) Sessions {
	w := Sessions{
		Common: Common{Keys: names(prefix, 1+rng.IntN(6)), N: n, Nodes: nodes},
		R:      n/2 + 1, W: n/2 + 1,
		Gets: 2 + rng.IntN(4), Puts: 1 + rng.IntN(4), Deletes: rng.IntN(2),
		Blind: rng.Float64() / 3, Atomic: rng.Float64() / 3,
	}
	w.Move = 0.1 + 0.9*rng.Float64()
	if rng.IntN(4) == 0 {
		w.R = 1 + uint8(rng.IntN(int(n)))
		w.W = n - w.R + 1
	}
	w.MaxPause = drawPause(rng)
	return w
}

// Next implements Workload.
func (w Sessions) Next(rng *rand.Rand) Step {
	s := w.step(rng)
	s.Levels = Levels{R: w.R, W: max(w.W, min(w.MinW, w.N))}
	switch n := rng.IntN(w.Gets + w.Puts + w.Deletes); {
	case n < w.Gets:
		s.Kind = history.Get
		s.Atomic = rng.Float64() < w.Atomic && 2*w.R > w.N
	case n < w.Gets+w.Puts:
		s.Kind = history.Put
	default:
		s.Kind = history.Delete
	}
	s.Blind = s.Kind.Writes() && rng.Float64() < w.Blind
	s.Levels = s.Levels.of(s.Kind)
	return s
}

// Final implements Workload.
func (w Sessions) Final(round uint8) []Step { return w.finals(history.Get, round) }
