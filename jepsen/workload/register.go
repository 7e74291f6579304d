// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"math/rand/v2"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Register draws operations on keys with siblings.
type Register struct {
	Common
	// Gets, Puts and Deletes weigh the kinds against each other.
	Gets, Puts, Deletes int
	// Blind is the share of writes without context; Atomic that of reads which are
	// atomic; Siblings that of puts which ask for siblings.
	Blind, Atomic, Siblings float64
	// MaxSize bounds the sizes of values.
	MaxSize int
}

// DrawRegister draws a mix: from keys that are fought over to keys that are not, from
// nearly all reads to nearly all writes. Its keys begin with prefix.
func DrawRegister(rng *rand.Rand, prefix string, n uint8) Register {
	w := Register{
		Common: Common{Keys: names(prefix, 1<<rng.IntN(6)), N: n},
		Gets:   1 + rng.IntN(6), Puts: 1 + rng.IntN(6), Deletes: rng.IntN(3),
		Blind: rng.Float64() / 2, Atomic: rng.Float64() / 2, Siblings: rng.Float64() / 2,
		MaxSize: 1 << rng.IntN(12),
	}
	w.MaxPause = drawPause(rng)
	return w
}

// DrawDeletes draws registers of a few keys from which is deleted about as often as is
// written to them, with a context and without, so that what was deleted has every chance
// to come back.
func DrawDeletes(rng *rand.Rand, prefix string, n uint8) Register {
	w := DrawRegister(rng, prefix, n)
	w.Keys = w.Keys[:min(len(w.Keys), 4)]
	w.Deletes = max(1, w.Puts/2) + rng.IntN(w.Puts)
	w.Blind = 0.2 + 0.6*rng.Float64()
	return w
}

// Next implements Workload.
func (w Register) Next(rng *rand.Rand) Step {
	s := w.step(rng)
	switch n := rng.IntN(w.Gets + w.Puts + w.Deletes); {
	case n < w.Gets:
		s.Kind, s.Atomic = history.Get, rng.Float64() < w.Atomic
	case n < w.Gets+w.Puts:
		s.Kind, s.Siblings = history.Put, rng.Float64() < w.Siblings
		s.Size = rng.IntN(w.MaxSize + 1)
	default:
		s.Kind = history.Delete
	}
	s.Blind = s.Kind.Writes() && rng.Float64() < w.Blind
	if s.Atomic { // a store refuses it with less than a majority
		s.Levels.R = max(s.Levels.R, w.N/2+1)
	}
	s.Levels = s.Levels.of(s.Kind)
	return s
}

// Final implements Workload.
func (w Register) Final(round uint8) []Step { return w.finals(history.Get, round) }
