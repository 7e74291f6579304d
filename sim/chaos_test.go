// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/node"
)

// disturbance does something to a host, or near it. What it leaves behind is mended by
// mend. A host may be down when its turn comes.
type disturbance struct {
	name string
	do   func(c *Cluster, h *Host, rng *rand.Rand) error
}

func disturbances() []disturbance {
	return []disturbance{
		{"kill", func(_ *Cluster, h *Host, _ *rand.Rand) error { return h.Kill() }},
		{"stop", func(_ *Cluster, h *Host, _ *rand.Rand) error { return h.Stop() }},
		{"power", func(_ *Cluster, h *Host, _ *rand.Rand) error { h.LosePower(); return nil }},
		{"power of all", func(c *Cluster, _ *Host, _ *rand.Rand) error {
			for _, h := range c.Hosts {
				h.LosePower()
			}
			return nil
		}},
		{"pause", func(_ *Cluster, h *Host, rng *rand.Rand) error {
			if err := h.Pause(); err != nil {
				return err
			}
			time.Sleep(10 * draws(rng))
			return h.Resume()
		}},
		{"failure of the disk", func(_ *Cluster, h *Host, rng *rand.Rand) error {
			h.Disk.Fail(Part(rng.IntN(int(parts))), Op(rng.IntN(int(ops))), 1+rng.IntN(10))
			return nil
		}},
		{"slow disk", func(_ *Cluster, h *Host, rng *rand.Rand) error {
			h.Disk.SetSyncTime(time.Duration(rng.IntN(100)) * time.Millisecond)
			return nil
		}},
		{"clock", func(_ *Cluster, h *Host, rng *rand.Rand) error {
			h.Clock.Step(time.Duration(rng.IntN(7200)-3600) * time.Second)
			return nil
		}},
		{"partition", func(c *Cluster, h *Host, rng *rand.Rand) error {
			sides := [2][]string{{h.Addr}, nil}
			for _, other := range c.Hosts {
				if side := rng.IntN(2); other != h {
					sides[side] = append(sides[side], other.Addr)
				}
			}
			c.Net.Partition(sides[0], sides[1])
			time.Sleep(10 * draws(rng))
			return nil
		}},
		{"deaf", func(c *Cluster, h *Host, rng *rand.Rand) error {
			c.Net.Cut(c.Hosts[rng.IntN(len(c.Hosts))].Addr, h.Addr)
			time.Sleep(5 * draws(rng))
			return nil
		}},
	}
}

// revive starts hosts that are down: each with that chance. A machine whose process ended
// by itself loses its power first, which is the hardest that can happen to it.
func revive(t *testing.T, c *Cluster, chance float64, rng *rand.Rand) {
	t.Helper()
	for _, h := range c.Hosts {
		if _, ended := h.Ended(); ended {
			h.LosePower()
		}
		if h.Up() || rng.Float64() >= chance {
			continue
		}
		if err := h.Start(limit(t)); err != nil && chance == 1 {
			t.Fatal(err) // while faults are set a start may meet them
		}
	}
}

// mend takes back every fault that is set.
func mend(c *Cluster) {
	c.Net.Heal()
	for _, h := range c.Hosts {
		for p := range parts {
			for op := range ops {
				h.Disk.Fail(p, op, 0)
			}
		}
		h.Disk.SetSyncTime(2 * time.Millisecond)
	}
}

// drained is within which a process has ended whose disk failed.
const drained = 15 * time.Second

// TestRandomFaultsLoseNoAcknowledgedWrite draws cluster and faults from the seed.
func TestRandomFaultsLoseNoAcknowledgedWrite(t *testing.T) {
	bit, seeds := make(map[string]int), uint64(30)
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			cfg := DefaultConfig(seed)
			cfg.Nodes = 3 + int(seed%3)
			cfg.Tune = func(_ *Host, n *node.Config) {
				if seed%2 == 0 {
					n.Storage.QueueOps, n.Storage.BatchOps = 4, 4
				}
			}
			c := startCluster(t, cfg)
			e := &elements{acked: make(map[string][]string)}
			wait := e.write(t, c, 150)
			rng := source(seed, "faults")
			for range 6 {
				time.Sleep(draws(rng))
				d := disturbances()[rng.IntN(len(disturbances()))]
				if d.do(c, c.Hosts[rng.IntN(len(c.Hosts))], rng) == nil {
					bit[d.name]++
				}
				time.Sleep(draws(rng))
				if rng.IntN(2) == 0 {
					c.Net.Heal()
				}
				revive(t, c, 0.7, rng)
			}
			mend(c)
			wait()
			time.Sleep(drained)
			revive(t, c, 1, rng)
			must(t, c.AwaitReady(limit(t)))
			e.demand(t, c)
			if e.count < e.tried/2 {
				t.Errorf("seed %d: only %d of %d writes were acknowledged", seed, e.count, e.tried)
			}
		})
	}
	for _, d := range disturbances() {
		if bit[d.name] < 3 && !testing.Short() {
			t.Errorf("%q was done %d times: too few to show anything", d.name, bit[d.name])
		}
	}
}
