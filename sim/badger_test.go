// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/storage"
)

// withBadger is a small cluster on Badgers with small tables.
func withBadger(t *testing.T, kind EngineKind, seed uint64) Config {
	t.Helper()
	cfg := DefaultConfig(seed)
	cfg.Engine, cfg.SmallMemtables = kind, true
	if kind == EngineBadgerTmpfs {
		cfg.Dir = ramDir(t)
	}
	return cfg
}

// TestHostsOnBadgerLoseNoAcknowledgedWrite in whatever way they end, and leave no
// directory behind.
func TestHostsOnBadgerLoseNoAcknowledgedWrite(t *testing.T) {
	for name, disturb := range map[string]func(t *testing.T, c *Cluster, rng *rand.Rand){
		"kills": func(t *testing.T, c *Cluster, rng *rand.Rand) {
			for range 3 {
				time.Sleep(draws(rng))
				h := c.Hosts[rng.IntN(len(c.Hosts))]
				must(t, h.Kill())
				time.Sleep(draws(rng))
				must(t, h.Start(limit(t)))
			}
		},
		"power of all": func(t *testing.T, c *Cluster, rng *rand.Rand) {
			time.Sleep(draws(rng))
			for _, h := range c.Hosts {
				h.LosePower()
			}
			must(t, c.Start(limit(t)))
		},
		"stop and pause": func(t *testing.T, c *Cluster, rng *rand.Rand) {
			time.Sleep(draws(rng))
			must(t, c.Hosts[0].Stop())
			must(t, c.Start(limit(t)))
			must(t, c.Hosts[1].Pause())
			time.Sleep(10 * draws(rng))
			must(t, c.Hosts[1].Resume())
		},
		"failed sync": func(t *testing.T, c *Cluster, rng *rand.Rand) {
			time.Sleep(draws(rng))
			h := c.Hosts[rng.IntN(len(c.Hosts))]
			h.Disk.Fail(Data, OpSync, 1+rng.IntN(10))
			time.Sleep(5 * time.Second)
			if err, ended := h.Ended(); !ended || !errors.Is(err, storage.ErrFailed) {
				t.Errorf("the process has ended: %t, %v", ended, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				cfg := withBadger(t, EngineBadgerTmpfs, seed)
				synctest.Test(t, func(t *testing.T) {
					chaosWith(t, cfg, func(c *Cluster, rng *rand.Rand) { disturb(t, c, rng) })
				})
				left, err := os.ReadDir(cfg.Dir)
				must(t, err)
				if len(left) > 0 {
					t.Errorf("%s is left, and perhaps more", left[0].Name())
				}
			}
		})
	}
}

// TestHostsOnBadgerInMemory go through what such hosts can go through.
func TestHostsOnBadgerInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chaosWith(t, withBadger(t, EngineBadgerMemory, 1), func(c *Cluster, rng *rand.Rand) {
			c.Hosts[2].Clock.Step(time.Hour)
			c.Hosts[0].Disk.SetSyncTime(50 * time.Millisecond)
			must(t, c.Hosts[1].Pause())
			time.Sleep(10 * draws(rng))
			must(t, c.Hosts[1].Resume())
		})
	})
}

// TestALostBadgerDoesNotServe: one that was wiped, rolled back, or cloned is refused, as
// on the simulated disk.
func TestALostBadgerDoesNotServe(t *testing.T) {
	cfg := withBadger(t, EngineBadgerTmpfs, 3)
	synctest.Test(t, func(t *testing.T) {
		c, b := filledWith(t, cfg)
		before := c.Hosts[1].Disk.Copy()
		for range 2 { // openings that the group has heard of
			c.Hosts[1].LosePower()
			must(t, c.Start(limit(t)))
		}
		for name, lose := range map[string]func(h *Host) error{
			"wiped":    func(h *Host) error { return h.Disk.Wipe() },
			"restored": func(h *Host) error { return h.Disk.Restore(before) },
		} {
			h := c.Hosts[1]
			h.LosePower()
			must(t, lose(h))
			must(t, h.Start(limit(t)))
			time.Sleep(10 * time.Second)
			if s, up := h.Status(); !up || s.Ready || s.Confirmed || !s.Refused {
				t.Errorf("%s: up %t, %+v", name, up, s)
			}
			demandFilled(t, b, client.WithR(client.Quorum))
		}
		must(t, c.Hosts[2].Stop())
		must(t, c.Hosts[2].Disk.Restore(c.Hosts[0].Disk.Copy()))
		if err := c.Hosts[2].Start(limit(t)); !errors.Is(err, node.ErrOtherIdentity) {
			t.Errorf("a node on another's directory: %v", err)
		}
	})
}
