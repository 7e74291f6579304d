// SPDX-License-Identifier: Apache-2.0

package storage

import "sync/atomic"

// generations keeps the discard timestamp below every open read, at the price of two
// atomic additions for a read. Reads enter the present generation, then ask for the
// durable timestamp; each generation remembers the durable timestamp at its start,
// which is thus below all its reads. A generation ends only when the one before it has
// no reads left, and only then does the discard timestamp move to its start.
type generations struct {
	present atomic.Uint64
	open    [2]atomic.Int64 // reads of the present generation and of the one before
	// start is the durable timestamp at which the present generation began. Set by the
	// goroutine that calls advance.
	start atomic.Uint64
}

// enter announces a read. The caller must leave the generation that it returns.
func (g *generations) enter() (generation uint64) {
	for {
		generation = g.present.Load()
		g.open[generation%2].Add(1)
		if g.present.Load() == generation {
			return generation
		}
		// A new generation began in between. Whoever began it may have missed us.
		g.open[generation%2].Add(-1)
	}
}

func (g *generations) leave(generation uint64) { g.open[generation%2].Add(-1) }

// advance begins a new generation, which starts at durable, if the one before the
// present has no reads left. It returns the timestamp up to which older versions may
// be discarded. One goroutine calls it.
func (g *generations) advance(durable uint64) (discard uint64, moved bool) {
	present := g.present.Load()
	if g.open[(present+1)%2].Load() != 0 {
		return 0, false
	}
	// Nobody reads below the start of the present generation any more. Reads that
	// enter from here on find a durable timestamp of at least durable.
	discard = g.start.Swap(durable)
	g.present.Store(present + 1)
	return discard, true
}
