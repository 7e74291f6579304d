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
// store that refuses everything would pass.
func checkAvailability(x *index) *Result {
	r := &Result{Checker: "availability", Verdict: Valid}
	out := outages(x.h.Events)
	all, ok := 0, 0
	type share struct{ all, ok int }
	nodes := make(map[string]share)
	for i := range x.h.Ops {
		op := &x.h.Ops[i]
		if out.touch(op.Invoked, op.Completed) {
			continue
		}
		n := nodes[op.Node]
		all++
		n.all++
		if op.Outcome == history.OK {
			ok++
			n.ok++
		}
		nodes[op.Node] = n
	}
	r.stat("operations", float64(all))
	r.stat("ok-rate", rate(ok, all))
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		if name != "" {
			r.stat("ok-rate-"+name, rate(nodes[name].ok, nodes[name].all))
		}
	}
	switch {
	case all < x.cfg.MinOps:
		r.unsure("%d operations outside of outages, fewer than %d", all, x.cfg.MinOps)
	case rate(ok, all) < x.cfg.MinAvailable:
		r.Verdict, r.Count = Invalid, 1
		r.Violations = []Violation{{Rule: "availability", Text: fmt.Sprintf(
			"%d of %d operations outside of outages were ok, fewer than %g %%",
			ok, all, 100*x.cfg.MinAvailable)}}
	}
	return r
}

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
