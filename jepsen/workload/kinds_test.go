// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

// lastOf is the newest operation that was recorded.
func lastOf(r *history.Recorder) history.Op {
	ops := r.History().Ops
	return ops[len(ops)-1]
}

// TestACounterHoldsWhatWasAdded: two sessions, of which each now and then writes over what
// the other has not read, so that there are siblings.
func TestACounterHoldsWhatWasAdded(t *testing.T) {
	s, rng := newToy(), source(7)
	r, err := history.NewRecorder(history.Header{N: 3}, 10_000)
	must(t, err)
	clock := int64(0)
	now := func() int64 { clock++; return clock }
	var all [2]*workload.Session
	for i := range all {
		all[i] = workload.NewSession(s, i, r, now)
	}
	load, most, added := workload.DrawCounter(rng, "counter", 3), 0, make(map[string]int64)
	for range 400 {
		step := load.Next(rng)
		most = max(most, len(s.live[step.Key]))
		weak := rng.IntN(3) == 0
		if weak { // it shows some of the siblings, or none
			live := s.live[step.Key]
			s.only = append([]int{}, live[:rng.IntN(len(live)+1)]...)
		}
		must(t, all[rng.IntN(2)].Do(context.Background(), step))
		s.only = nil
		switch op := lastOf(r); {
		case op.Kind == history.Increment:
			added[op.Key] += op.Delta
		case !weak && op.Total != added[op.Key]:
			t.Fatalf("%s, %d were added", &op, added[op.Key])
		}
	}
	if most < 2 || len(added) != len(load.Keys) {
		t.Errorf("at most %d siblings, %d counters of %d", most, len(added), len(load.Keys))
	}
}

// TestAnIncrementOfUnknownOutcomeIsCountedOnceAtMost: whether it was done or not, the next
// one leaves no doubt about it; one that was refused for certain is never done.
func TestAnIncrementOfUnknownOutcomeIsCountedOnceAtMost(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome history.Outcome
		done    bool
		total   int64 // after 1, 10 (with that outcome) and 100
	}{
		{"unknown, and done", history.Info, true, 111},
		{"unknown, and not done", history.Info, false, 111},
		{"refused", history.Fail, false, 101},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newToy()
			one, r := begin(t, s)
			do := func(k history.Kind, delta int64) history.Op {
				must(t, one.Do(context.Background(), workload.Step{Kind: k, Key: "k", Delta: delta}))
				return lastOf(r)
			}
			do(history.Increment, 1)
			s.fate = func(r *workload.Request) (bool, history.Outcome) { return c.done, c.outcome }
			if op := do(history.Increment, 10); op.Outcome != c.outcome {
				t.Fatalf("%s", &op)
			}
			s.fate = nil
			want := int64(1)
			if c.done {
				want = 11
			}
			if op := do(history.Total, 0); op.Total != want {
				t.Errorf("%s, want %d", &op, want)
			}
			do(history.Increment, 100)
			if op := do(history.Total, 0); op.Total != c.total {
				t.Errorf("%s, want %d", &op, c.total)
			}
		})
	}
}

func TestSessionsGoFromNodeToNode(t *testing.T) {
	s, rng := newToy(), source(3)
	one, r := begin(t, s)
	load := workload.DrawSessions(rng, "k", 3, 4)
	at, came, moves := 0, 0, make(map[int]int)
	for range 300 {
		step := load.Next(rng)
		if step.Levels.R+step.Levels.W != load.R && step.Levels.R+step.Levels.W != load.W ||
			load.R+load.W <= 3 {
			t.Fatalf("levels that do not meet: %+v of %+v", step, load)
		}
		if step.Node > 0 {
			at = step.Node
			moves[at]++
		}
		must(t, one.Do(context.Background(), step))
		for ; came < len(s.requests); came++ {
			if s.requests[came].Node != at {
				t.Fatalf("node %d was asked by a session that is at %d", s.requests[came].Node, at)
			}
		}
		if op := lastOf(r); op.Pinned != (at > 0) {
			t.Fatalf("pinned %t at node %d: %s", op.Pinned, at, &op)
		}
	}
	if len(moves) != 4 {
		t.Errorf("nodes by how often a session came to them: %v", moves)
	}
}

// TestValuesAreReadAroundTheirEnds: within a millisecond of it, and on both sides.
func TestValuesAreReadAroundTheirEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, rng := newToy(), source(5)
		r, err := history.NewRecorder(history.Header{N: 3}, 10_000)
		must(t, err)
		began := time.Now()
		one := workload.NewSession(s, 0, r, func() int64 { return int64(time.Since(began)) })
		load := workload.DrawExpiry(rng, "k", 3, 3)
		load.Near = 0.5
		must(t, workload.Run(t.Context(), one, load, rng, 1000))
		before, after, mortal := 0, 0, 0
		ends := make(map[history.Value]int64)
		for _, op := range r.History().Ops {
			if op.TTL > 0 {
				mortal++
				ends[op.Value] = op.Completed + op.TTL
				if op.TTL > int64(load.MaxTTL) {
					t.Fatalf("lives for more than %v: %s", load.MaxTTL, &op)
				}
			}
			for v, end := range ends {
				switch shown := slices.Contains(op.Read, v); {
				case op.Kind != history.Get || max(end-op.Invoked, op.Invoked-end) > 1e6:
				case shown && op.Invoked < end:
					before++
				case !shown && op.Invoked >= end:
					after++
				}
			}
		}
		if min(before, after) < 20 || mortal < 100 {
			t.Errorf("%d reads right before an end and %d after, of %d", before, after, mortal)
		}
	})
}

func TestDeletesAreDrawnAboutAsOftenAsPuts(t *testing.T) {
	for seed := range uint64(20) {
		rng := source(seed)
		load := workload.DrawDeletes(rng, "k", 3)
		kinds, blind := make(map[history.Kind]int), 0
		for range 2000 {
			step := load.Next(rng)
			kinds[step.Kind]++
			if step.Kind == history.Delete && step.Blind {
				blind++
			}
		}
		puts, deletes := kinds[history.Put], kinds[history.Delete]
		if 4*deletes < puts || deletes > 2*puts || 8*blind < deletes || 8*blind > 7*deletes {
			t.Errorf("seed %d: %v, %d deletes without context", seed, kinds, blind)
		}
	}
}
