// SPDX-License-Identifier: Apache-2.0

package real

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

const second = int64(time.Second)

// read is one of a key, which began and ended then.
func read(from, until int64, outcome history.Outcome) history.Op {
	return history.Op{
		Kind: history.Get, Key: "data 1", Invoked: from, Completed: until, Outcome: outcome,
	}
}

// grant is one of a lock.
func grant(key string, from, until int64) history.Op {
	return history.Op{
		Kind: history.Acquire, Key: key, Invoked: from, Completed: until, Outcome: history.OK,
		Lock: history.Lock{Session: "0.1", Holder: 1, Fence: 1},
	}
}

func death(at int64) history.Event {
	return history.Event{Name: killLeader, From: at, Until: at + 5*second}
}

// find is the result of one checker.
func find(t *testing.T, h *history.History, name string) *checker.Result {
	t.Helper()
	all := Measure(h)
	at := slices.IndexFunc(all, func(r checker.Result) bool { return r.Checker == name })
	if at < 0 {
		t.Fatalf("no result %s", name)
	}
	return &all[at]
}

func TestAHandoverLastsUntilTheFirstAttemptAfterTheDeathIsGranted(t *testing.T) {
	h := &history.History{
		Events: []history.Event{death(10 * second)},
		Ops: []history.Op{
			grant("probe 0.0", 9*second, 11*second),        // began before
			grant("lock 0.0", 10*second+1, 12*second),      // others want it
			grant("probe 0.0", 10*second+1, 13*second),     // that one
			grant("probe 0.0", 13*second, 13*second+1_000), // and this comes later
		},
	}
	r := find(t, h, "hand-over")
	if r.Verdict != checker.Valid || r.Stat("worst-s") != 3 || r.Stat("median-s") != 3 ||
		r.Stat("leaders-killed") != 1 {
		t.Errorf("got %+v", r)
	}
}

func TestADeathWithoutAGrantIsRed(t *testing.T) {
	late := 10*second + int64(longestHandover) + 1
	for name, ops := range map[string][]history.Op{
		"none at all":   {grant("probe 0.0", 9*second, 9*second+1)},
		"one that late": {grant("probe 0.0", 10*second+1, late)},
	} {
		h := &history.History{Events: []history.Event{death(10 * second)}, Ops: ops}
		if r := find(t, h, "hand-over"); r.Verdict != checker.Invalid || r.Count != 1 {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

func TestKeysMustBeServedWhileThereIsNoLeader(t *testing.T) {
	for name, fails := range map[string]struct {
		within, outside int
		want            checker.Verdict
	}{
		"few fail":           {1, 0, checker.Valid},
		"many fail":          {10, 0, checker.Invalid},
		"those fail outside": {0, 50, checker.Valid}, // which is judged elsewhere
	} {
		h := &history.History{
			Events: []history.Event{death(10 * second)},
			Ops:    []history.Op{grant("probe 0.0", 10*second, 12*second)},
		}
		add := func(at int64, n, failed int) {
			for i := range n {
				outcome := history.OK
				if i < failed {
					outcome = history.Fail
				}
				h.Ops = append(h.Ops, read(at+int64(i), at+int64(i)+1, outcome))
			}
		}
		add(11*second, 100, fails.within)
		add(13*second, 100, fails.outside)
		if r := find(t, h, "data-path"); r.Verdict != fails.want || r.Stat("leaderless") != 100 {
			t.Errorf("%s: got %+v, want %v", name, r, fails.want)
		}
	}
}

func TestASilenceOfAllKeysIsRedUnlessAllNodesAreDown(t *testing.T) {
	until := int64(longestSilence) + 2*second
	h := &history.History{Ops: []history.Op{
		read(0, 1, history.OK), read(second, until, history.Fail), read(second, until, history.OK),
	}}
	r := find(t, h, "data-path")
	if r.Verdict != checker.Invalid || r.Stat("longest-silence-s") < longestSilence.Seconds() {
		t.Errorf("got %+v", r)
	}
	h.Events = []history.Event{{Name: killAll, From: second, Until: 5 * second, Outage: true}}
	if r := find(t, h, "data-path"); r.Verdict != checker.Valid {
		t.Errorf("while all were down: got %+v", r)
	}
}

func TestEachFaultComesBeforeOneComesTwice(t *testing.T) {
	d := newDeck(rand.New(rand.NewPCG(1, 1)))
	if first := d.draw(); first != killLeader {
		t.Errorf("the first is %s", first)
	}
	for round := range 5 {
		seen := make(map[string]bool)
		for range 6 {
			seen[d.draw()] = true
		}
		if len(seen) != 6 {
			t.Errorf("round %d: %v", round, seen)
		}
	}
}

func TestQuantilesAreOfWhatWasSeen(t *testing.T) {
	var sorted []time.Duration
	for i := range 100 {
		sorted = append(sorted, time.Duration(1+i))
	}
	for share, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := quantile(sorted, share); got != want {
			t.Errorf("%v: got %d, want %d", share, got, want)
		}
	}
	if got := quantile(sorted[:1], 0.99); got != 1 {
		t.Errorf("of one: %d", got)
	}
}

func TestAMajorityCanAnswerWhatDataSessionsAskFor(t *testing.T) {
	w := drawData(rand.New(rand.NewPCG(1, 1)))
	rng := rand.New(rand.NewPCG(1, 2))
	seen := make(map[string]int)
	for range 2000 {
		s := w.Next(rng)
		if l := s.Levels; max(l.R, l.W, l.PR, l.PW) > 2 {
			t.Fatalf("step %+v", s)
		}
		seen[s.Key]++
	}
	if len(seen) != dataKeys {
		t.Errorf("%d keys of %d: %s", len(seen), dataKeys, fmt.Sprint(seen))
	}
}
