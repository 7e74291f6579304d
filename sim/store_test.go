// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/clients"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

// TestStoresAskTheNodeThatARequestNames: that one and no other, also where it is down.
func TestStoresAskTheNodeThatARequestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, DefaultConfig(1))
		var nodes []string
		for _, h := range c.Hosts {
			nodes = append(nodes, h.Member.Client)
		}
		s := clients.NewStoreOf(connect(t, c, "roamer"), nodes)
		put := func(node int) workload.Answer {
			return s.Put(limit(t), &workload.Request{Key: "k", Value: []byte("v"), Node: node})
		}
		for i, h := range c.Hosts {
			if a := put(i + 1); a.Outcome != history.OK || a.Node != h.Name {
				t.Errorf("through %s: %+v", h.Name, a)
			}
		}
		if a := put(len(nodes) + 1); a.Outcome != history.Fail {
			t.Errorf("through a node that there is not: %+v", a)
		}
		must(t, c.Hosts[0].Kill())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if a := s.Get(ctx, &workload.Request{Key: "k", Node: 1}); a.Outcome == history.OK {
			t.Errorf("through a node that is down: %+v", a)
		}
		if a := put(0); a.Outcome != history.OK {
			t.Errorf("through any: %+v", a)
		}
	})
}

func TestStoresGiveValuesTheirTimeToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, DefaultConfig(1))
		s := clients.NewStore(connect(t, c, "mortal"))
		r := &workload.Request{Key: "k", Value: []byte("v"), TTL: 100 * time.Millisecond}
		if a := s.Put(limit(t), r); a.Outcome != history.OK {
			t.Fatalf("%+v", a)
		}
		for _, want := range []int{1, 0} {
			if a := s.Get(limit(t), &workload.Request{Key: "k"}); len(a.Values) != want {
				t.Errorf("%d values, want %d: %+v", len(a.Values), want, a)
			}
			time.Sleep(r.TTL)
		}
	})
}

// mortals is a history of values that end, over hosts whose clocks are up to apart apart.
func mortals(t *testing.T, seed uint64, apart time.Duration) *history.History {
	t.Helper()
	cfg := DefaultConfig(seed)
	cfg.Nodes = 3 // all of them owners: else r and w promise nothing, and break nothing
	r, rng := newTrial(t, cfg, "expiry"), source(seed, "clocks")
	for i, h := range r.Hosts {
		if i > 0 { // the first is right, and the second as wrong as can be
			h.Clock.Step(time.Duration(rng.Int64N(int64(apart) + 1)))
		}
	}
	last := r.Hosts[1].Clock
	last.Step(apart - last.Offset())
	r.run(t, 300)()
	time.Sleep(drained)
	r.finish(t, 1)
	h := r.record.History()
	h.Header.Labels = map[string]string{"skew": apart.String()}
	return h
}

// TestValuesEndByTheClocks: as early and as late as clocks differ, and no more. So where
// they differ by more than is known a checker sees it, and where it is known nothing.
func TestValuesEndByTheClocks(t *testing.T) {
	rules := make(map[string]int)
	for seed := range uint64(6) {
		for _, apart := range []time.Duration{0, 20 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				h := mortals(t, seed, apart)
				cfg := checker.DefaultConfig()
				cfg.Skew = apart
				report, err := checker.Check(h, cfg)
				must(t, err)
				if report.Verdict != checker.Valid {
					t.Errorf("seed %d, %v apart: %s", seed, apart, report)
				}
				bad, done := outliving().Corrupt(source(seed, "C13"), h)
				if !done {
					t.Fatal("no value has ended")
				}
				report, err = checker.Check(bad, cfg)
				must(t, err)
				if report.Verdict != checker.Invalid {
					t.Errorf("seed %d: valid although a value has outlived its time", seed)
				}
				if apart == 0 {
					return
				}
				report, err = checker.Check(h, checker.DefaultConfig())
				must(t, err)
				for _, v := range report.Result("causal").Violations {
					rules[v.Rule]++
				}
			})
		}
	}
	for _, rule := range []string{"expired", "lost-update"} {
		if rules[rule] == 0 {
			t.Errorf("clocks that nobody knows to be wrong have broken %v, and not %q", rules, rule)
		}
	}
}

func outliving() checker.Corruptor {
	all := checker.Corruptors()
	return all[slices.IndexFunc(all, func(c checker.Corruptor) bool { return c.Name == "C13" })]
}
