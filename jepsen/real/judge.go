// SPDX-License-Identifier: Apache-2.0

package real

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

const (
	// replicas is how many copies of a key there are.
	replicas = 3
	// leastAvailable is the share of data operations that must be ok, beside those while all
	// nodes are down.
	leastAvailable = 0.95
	// longestSilence bounds how long no data operation at all is answered: a node that is
	// paused costs each client one wait for it.
	longestSilence = 10 * time.Second
	// longestHandover bounds how long nobody is granted a lock when the leader is dead. On a
	// machine that does nothing else it is a few seconds.
	longestHandover = 20 * time.Second
)

// header tells checkers what the run promises.
func header(cfg *Config) history.Header {
	return history.Header{
		N: replicas, Mode: "real", Seed: cfg.Seed,
		Labels: map[string]string{
			"nodes": fmt.Sprint(cfg.Nodes), "keep_sessions": "true",
			"min_available": fmt.Sprint(leastAvailable),
		},
	}
}

// Measure says how soon after each death of a leader a lock was granted again, and whether
// keys were served meanwhile.
func Measure(h *history.History) []checker.Result {
	gaps := leaderless(h)
	return []checker.Result{handover(gaps), dataPath(h, gaps)}
}

// gap is from the death of a leader to the next grant.
type gap struct {
	from, until int64 // until: -1 if there was none
	op          int
}

// leaderless finds the gaps. What counts is the first attempt of the probe that began after
// the death: of one that began before nobody knows when it was granted.
func leaderless(h *history.History) []gap {
	var gaps []gap
	for i := range h.Events {
		if h.Events[i].Name == killLeader {
			gaps = append(gaps, gap{from: h.Events[i].From, until: -1})
		}
	}
	for i := range gaps {
		g := &gaps[i]
		for n := range h.Ops {
			op := &h.Ops[n]
			if op.Granted() && strings.HasPrefix(op.Key, probe) && op.Invoked >= g.from {
				g.until, g.op = op.Completed, n
				break
			}
		}
	}
	return gaps
}

// handover judges the gaps.
func handover(gaps []gap) checker.Result {
	r := checker.Result{Checker: "hand-over", Verdict: checker.Valid}
	var took []time.Duration
	for _, g := range gaps {
		d := time.Duration(g.until - g.from)
		if g.until >= 0 {
			took = append(took, d)
		}
		if g.until < 0 || d > longestHandover {
			r.Verdict = checker.Invalid
			r.Count++
			r.Violations = append(r.Violations, checker.Violation{
				Rule: "hand-over", Text: fmt.Sprintf("the leader that was killed at %s left nobody who "+
					"grants locks within %v", history.Clock(g.from), longestHandover),
			})
		}
	}
	slices.Sort(took)
	r.Stats = append(r.Stats, checker.Stat{Name: "leaders-killed", Value: float64(len(gaps))})
	if len(took) > 0 {
		for _, q := range []struct {
			name string
			of   float64
		}{{"median-s", 0.5}, {"p99-s", 0.99}, {"worst-s", 1}} {
			r.Stats = append(r.Stats, checker.Stat{Name: q.name, Value: quantile(took, q.of).Seconds()})
		}
	}
	return r
}

// quantile is the smallest of some, in order, that so large a share is not above.
func quantile(sorted []time.Duration, share float64) time.Duration {
	at := int(math.Ceil(share*float64(len(sorted)))) - 1
	return sorted[max(at, 0)]
}

// dataPath judges whether keys were served throughout, without a leader as with one.
func dataPath(h *history.History, gaps []gap) checker.Result {
	r := checker.Result{Checker: "data-path", Verdict: checker.Valid}
	var answered []int64 // when
	all, ok := 0, 0      // that began while there was no leader
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Kind.Locks() || op.Final > 0 {
			continue
		}
		if op.Outcome == history.OK {
			answered = append(answered, op.Completed)
		}
		if slices.ContainsFunc(gaps, func(g gap) bool {
			return op.Invoked >= g.from && op.Invoked <= g.until
		}) {
			all++
			if op.Outcome == history.OK {
				ok++
			}
		}
	}
	slices.Sort(answered)
	worst, at := silence(answered, h.Events)
	if worst > longestSilence {
		r.Verdict, r.Count = checker.Invalid, 1
		r.Violations = []checker.Violation{{Rule: "silence", Text: fmt.Sprintf(
			"no key was read or written from %s on for %v", history.Clock(at), worst)}}
	}
	if all > 0 && float64(ok) < leastAvailable*float64(all) {
		r.Verdict = checker.Invalid
		r.Count++
		r.Violations = append(r.Violations, checker.Violation{Rule: "leaderless", Text: fmt.Sprintf(
			"%d of %d operations on keys that began while there was no leader were ok, fewer than %g %%",
			ok, all, 100*leastAvailable)})
	}
	r.Stats = []checker.Stat{
		{Name: "ok", Value: float64(len(answered))},
		{Name: "leaderless", Value: float64(all)}, {Name: "leaderless-ok", Value: float64(ok)},
		{Name: "longest-silence-s", Value: worst.Seconds()},
	}
	return r
}

// silence is the longest time between two answers that no outage of all explains.
func silence(answered []int64, events []history.Event) (longest time.Duration, at int64) {
	for i := 1; i < len(answered); i++ {
		from, until := answered[i-1], answered[i]
		excused := slices.ContainsFunc(events, func(e history.Event) bool {
			return e.Outage && e.From <= until && e.Until >= from
		})
		if d := time.Duration(until - from); d > longest && !excused {
			longest, at = d, from
		}
	}
	return longest, at
}
