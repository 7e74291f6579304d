// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/storage"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// startCluster starts a cluster whose links take a millisecond and whose syncs take two,
// so that ends find commits half done. It ends with the test.
func startCluster(t *testing.T, cfg Config) *Cluster {
	t.Helper()
	cfg.Log = zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
	c, err := New(cfg)
	must(t, err)
	t.Cleanup(c.Close)
	c.Net.SetDefaults(memnet.Faults{Delay: time.Millisecond, Jitter: time.Millisecond})
	for _, h := range c.Hosts {
		h.Disk.SetSyncTime(2 * time.Millisecond)
	}
	must(t, c.Start(limit(t)))
	return c
}

// limit ends after a minute of the bubble's time.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func connect(t *testing.T, c *Cluster, name string) *client.Client {
	t.Helper()
	cl, err := c.Client(name, nil)
	must(t, err)
	t.Cleanup(cl.Close)
	return cl
}

// elements is what the writers of a test were told is stored: sets, one for each key. A
// value holds elements, joined; a writer that has read replaces what it read.
type elements struct {
	mu    sync.Mutex
	acked map[string][]string
	count int
	tried int
}

const keys = 20

// add adds an element to a random set: blindly, so that it becomes a sibling, or in the
// place of what it has read.
func (e *elements) add(cl *client.Client, rng *rand.Rand, element string) {
	key := fmt.Sprintf("set %d", rng.IntN(keys))
	b, ctx := cl.Bucket("default"), context.Background()
	value, opts := element, []client.Option{client.WithW(client.Quorum)}
	var err error
	if rng.IntN(2) == 0 {
		var found client.Result
		found, err = b.Get(ctx, []byte(key), client.WithR(client.Quorum))
		value = strings.Join(append(members(found), element), " ")
		opts = append(opts, client.WithContext(found.Context))
	}
	if err == nil {
		_, err = b.Put(ctx, []byte(key), []byte(value), opts...)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tried++
	if err == nil {
		e.acked[key] = append(e.acked[key], element)
		e.count++
	}
}

func members(r client.Result) []string {
	var out []string
	for _, s := range r.Siblings {
		out = append(out, strings.Fields(string(s.Value))...)
	}
	return out
}

// write makes n additions from each of four clients, and returns what waits for them.
func (e *elements) write(t *testing.T, c *Cluster, n int) (wait func()) {
	var writers sync.WaitGroup
	for w := range 4 {
		name := fmt.Sprintf("writer %d", w)
		cl, rng := connect(t, c, name), source(c.cfg.Seed, name+" of the test")
		writers.Go(func() {
			for i := range n {
				e.add(cl, rng, fmt.Sprintf("%d/%d", w, i))
				time.Sleep(time.Duration(rng.IntN(10)) * time.Millisecond)
			}
		})
	}
	return writers.Wait
}

// demand reads every set from all replicas, twice, since the first read repairs; what the
// second finds must hold every element that was acknowledged.
func (e *elements) demand(t *testing.T, c *Cluster) {
	t.Helper()
	b, ctx := connect(t, c, "reader").Bucket("default"), limit(t)
	for _, key := range slices.Sorted(maps.Keys(e.acked)) {
		acked := e.acked[key]
		for round := range 2 {
			found, err := b.Get(ctx, []byte(key), client.WithR(client.All))
			if err != nil {
				t.Fatalf("round %d: read %s: %v", round, key, err)
			}
			have := make(map[string]bool)
			for _, m := range members(found) {
				have[m] = true
			}
			for _, m := range acked {
				if !have[m] {
					t.Errorf("seed %d, round %d: %s lost %s, which was acknowledged",
						c.cfg.Seed, round, key, m)
				}
			}
		}
	}
}

// chaos runs clients while disturb does its work, and then demands what they wrote.
func chaos(t *testing.T, seed uint64, disturb func(c *Cluster, rng *rand.Rand)) *Cluster {
	t.Helper()
	return chaosWith(t, DefaultConfig(seed), disturb)
}

func chaosWith(t *testing.T, cfg Config, disturb func(c *Cluster, rng *rand.Rand)) *Cluster {
	t.Helper()
	seed := cfg.Seed
	c := startCluster(t, cfg)
	e := &elements{acked: make(map[string][]string)}
	wait := e.write(t, c, 50)
	disturb(c, source(seed, "chaos"))
	wait()
	if e.count < e.tried*8/10 {
		t.Errorf("seed %d: only %d of %d writes were acknowledged", seed, e.count, e.tried)
	}
	must(t, c.Start(limit(t)))
	e.demand(t, c)
	return c
}

// draws is a short time that rng draws, odd so that it meets work half done.
func draws(rng *rand.Rand) time.Duration {
	return 50*time.Millisecond + time.Duration(rng.IntN(200_000))*time.Microsecond
}

func TestAHostThatLosesPowerLosesNoAcknowledgedWrite(t *testing.T) {
	lost := int64(0)
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			c := chaos(t, seed, func(c *Cluster, rng *rand.Rand) {
				time.Sleep(draws(rng))
				h := c.Hosts[rng.IntN(len(c.Hosts))]
				h.LosePower()
				time.Sleep(draws(rng))
				must(t, h.Start(limit(t)))
			})
			for _, h := range c.Hosts {
				lost += h.Disk.Stats().LostBytes
			}
		})
	}
	if lost == 0 {
		t.Error("no loss of power met an unsynced commit")
	}
}

func TestKillsAndPausesLoseNoAcknowledgedWrite(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			chaos(t, seed, func(c *Cluster, rng *rand.Rand) {
				time.Sleep(draws(rng))
				h := c.Hosts[rng.IntN(len(c.Hosts))]
				must(t, h.Kill())
				time.Sleep(draws(rng))
				must(t, h.Start(limit(t)))
				must(t, c.AwaitReady(limit(t)))
				h = c.Hosts[rng.IntN(len(c.Hosts))]
				must(t, h.Pause())
				time.Sleep(10 * draws(rng))
				must(t, h.Resume())
			})
		})
	}
}

func TestAFailedSyncEndsTheProcess(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			c := chaos(t, seed, func(c *Cluster, rng *rand.Rand) {
				time.Sleep(draws(rng))
				h := c.Hosts[rng.IntN(len(c.Hosts))]
				h.Disk.Fail(Data, OpSync, 1+rng.IntN(10))
				time.Sleep(5 * time.Second)
				if err, ended := h.Ended(); !ended || !errors.Is(err, storage.ErrFailed) {
					t.Errorf("the process has ended: %t, %v", ended, err)
				}
				h.LosePower()
			})
			if c.Hosts[0].Disk.Stats().Syncs+c.Hosts[1].Disk.Stats().Syncs+
				c.Hosts[2].Disk.Stats().Syncs != 1 {
				t.Error("no sync has failed")
			}
		})
	}
}

// TestAPausedHostIsSilent: nothing comes from it, and it goes on as if nothing had been.
func TestAPausedHostIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, DefaultConfig(1))
		h := c.Hosts[1]
		b := connect(t, c, "c").Bucket("default")
		put := func() error {
			_, err := b.Put(limit(t), []byte("k"), []byte("v"),
				client.WithEndpoint(h.Member.Client), client.WithTimeout(time.Second))
			return err
		}
		must(t, put())
		must(t, h.Pause())
		if err := put(); !errors.Is(err, client.ErrTimeout) {
			t.Errorf("a put to a paused host: %v", err)
		}
		must(t, h.Resume())
		must(t, put())
		must(t, h.Pause())
		must(t, h.Stop()) // and Close must not wait for a gate
	})
}
