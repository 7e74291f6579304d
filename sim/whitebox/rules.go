// SPDX-License-Identifier: Apache-2.0

package whitebox

import (
	"slices"

	"github.com/dyno-kv/dyno/internal/trace"
)

// take judges one event. What is no promise is passed over.
func (c *Checker) take(e *trace.Event) {
	at := keyName{bucket: e.Bucket, key: string(e.Key)}
	d := dot{actor: e.Actor, counter: e.Counter}
	switch e.Kind {
	case trace.DotMinted:
		c.minted(e, at, d)
	case trace.Synced:
		c.synced(e, at, d)
	case trace.Covered:
		c.covered(e, at)
	case trace.Removed:
		c.removed(e, at)
	case trace.HintStored:
		c.hinted(e, at)
	case trace.Acknowledged:
		c.acknowledged(e, at, d)
	case trace.EntryStored:
		c.stored(e)
	case trace.EntryCommitted:
		c.committed(e)
	case trace.FenceSet:
		c.fenced(e)
	case trace.PartitionCopied:
		c.copied(e)
	case trace.RefillReported:
		c.reported(e)
	case trace.PhaseCommitted:
		c.phase(e)
	}
}

// minted is the first half of unique-dot.
func (c *Checker) minted(e *trace.Event, at keyName, d dot) {
	c.counts.Minted++
	m := mint{node: e.Emitter, at: at, request: string(e.Request)}
	if first, twice := c.dots[d]; twice {
		c.violated(RuleUniqueDot, "%s was minted twice: %s, then %s", d, first, m)
		return
	}
	c.dots[d] = m
}

// synced is the other half: nobody has a version under a dot of another's.
func (c *Checker) synced(e *trace.Event, at keyName, d dot) {
	switch m, known := c.dots[d]; {
	case !known:
		c.violated(RuleUniqueDot, "node %d has a version of %s with the dot %s, which nobody minted",
			e.Emitter, at, d)
	case m.at != at:
		c.violated(RuleUniqueDot, "node %d has a version of %s with the dot %s, which was minted for %s",
			e.Emitter, at, d, m)
	}
}

// covered notes what a node's durable object covers, and is the rule grows.
func (c *Checker) covered(e *trace.Event, at keyName) {
	c.counts.Durable++
	k := c.keyOf(at)
	if lost, shrunk := missing(k.durable[e.Emitter], e.Covers); shrunk {
		c.violated(RuleGrows, "node %d covered the dot %s of %s durably, and does not at timestamp %d",
			e.Emitter, lost, at, e.Value)
	}
	k.durable[e.Emitter] = slices.Clone(e.Covers)
}

// removed notes that an object is gone, and is the rule of that name. What it covered it has
// had: that is not taken back.
func (c *Checker) removed(e *trace.Event, at keyName) {
	if e.Counter > 0 {
		c.violated(RuleRemoved, "node %d has removed %s with %d values durably, at timestamp %d",
			e.Emitter, at, e.Counter, e.Value)
	}
	k := c.keyOf(at)
	k.former[e.Emitter] = slices.Concat(k.former[e.Emitter], k.durable[e.Emitter])
	delete(k.durable, e.Emitter)
}

// hinted notes what a node keeps for others. It counts as long as it may be told to
// somebody, which a deletion after its delivery does not change: so nothing is taken back.
func (c *Checker) hinted(e *trace.Event, at keyName) {
	k := c.keyOf(at)
	for _, d := range e.Covers {
		had := k.hints[e.Emitter]
		if !contains(had, dot{actor: d.Actor, counter: d.Counter}) || !d.Alone {
			k.hints[e.Emitter] = append(had, d)
		}
	}
}

// acknowledged is the rule of that name.
func (c *Checker) acknowledged(e *trace.Event, at keyName, d dot) {
	c.counts.Acknowledged++
	switch m, known := c.dots[d]; {
	case !known:
		c.violated(RuleUniqueDot, "node %d acknowledged a write of %s with the dot %s, which nobody "+
			"minted", e.Emitter, at, d)
	case m.at != at || m.request != string(e.Request):
		c.violated(RuleUniqueDot, "node %d acknowledged request %x of %s with the dot %s, which was "+
			"minted for %s", e.Emitter, e.Request, at, d, m)
	}
	if e.Need == 0 {
		c.violated(RuleAcknowledged, "node %d acknowledged %s of %s and does not say how many nodes "+
			"had to have it", e.Emitter, d, at)
	}
	if by := c.keyOf(at).holders(d, c.fills.filling); len(by) < int(e.Need) {
		c.violated(RuleAcknowledged, "node %d acknowledged %s of %s for %d nodes, %d had to have it, "+
			"and these have it durably: %v", e.Emitter, d, at, e.Value, e.Need, by)
	}
}

// holders are the nodes that have, or had, an object or a hint durably that covers d. What a
// store has that is being filled counts for nothing.
func (k *key) holders(d dot, filling map[uint16]bool) []uint16 {
	var by []uint16
	for i, held := range []map[uint16][]trace.Dots{k.durable, k.former, k.hints} {
		for node, covers := range held {
			if contains(covers, d) && (i > 0 || !filling[node]) {
				by = append(by, node)
			}
		}
	}
	slices.Sort(by)
	return slices.Compact(by)
}

// contains reports whether d is among the dots.
func contains(dots []trace.Dots, d dot) bool {
	if d.counter == 0 {
		return false // names no write
	}
	for _, have := range dots {
		if have.Actor == d.actor &&
			(have.Counter == d.counter || !have.Alone && have.Counter > d.counter) {
			return true
		}
	}
	return false
}

// missing returns a dot of before that is not among after.
func missing(before, after []trace.Dots) (dot, bool) {
	for _, had := range before {
		d := dot{actor: had.Actor, counter: had.Counter}
		if !contains(after, d) {
			return d, true
		}
		if had.Alone {
			continue
		}
		// All up to the counter were there. What after has whole needs no look.
		for d.counter = whole(after, had.Actor) + 1; d.counter < had.Counter; d.counter++ {
			if !contains(after, d) {
				return d, true
			}
		}
	}
	return dot{}, false
}

// whole is the counter up to which all dots of an actor are there.
func whole(dots []trace.Dots, actor uint64) (counter uint64) {
	for _, have := range dots {
		if have.Actor == actor && !have.Alone {
			counter = max(counter, have.Counter)
		}
	}
	return counter
}
