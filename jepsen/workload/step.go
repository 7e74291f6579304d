// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Step is what a session does next.
type Step struct {
	// Pause comes before it.
	Pause time.Duration
	Kind  history.Kind
	Key   string
	// Levels are those of all its requests.
	Levels Levels
	// Blind keeps a write from being sent with what the session knows of the key.
	Blind bool
	// Size is how long the value of a put is at least.
	Size int
	// Atomic and Siblings are as in Request.
	Atomic, Siblings bool
	// Final is as in history.Op.
	Final uint8
}

// Workload draws steps. It has no state: what it draws depends on rng alone.
type Workload interface {
	Next(rng *rand.Rand) Step
	// Final are the reads of all keys in one round of final reads.
	Final(round uint8) []Step
}

// Register draws operations on keys with siblings.
type Register struct {
	Keys []string
	// N is how many replicas a key has: levels are drawn from 1 to N.
	N uint8
	// Gets, Puts and Deletes weigh the kinds against each other.
	Gets, Puts, Deletes int
	// Blind is the share of writes without context; Atomic that of reads which are
	// atomic; Siblings that of puts which ask for siblings.
	Blind, Atomic, Siblings float64
	// MaxSize and MaxPause bound what is drawn.
	MaxSize  int
	MaxPause time.Duration
}

// Set draws operations on keys that hold sets.
type Set struct {
	Keys       []string
	N          uint8
	Adds, Sees int
	MaxPause   time.Duration
}

// DrawRegister draws a mix: from keys that are fought over to keys that are not, from
// nearly all reads to nearly all writes. Its keys begin with prefix.
func DrawRegister(rng *rand.Rand, prefix string, n uint8) Register {
	return Register{
		Keys: names(prefix, 1+rng.IntN(12)), N: n,
		Gets: 1 + rng.IntN(6), Puts: 1 + rng.IntN(6), Deletes: rng.IntN(3),
		Blind: rng.Float64() / 2, Atomic: rng.Float64() / 2, Siblings: rng.Float64() / 2,
		MaxSize: 1 << rng.IntN(12), MaxPause: drawPause(rng),
	}
}

// DrawSet draws a mix of adds and reads. Its keys begin with prefix.
func DrawSet(rng *rand.Rand, prefix string, n uint8) Set {
	return Set{
		Keys: names(prefix, 1+rng.IntN(4)), N: n,
		Adds: 2 + rng.IntN(4), Sees: 1 + rng.IntN(2), MaxPause: drawPause(rng),
	}
}

func drawPause(rng *rand.Rand) time.Duration {
	return time.Duration(1+rng.IntN(20)) * time.Millisecond
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}

// Next implements Workload.
func (w Register) Next(rng *rand.Rand) Step {
	s := next(rng, w.Keys, w.N, w.MaxPause)
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

// Next implements Workload.
func (w Set) Next(rng *rand.Rand) Step {
	s := next(rng, w.Keys, w.N, w.MaxPause)
	s.Kind = history.Members
	if rng.IntN(w.Adds+w.Sees) < w.Adds {
		s.Kind = history.Add
		return s // reads and writes: all levels
	}
	s.Levels = s.Levels.of(s.Kind)
	return s
}

// Final implements Workload.
func (w Register) Final(round uint8) []Step { return finals(history.Get, w.Keys, w.N, round) }

// Final implements Workload.
func (w Set) Final(round uint8) []Step { return finals(history.Members, w.Keys, w.N, round) }

func finals(kind history.Kind, keys []string, n, round uint8) []Step {
	out := make([]Step, len(keys))
	for i, key := range keys {
		out[i] = Step{Kind: kind, Key: key, Levels: Levels{R: n}, Final: round}
	}
	return out
}

func next(rng *rand.Rand, keys []string, n uint8, pause time.Duration) Step {
	return Step{
		Pause: time.Duration(rng.Int64N(int64(pause) + 1)), Key: keys[rng.IntN(len(keys))],
		Levels: drawLevels(rng, n),
	}
}

// drawLevels draws what most callers ask for most of the time. Owners are seldom asked for:
// where fallbacks do not stand in for them, that is the same once more.
func drawLevels(rng *rand.Rand, n uint8) Levels {
	level := func() uint8 {
		switch rng.IntN(10) {
		case 0, 1:
			return 1
		case 2:
			return n
		default:
			return n/2 + 1
		}
	}
	l := Levels{R: level(), W: level()}
	if rng.IntN(8) == 0 {
		l.PR = min(level(), l.R)
	}
	if rng.IntN(8) == 0 {
		l.PW = min(level(), l.W)
	}
	return l
}

// of leaves the levels that a request of that kind has.
func (l Levels) of(k history.Kind) Levels {
	if k.Writes() {
		return Levels{W: l.W, PW: l.PW}
	}
	return Levels{R: l.R, PR: l.PR}
}
