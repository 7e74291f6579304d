// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// checkAvailability asks that enough operations outside of outages were ok. Without it a
// store that refuses everything would pass. What a majority can answer is counted for itself
// too: an operation that demands more, or that one node alone was asked for, fails with any
// node, or with that one. Locks answer to another majority, and are not counted.
func checkAvailability(x *index) *Result {
	r := &Result{Checker: "availability", Verdict: Valid}
	out := outages(x.h.Events)
	var all, majority share
	nodes := make(map[string]share)
	for i := range x.h.Ops {
		op := &x.h.Ops[i]
		if op.Kind.Locks() || out.touch(op.Invoked, op.Completed) {
			continue
		}
		n := nodes[op.Node]
		n.count(op)
		nodes[op.Node] = n
		all.count(op)
		if !op.Pinned && int(max(op.R, op.W, op.PR, op.PW)) <= x.h.Header.N/2+1 {
			majority.count(op)
		}
	}
	r.stat("operations", float64(all.all))
	r.stat("ok-rate", all.rate())
	r.stat("operations-majority", float64(majority.all))
	r.stat("ok-rate-majority", majority.rate())
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		if name != "" {
			r.stat("ok-rate-"+name, nodes[name].rate())
		}
	}
	switch {
	case all.all < x.cfg.MinOps:
		r.unsure("%d operations outside of outages, fewer than %d", all.all, x.cfg.MinOps)
	case all.rate() < x.cfg.MinAvailable:
		r.Verdict, r.Count = Invalid, 1
		r.Violations = []Violation{{Rule: "availability", Text: fmt.Sprintf(
			"%d of %d operations outside of outages were ok, fewer than %g %%",
			all.ok, all.all, 100*x.cfg.MinAvailable)}}
	}
	return r
}

// share is how many operations of some were ok.
type share struct{ all, ok int }

func (s *share) count(op *history.Op) {
	s.all++
	if op.Outcome == history.OK {
		s.ok++
	}
}

func (s share) rate() float64 { return rate(s.ok, s.all) }

// intervals do not overlap, and ascend.
type intervals struct{ from, until []int64 }

func outages(events []history.Event) intervals {
	var list []history.Event
	for _, e := range events {
		if e.Outage {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b history.Event) int { return cmp.Compare(a.From, b.From) })
	var out intervals
	for _, e := range list {
		if n := len(out.from); n > 0 && e.From <= out.until[n-1] {
			out.until[n-1] = max(out.until[n-1], e.Until)
			continue
		}
		out.from, out.until = append(out.from, e.From), append(out.until, e.Until)
	}
	return out
}

// touch reports whether an operation runs into one of them.
func (v intervals) touch(from, until int64) bool {
	n := upTo(v.from, until) // those that begin by then
	return n > 0 && v.until[n-1] >= from
}
