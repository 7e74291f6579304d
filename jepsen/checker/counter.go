// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"cmp"
	"math"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// checkCounters judges counters by their bounds: a total holds all that was acknowledged
// before the read, as far as the levels meet, and may hold what was begun before the
// read was complete.
func checkCounters(x *index) *Result {
	r := &Result{Checker: "counter", Verdict: Valid}
	reads, widest := 0, int64(0)
	for i := range x.keys {
		if x.keys[i].family != counters {
			continue
		}
		n, width := checkCounter(x, &x.keys[i], r)
		reads, widest = reads+n, max(widest, width)
	}
	r.stat("reads", float64(reads))
	r.stat("widest-bounds", float64(widest))
	if reads == 0 {
		r.unsure("no read of a counter was ok")
	}
	return r
}

// counter is one key's operations, in the two orders in which they matter.
type counter struct {
	begun, acked   []int32 // increments that did not fail, by Invoked; ok ones, by Completed
	reads          []int32 // ok, by Invoked
	final, changed bool
}

func checkCounter(x *index, key *keyOps, out *Result) (reads int, widest int64) {
	ops := x.h.Ops
	c, fits := counterOf(x, key)
	if !fits {
		out.unsure("counter %s may overflow", key.name)
		return 0, 0
	}
	var upAcked, downAcked [history.MaxLevel + 1]int64
	next := 0
	begun := newBegun(ops, c.begun)
	for _, i := range c.reads {
		read := &ops[i]
		for ; next < len(c.acked) && ops[c.acked[next]].Completed < read.Invoked; next++ {
			op := &ops[c.acked[next]]
			level := x.levelOf(op)
			upAcked[level] += max(op.Delta, 0)
			downAcked[level] += min(op.Delta, 0)
		}
		up, down := begun.by(read.Completed)
		from := min(x.needs(read), len(upAcked))
		low, high := down+sum(upAcked[from:]), up+sum(downAcked[from:])
		widest = max(widest, high-low)
		if read.Total < low || read.Total > high {
			x.violate(out, "bounds", key.name, path(i),
				"the total is %d, and must be %d to %d", read.Total, low, high)
		}
	}
	if x.cfg.Final && c.changed && !c.final {
		out.unsure("counter %s has no final read that was ok", key.name)
	}
	return len(c.reads), widest
}

func counterOf(x *index, key *keyOps) (c counter, fits bool) {
	ops := x.h.Ops
	room := int64(math.MaxInt64 / 2)
	for _, i := range key.ops {
		op := &ops[i]
		switch {
		case op.Kind == history.Increment && op.Outcome != history.Fail:
			size := max(op.Delta, -op.Delta)
			if size < 0 || size > room {
				return c, false
			}
			room -= size
			c.changed = true
			c.begun = append(c.begun, i)
			if op.Outcome == history.OK {
				c.acked = append(c.acked, i)
			}
		case op.Kind == history.Total && op.Outcome == history.OK:
			c.reads = append(c.reads, i)
			c.final = c.final || op.Final > 0 && op.Final == x.rounds
		}
	}
	invoked := func(a, b int32) int { return cmp.Compare(ops[a].Invoked, ops[b].Invoked) }
	slices.SortStableFunc(c.begun, invoked)
	slices.SortStableFunc(c.reads, invoked)
	slices.SortStableFunc(c.acked, func(a, b int32) int {
		return cmp.Compare(ops[a].Completed, ops[b].Completed)
	})
	return c, true
}

// begun has the sums of what was begun by each time.
type begun struct {
	at       []int64
	up, down []int64 // of the increments before the n-th
}

func newBegun(ops []history.Op, order []int32) *begun {
	b := &begun{up: []int64{0}, down: []int64{0}}
	for n, i := range order {
		b.at = append(b.at, ops[i].Invoked)
		b.up = append(b.up, b.up[n]+max(ops[i].Delta, 0))
		b.down = append(b.down, b.down[n]+min(ops[i].Delta, 0))
	}
	return b
}

func (b *begun) by(at int64) (up, down int64) {
	n := upTo(b.at, at)
	return b.up[n], b.down[n]
}

// upTo is how many of an ascending list are not above limit.
func upTo(list []int64, limit int64) int {
	n, _ := slices.BinarySearchFunc(list, limit, func(a, b int64) int {
		if a <= b {
			return -1
		}
		return 1
	})
	return n
}

func sum(list []int64) int64 {
	total := int64(0)
	for _, n := range list {
		total += n
	}
	return total
}
