// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/sim/whitebox"
)

// errPoint is what failpoints of these tests fail with.
var errPoint = errors.New("sim: broken on purpose at a failpoint")

// mines arms failpoints of each process that starts, until it is told to stop.
type mines struct {
	rng   *rand.Rand
	sets  []*fail.Set
	clear bool
}

// lay arms some points of a process.
func (m *mines) lay() *fail.Set {
	set := fail.NewSet()
	if m.clear {
		return set
	}
	m.sets = append(m.sets, set)
	points := node.Points()
	for range 4 {
		p := points[m.rng.IntN(len(points))]
		wait := time.Duration(m.rng.IntN(200)) * time.Millisecond
		plan := fail.Plan{Skip: m.rng.IntN(100), Times: 1 + m.rng.IntN(5)}
		switch {
		case p.Drops && m.rng.IntN(2) == 0:
			plan.Drop = true
		case p.Fails && m.rng.IntN(2) == 0:
			plan.Err = errPoint
		default:
			plan.Hook = func() error { time.Sleep(wait); return nil }
		}
		set.Arm(p.Name, plan)
	}
	return set
}

// sweep takes all away.
func (m *mines) sweep() {
	m.clear = true
	for _, set := range m.sets {
		for _, p := range node.Points() {
			set.Disarm(p.Name)
		}
	}
}

// watched is a run with random faults and failpoints, with a checker that hears every
// node. Once it has started trouble does what it likes, unless it is nil; judge is called
// when all is mended.
func watched(
	t *testing.T, seed uint64, trouble func(*Cluster),
	judge func(*testing.T, *Cluster, *elements, *whitebox.Checker),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		checker := whitebox.New()
		cfg, rng := DefaultConfig(seed), source(seed, "faults")
		laid := &mines{rng: source(seed, "mines")}
		cfg.Nodes = 3 + int(seed%3)
		cfg.Tune = func(h *Host, n *node.Config) {
			number := uint16(h.ID)
			n.Trace = trace.New(number, checker.Process(number))
			if seed%2 == 1 {
				n.Storage.CacheBytes = 0 // each operation rests on what is read for it
			}
			if h.processes > 1 { // the first all start well
				n.Points = laid.lay()
			}
		}
		c := startCluster(t, cfg)
		e := &elements{acked: make(map[string][]string)}
		if trouble != nil {
			trouble(c)
		}
		wait := e.write(t, c, 100)
		for range 8 {
			time.Sleep(draws(rng))
			d := disturbances()[rng.IntN(len(disturbances()))]
			_ = d.do(c, c.Hosts[rng.IntN(len(c.Hosts))], rng) // it may be down
			time.Sleep(draws(rng))
			if rng.IntN(2) == 0 {
				c.Net.Heal()
			}
			revive(t, c, 0.7, rng)
		}
		laid.sweep()
		mend(c)
		wait()
		time.Sleep(drained)
		revive(t, c, 1, rng)
		must(t, c.AwaitReady(limit(t)))
		judge(t, c, e, checker)
	})
}

// TestWhatNodesSayOfThemselvesKeepsTheRules is green, and not for want of events.
func TestWhatNodesSayOfThemselvesKeepsTheRules(t *testing.T) {
	seeds, judged := uint64(20), whitebox.Counts{}
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		watched(t, seed, nil, func(
			t *testing.T, c *Cluster, e *elements, checker *whitebox.Checker,
		) {
			e.demand(t, c)
			for _, v := range checker.Verdict() {
				t.Errorf("seed %d: %s", seed, v)
			}
			got := checker.Counts()
			judged.Minted += got.Minted
			judged.Durable += got.Durable
			judged.Acknowledged += got.Acknowledged
		})
	}
	t.Logf("judged: %+v", judged)
	if each := int(seeds) * 100; judged.Minted < each || judged.Durable < 2*each ||
		judged.Acknowledged < each {
		t.Errorf("%+v are too few to show anything", judged)
	}
}
