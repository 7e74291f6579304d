// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/node"
)

// demandEqual demands that all hosts hold the same, byte for byte, all of it readable, and
// that their trees are equal. Every host must own every partition.
func demandEqual(t *testing.T, c *Cluster) {
	t.Helper()
	var first node.Audit
	for i, h := range c.Hosts {
		got, err := h.Audit(limit(t))
		must(t, err)
		if len(got.Damaged) > 0 {
			t.Errorf("%s can not read %q", h.Name, got.Damaged)
		}
		if i == 0 {
			first = got
			continue
		}
		if !maps.Equal(first.Objects, got.Objects) {
			t.Errorf("%s holds %d keys, %s %d, and not the same",
				c.Hosts[0].Name, len(first.Objects), h.Name, len(got.Objects))
		}
		for p, tree := range first.Trees {
			if other := got.Trees[p]; other == nil || !tree.Equal(other) {
				t.Errorf("the trees of partition %d at %s and %s differ", p, c.Hosts[0].Name, h.Name)
			}
		}
	}
	if len(first.Objects) == 0 {
		t.Error("nobody holds anything")
	}
}

// apart has clients write while a host is cut off, then heals the network; nobody reads.
func apart(t *testing.T, seed uint64, tune func(*Host, *node.Config)) *Cluster {
	t.Helper()
	cfg := DefaultConfig(seed)
	cfg.Tune = tune
	c := startCluster(t, cfg)
	b := connect(t, c, "writer").Bucket(client.DefaultBucket)
	for i := range 100 {
		_, err := b.Put(limit(t), key(i), valueOf(i))
		must(t, err)
	}
	gone := c.Hosts[seed%3]
	c.Net.Partition([]string{gone.Addr}, []string{
		c.Hosts[(seed+1)%3].Addr, c.Hosts[(seed+2)%3].Addr, "writer",
	})
	stored := 0
	for i := range 200 {
		if _, err := b.Put(limit(t), key(i), valueOf(i+1000)); err == nil {
			stored++
		}
	}
	if stored < 150 {
		t.Errorf("only %d writes were acknowledged meanwhile", stored)
	}
	time.Sleep(10 * time.Minute) // connections have been given up, with what was under way on them
	c.Net.Heal()
	return c
}

// TestAHostThatWasCutOffHasEverythingWithoutAnyRead: what it missed comes to it, and to
// the others what they missed, by comparing.
func TestAHostThatWasCutOffHasEverythingWithoutAnyRead(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			c := apart(t, seed, nil)
			time.Sleep(5 * time.Minute)
			demandEqual(t, c)
		})
	}
}

// TestDamagedRecordsAreMendedFromTheOthers: after the scrub, or an exchange, has met them.
func TestDamagedRecordsAreMendedFromTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig(3)
		cfg.Tune = func(_ *Host, n *node.Config) { n.Exchange.Scrub = time.Hour }
		c, b := filledWith(t, cfg)
		h := c.Hosts[0]
		h.LosePower()
		for i := range uint64(30) {
			h.Disk.FlipBit(Data, source(i, "flip"))
		}
		must(t, c.Start(limit(t)))
		time.Sleep(3 * time.Hour)
		demandEqual(t, c)
		demandFilled(t, b, client.WithR(client.All))
	})
}

// TestHostsThatCrashWhileTheyExchangeBecomeEqual: whatever an exchange has done by then.
func TestHostsThatCrashWhileTheyExchangeBecomeEqual(t *testing.T) {
	for seed := range several(4) {
		synctest.Test(t, func(t *testing.T) {
			c := apart(t, seed, func(_ *Host, n *node.Config) { n.Exchange.Period = 10 * time.Second })
			rng := rand.New(rand.NewPCG(seed, 77))
			for range 6 {
				time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
				h := c.Hosts[rng.IntN(len(c.Hosts))]
				if rng.IntN(2) == 0 {
					h.LosePower()
				} else {
					must(t, h.Kill())
				}
				time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
				must(t, c.Start(limit(t)))
			}
			time.Sleep(5 * time.Minute)
			demandEqual(t, c)
		})
	}
}
