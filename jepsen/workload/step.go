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
	// Near has the session wait instead until a value of its own on this key is about to
	// end, give or take a millisecond by Pause; if it knows of none, Pause it is.
	Near bool
	Kind history.Kind
	Key  string
	// Levels are those of all its requests.
	Levels Levels
	// Node has the session ask through that node from this step on, counted from 1; 0: as
	// before, and any node as long as none was named.
	Node int
	// Blind keeps a write from being sent with what the session knows of the key.
	Blind bool
	// Size is how long the value of a put is at least.
	Size int
	// TTL is the time to live of a put, in whole milliseconds; 0: it stays.
	TTL time.Duration
	// Delta is what an increment adds.
	Delta int64
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

// Common is what all workloads have.
type Common struct {
	Keys []string
	// N is how many replicas a key has: levels are drawn from 1 to N.
	N uint8
	// MinW raises the w of every write that is drawn lower. A plan in which replicas are
	// lost for good must have more copies of what was acknowledged than it loses.
	MinW uint8
	// FinalR is the level of final reads; 0: all replicas. A plan that loses one replica for
	// good reads all but one, and has a MinW of 2 (history.Op.Final says what is judged).
	FinalR uint8
	// MaxPause bounds the pauses.
	MaxPause time.Duration
	// Move is the share of steps before which the session goes to a node that is drawn from 1
	// to Nodes; 0 Nodes: it never names one. Sessions and Expiry draw it: there it matters
	// who answers.
	Move  float64
	Nodes int
}

// step draws what steps of all kinds have.
func (c *Common) step(rng *rand.Rand) Step {
	s := Step{
		Pause: time.Duration(rng.Int64N(int64(c.MaxPause) + 1)), Key: c.Keys[rng.IntN(len(c.Keys))],
		Levels: drawLevels(rng, c.N),
	}
	s.Levels.W = max(s.Levels.W, min(c.MinW, c.N))
	if c.Nodes > 0 && rng.Float64() < c.Move {
		s.Node = 1 + rng.IntN(c.Nodes)
	}
	return s
}

func (c *Common) finals(kind history.Kind, round uint8) []Step {
	r := c.N
	if c.FinalR > 0 {
		r = min(c.FinalR, c.N)
	}
	out := make([]Step, len(c.Keys))
	for i, key := range c.Keys {
		out[i] = Step{Kind: kind, Key: key, Levels: Levels{R: r}, Final: round}
	}
	return out
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
