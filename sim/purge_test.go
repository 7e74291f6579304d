// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/node"
)

// demandNothing demands that no host has a record of any key.
func demandNothing(t *testing.T, c *Cluster) {
	t.Helper()
	for _, h := range c.Hosts {
		got, err := h.Audit(limit(t))
		must(t, err)
		if len(got.Objects) > 0 || len(got.Damaged) > 0 {
			t.Errorf("%s holds %d keys, and can not read %d", h.Name, len(got.Objects), len(got.Damaged))
		}
	}
}

// TestWhatWasDeletedWhileAHostWasDownIsPurgedAndStaysAway: by rounds of the real group.
// Nothing goes while the host is down, whatever the time; and hosts that lose their power
// right after the rounds, or in them, bring nothing back.
func TestWhatWasDeletedWhileAHostWasDownIsPurgedAndStaysAway(t *testing.T) {
	for seed := range several(2) {
		synctest.Test(t, func(t *testing.T) {
			cfg := DefaultConfig(seed)
			cfg.Grouped = true
			cfg.Tune = func(_ *Host, n *node.Config) { n.PurgeGrace = 0 }
			c := startCluster(t, cfg)
			b := connect(t, c, "writer").Bucket(client.DefaultBucket)
			const keys = 40
			for i := range keys {
				_, err := b.Put(limit(t), key(i), valueOf(i))
				must(t, err)
			}
			down := c.Hosts[seed%3]
			down.LosePower()
			time.Sleep(10 * time.Second)
			for i := range keys {
				_, err := b.Delete(limit(t), key(i))
				must(t, err)
			}
			time.Sleep(10 * time.Minute)
			left, err := c.Hosts[(seed+1)%3].Audit(limit(t))
			must(t, err)
			if len(left.Objects) != keys {
				t.Errorf("%d of %d tombstones are left while a host is down", len(left.Objects), keys)
			}
			must(t, c.Start(limit(t)))
			if rng := source(seed, "crash"); seed%2 == 1 { // in the middle of the rounds
				for range 4 {
					time.Sleep(time.Duration(rng.IntN(60)) * time.Second)
					c.Hosts[rng.IntN(3)].LosePower()
					must(t, c.Start(limit(t)))
				}
			}
			time.Sleep(10 * time.Minute)
			demandNothing(t, c)
			c.Hosts[(seed+1)%3].LosePower()
			must(t, c.Start(limit(t)))
			time.Sleep(10 * time.Minute)
			demandNothing(t, c)
			for i := range keys {
				if got, err := b.Get(limit(t), key(i)); err == nil && got.Found {
					t.Errorf("%s is back", key(i))
				}
			}
			_, err = b.Put(limit(t), key(0), valueOf(7))
			must(t, err)
		})
	}
}
