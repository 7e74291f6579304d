// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"math/rand/v2"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Expiry draws operations on keys whose values mostly have a time to live, and reads them
// around its end.
type Expiry struct {
	Common
	// Gets, Puts and Deletes weigh the kinds against each other.
	Gets, Puts, Deletes int
	// Blind is as of Register; Mortal is the share of puts with a time to live, Near that
	// of gets which wait until a value of the session's own is about to end.
	Blind, Mortal, Near float64
	// MaxTTL bounds the times to live, which are whole milliseconds from 1 on.
	MaxTTL time.Duration
}

// DrawExpiry draws a mix in which values end after a few steps, by the clocks of several
// nodes. Its keys begin with prefix.
func DrawExpiry(rng *rand.Rand, prefix string, n uint8, nodes int) Expiry {
	w := Expiry{
		Common: Common{Keys: names(prefix, 1+rng.IntN(6)), N: n, Nodes: nodes},
		Gets:   3 + rng.IntN(4), Puts: 1 + rng.IntN(4), Deletes: rng.IntN(2),
		Blind: rng.Float64() / 2, Mortal: 0.5 + rng.Float64()/2, Near: rng.Float64() / 2,
	}
	w.MaxPause, w.Move = drawPause(rng), rng.Float64()
	w.MaxTTL = w.MaxPause * time.Duration(2+rng.IntN(16))
	return w
}

// Next implements Workload.
func (w Expiry) Next(rng *rand.Rand) Step {
	s := w.step(rng)
	switch n := rng.IntN(w.Gets + w.Puts + w.Deletes); {
	case n < w.Gets:
		s.Kind, s.Near = history.Get, rng.Float64() < w.Near
	case n < w.Gets+w.Puts:
		s.Kind = history.Put
		if rng.Float64() < w.Mortal {
			s.TTL = time.Duration(1+rng.Int64N(w.MaxTTL.Milliseconds())) * time.Millisecond
		}
	default:
		s.Kind = history.Delete
	}
	s.Blind = s.Kind.Writes() && rng.Float64() < w.Blind
	s.Levels = s.Levels.of(s.Kind)
	return s
}

// Final implements Workload.
func (w Expiry) Final(round uint8) []Step { return w.finals(history.Get, round) }
