// SPDX-License-Identifier: Apache-2.0

package whitebox

import "github.com/dyno-kv/dyno/internal/trace"

// refills is what is known of fences, and of lost stores that are filled (docs/adr/0022).
type refills struct {
	fences   map[uint16]map[uint32]uint64 // by node and partition: the placement version
	copied   map[uint16]map[uint32]bool   // by node: partitions that some owner was copied in
	reported map[uint16]uint64            // by node: the instance that was reported as full
	filling  map[uint16]bool              // nodes whose stores are being filled
}

func newRefills() refills {
	return refills{
		fences: make(map[uint16]map[uint32]uint64), copied: make(map[uint16]map[uint32]bool),
		reported: make(map[uint16]uint64), filling: make(map[uint16]bool),
	}
}

// fenced notes what an owner refuses from now on.
func (c *Checker) fenced(e *trace.Event) {
	by := c.fills.fences[e.Emitter]
	if by == nil {
		by = make(map[uint32]uint64)
		c.fills.fences[e.Emitter] = by
	}
	by[e.Partition] = max(by[e.Partition], e.Value)
}

// copied is the first half of refill: an owner is fenced before it is copied (TRAPS T3).
func (c *Checker) copied(e *trace.Event) {
	c.counts.Copied++
	if set := c.fills.fences[e.Peer][e.Partition]; set < e.Value {
		c.violated(RuleRefill, "node %d has copied partition %d of node %d, which is fenced at "+
			"placement %d, and had to be at %d", e.Emitter, e.Partition, e.Peer, set, e.Value)
	}
	if c.fills.copied[e.Emitter] == nil {
		c.fills.copied[e.Emitter] = make(map[uint32]bool)
	}
	c.fills.copied[e.Emitter][e.Partition] = true
}

// reported is the second: who reports has copied what it owns, and has fenced itself there.
func (c *Checker) reported(e *trace.Event) {
	c.fills.reported[e.Emitter] = e.Counter
	newest := uint64(0)
	for p, version := range c.fills.fences[e.Emitter] {
		newest = max(newest, version)
		if !c.fills.copied[e.Emitter][p] {
			c.violated(RuleRefill, "node %d reports that it is full, and has copied nobody in "+
				"partition %d", e.Emitter, p)
		}
	}
	if newest != e.Value || newest == 0 {
		c.violated(RuleRefill, "node %d reports that it is fenced at placement %d, and is at %d",
			e.Emitter, e.Value, newest)
	}
}

// phase is the third: a store is full only after it was reported, in this life. What it had
// copied in an earlier one is gone.
func (c *Checker) phase(e *trace.Event) {
	if e.Counter == trace.PhaseFilling {
		delete(c.fills.copied, e.Emitter)
		c.fills.filling[e.Emitter] = true
		return
	}
	delete(c.fills.filling, e.Emitter)
	c.counts.Full++
	if told := c.fills.reported[e.Emitter]; told != e.Value {
		c.violated(RuleRefill, "node %d takes its instance %d for full, and reported %d", e.Emitter,
			e.Value, told)
	}
}
