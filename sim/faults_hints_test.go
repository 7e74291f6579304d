// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/node"
)

// fiveHosts is a cluster in which two hosts own nothing of a key.
func fiveHosts(seed uint64, tune func(*node.Config)) Config {
	cfg := DefaultConfig(seed)
	cfg.Nodes = 5
	cfg.Tune = func(_ *Host, n *node.Config) { tune(n) }
	return cfg
}

// withoutExchange leaves everything to hints.
func withoutExchange(n *node.Config) { n.Exchange.Period = 24 * time.Hour }

// putAll writes keys from a number on, each as its own value.
func putAll(t *testing.T, b *client.Bucket, from, to int, opts ...client.Option) {
	t.Helper()
	for i := from; i < to; i++ {
		_, err := b.Put(limit(t), key(i), valueOf(i), opts...)
		must(t, err)
	}
}

// demandAll reads keys from all of their owners.
func demandAll(t *testing.T, b *client.Bucket, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		found, err := b.Get(limit(t), key(i), client.WithR(client.All))
		must(t, err)
		if v, err := found.Value(); err != nil || !bytes.Equal(v, valueOf(i)) {
			t.Errorf("%s is %q, %v", key(i), v, err)
		}
	}
}

// TestAHostThatWasDownHasAllThatWasWrittenMeanwhile, by hints alone, also those of a fallback
// that was killed with them, twice, before it could deliver any.
func TestAHostThatWasDownHasAllThatWasWrittenMeanwhile(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			c := startCluster(t, fiveHosts(seed, withoutExchange))
			b := connect(t, c, "writer").Bucket(client.DefaultBucket)
			putAll(t, b, 0, 30)
			down, keeps := c.Hosts[seed], c.Hosts[(seed+2)%5]
			must(t, down.Kill())
			time.Sleep(10 * time.Second)
			putAll(t, b, 30, 100)
			before, err := keeps.Audit(limit(t))
			must(t, err)
			if before.Hints[down.ID] == 0 {
				t.Errorf("%s keeps nothing for %s", keeps.Name, down.Name)
			}
			keeps.LosePower()
			must(t, keeps.Start(limit(t)))
			must(t, keeps.Kill())
			must(t, down.Start(limit(t)))
			time.Sleep(10 * time.Second)
			must(t, c.Start(limit(t)))
			demandWhole(t, c)
			demandAll(t, b, 0, 100)
		})
	}
}

// TestHintsThatAreTooManyAreRefusedAndNothingIsLost: nodes keep a few and no more; the rest
// comes by comparing.
func TestHintsThatAreTooManyAreRefusedAndNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const room = 2 << 10
		c := startCluster(t, fiveHosts(1, func(n *node.Config) { n.HintBytes = room }))
		cl := connect(t, c, "writer")
		b := cl.Bucket(client.DefaultBucket)
		down := c.Hosts[1]
		must(t, down.Kill())
		time.Sleep(10 * time.Second)
		putAll(t, b, 0, 200, client.WithW(2))
		status, err := cl.HintsStatus(limit(t))
		must(t, err)
		refused, kept := uint64(0), 0
		for _, n := range status.Nodes {
			refused += n.Refused
			if n.Bytes > room {
				t.Errorf("%s keeps %d bytes", n.Node, n.Bytes)
			}
			for _, to := range n.Backlog {
				kept += int(to.Hints)
			}
		}
		if refused == 0 || kept == 0 {
			t.Errorf("%d hints were refused, %d kept", refused, kept)
		}
		must(t, c.Start(limit(t)))
		demandWhole(t, c)
		demandAll(t, b, 0, 200)
	})
}

// TestABucketThatIsDeletedWhileAHostIsDown: nothing of it is left on any host, hints of others
// included, and nothing comes back in a bucket of its name.
func TestABucketThatIsDeletedWhileAHostIsDown(t *testing.T) {
	for seed := range uint64(2) {
		synctest.Test(t, func(t *testing.T) {
			c := startCluster(t, groupedConfig(seed, 5))
			cl := connect(t, c, "writer")
			_, err := cl.CreateBucket(limit(t), client.BucketSpec{Name: "b"})
			must(t, err)
			b := cl.Bucket("b")
			putAll(t, b, 0, 40)
			down := c.Hosts[4-seed]
			must(t, down.Kill())
			time.Sleep(5 * time.Second)
			putAll(t, b, 20, 60, client.WithW(2)) // some of it are hints
			must(t, cl.DeleteBucket(limit(t), "b"))
			time.Sleep(time.Minute)
			must(t, c.Start(limit(t)))
			if seed == 1 {
				_, err = cl.CreateBucket(limit(t), client.BucketSpec{Name: "b"})
				must(t, err)
			}
			time.Sleep(2 * time.Minute)
			demandWhole(t, c)
			demandNothing(t, c)
			if seed == 1 {
				for i := range 60 {
					found, err := b.Get(limit(t), key(i), client.WithR(client.All))
					must(t, err)
					if found.Found {
						t.Errorf("%s is in the new bucket", key(i))
					}
				}
				putAll(t, b, 0, 10, client.WithW(client.All))
			}
		})
	}
}

// TestConstantLoadWithoutFaultsRepairsNothing: of 10,000 writes, many of the same keys, at most
// one is repaired by anybody, though replicas are compared all the time.
func TestConstantLoadWithoutFaultsRepairsNothing(t *testing.T) {
	const writers, most = 8, 1
	each := 1250
	if testing.Short() {
		each /= 10
	}
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, fiveHosts(1, func(n *node.Config) { n.Exchange.Period = 2 * time.Second }))
		var all sync.WaitGroup
		for w := range writers {
			b := connect(t, c, fmt.Sprint("writer ", w)).Bucket(client.DefaultBucket)
			rng := source(uint64(w), "keys")
			all.Go(func() {
				last := make(map[int]client.Context)
				for i := range each {
					n := 100*w + rng.IntN(40)
					done, err := b.Put(t.Context(), key(n), valueOf(i), client.WithContext(last[n]))
					if err != nil {
						t.Errorf("%s: %v", key(n), err)
						return
					}
					last[n] = done.Context
				}
			})
		}
		all.Wait()
		time.Sleep(10 * time.Second)
		compared, repaired := uint64(0), uint64(0)
		cl := connect(t, c, "reader")
		for _, h := range c.Hosts {
			s, err := cl.RepairStatus(limit(t), through(h))
			must(t, err)
			compared, repaired = compared+s.Compared, repaired+s.Repaired
		}
		if repaired > most || compared < 100 {
			t.Errorf("%d comparisons repaired %d keys", compared, repaired)
		}
		demandWhole(t, c)
	})
}
