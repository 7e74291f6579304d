// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/node"
)

// purging is a cluster whose nodes purge tombstones as soon as they may.
func purging(seed uint64, nodes int, tune func(*Host, *node.Config)) Config {
	cfg := groupedConfig(seed, nodes)
	cfg.Tune = func(h *Host, n *node.Config) {
		n.PurgeGrace = 0
		if tune != nil {
			tune(h, n)
		}
	}
	return cfg
}

func deleteAll(t *testing.T, b *client.Bucket, from, to int, opts ...client.Option) {
	t.Helper()
	for i := from; i < to; i++ {
		_, err := b.Delete(limit(t), key(i), opts...)
		must(t, err)
	}
}

// held is how many keys a host holds.
func held(t *testing.T, h *Host) int {
	t.Helper()
	a, err := h.Audit(limit(t))
	must(t, err)
	return len(a.Objects)
}

// TestAPurgeWaitsForAHintThatIsOutstanding: a fallback keeps a hint of a value, is killed with
// it, and the value is deleted at all of its owners. As long as the fallback is away nothing
// is purged, and what it brings later is below the tombstone.
func TestAPurgeWaitsForAHintThatIsOutstanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, purging(1, 5, func(_ *Host, n *node.Config) { withoutExchange(n) }))
		b := connect(t, c, "writer").Bucket(client.DefaultBucket)
		owner, keeper := c.Hosts[3], c.Hosts[4]
		must(t, owner.Kill())
		time.Sleep(5 * time.Second)
		putAll(t, b, 0, 60)
		a, err := keeper.Audit(limit(t))
		must(t, err)
		if a.Hints[owner.ID] == 0 {
			t.Fatalf("%s keeps no hint for %s", keeper.Name, owner.Name)
		}
		must(t, keeper.Kill())
		must(t, owner.Start(limit(t)))
		must(t, c.AwaitReady(limit(t)))
		deleteAll(t, b, 0, 60)
		before := held(t, c.Hosts[0])
		time.Sleep(3 * time.Minute)
		if now := held(t, c.Hosts[0]); now < before || before == 0 {
			t.Errorf("of %d tombstones %d are left while a hint is outstanding", before, now)
		}
		must(t, c.Start(limit(t)))
		time.Sleep(3 * time.Minute)
		nothingIsBack(t, c, b)
		demandWhole(t, c)
		demandNothing(t, c)
	})
}

// TestRepairsThatArePausedOverADeleteAndAPurge: a host is cut off during the deletes, nobody
// keeps hints, and the repairs of all hosts stand still. The purge does not need them: it
// asks all owners, and tells who has not heard. When repairs go on there is nothing left
// that they could bring back.
func TestRepairsThatArePausedOverADeleteAndAPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, purging(1, 3, func(_ *Host, n *node.Config) { n.HintBytes = 1 }))
		cl := connect(t, c, "writer")
		b := cl.Bucket(client.DefaultBucket)
		putAll(t, b, 0, 40, client.WithW(client.All))
		for _, h := range c.Hosts {
			must(t, cl.RepairPause(limit(t), time.Hour, through(h)))
		}
		gone, others := c.Hosts[2], c.Hosts[:2]
		c.Net.Partition([]string{gone.Addr}, []string{others[0].Addr, others[1].Addr, "writer"})
		deleteAll(t, b, 0, 40)
		time.Sleep(time.Minute) // what was on its way has been given up
		c.Net.Heal()
		time.Sleep(3 * time.Minute)
		demandNothing(t, c)
		nothingIsBack(t, c, b)
		for _, h := range c.Hosts {
			must(t, cl.RepairResume(limit(t), through(h)))
		}
		time.Sleep(3 * time.Minute)
		demandWhole(t, c)
		demandNothing(t, c)
		nothingIsBack(t, c, b)
	})
}

// TestAPutWhoseCoordinatorSleptPastAPurge: what it was about to send is held in it while its
// value is read where it is already, deleted, and the purge had all the time there is.
// When it goes on the value stays deleted.
func TestAPutWhoseCoordinatorSleptPastAPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		points := make(map[*Host]*fail.Set)
		c := startCluster(t, purging(1, 3, func(h *Host, n *node.Config) {
			points[h] = fail.NewSet()
			n.Points, n.HintBytes = points[h], 1
		}))
		b := connect(t, c, "writer").Bucket(client.DefaultBucket)
		sleeper, goOn := c.Hosts[0], make(chan struct{})
		points[sleeper].Arm(pointNamed(t, "coordinator/before-send"), fail.Plan{
			Times: 2, Hook: func() error { <-goOn; return nil },
		})
		ended := make(chan error, 1)
		go func() {
			_, err := b.Put(t.Context(), key(0), valueOf(0), through(sleeper),
				client.WithTimeout(20*time.Second))
			ended <- err
		}()
		time.Sleep(2 * time.Second)
		found, err := b.Get(limit(t), key(0), through(sleeper), client.WithR(client.One))
		must(t, err)
		if !found.Found {
			t.Fatal("the coordinator does not have the value itself")
		}
		_, err = b.Delete(limit(t), key(0), through(c.Hosts[1]), client.WithContext(found.Context),
			client.WithW(client.All))
		must(t, err)
		time.Sleep(3 * time.Minute)
		close(goOn)
		<-ended
		time.Sleep(3 * time.Minute)
		nothingIsBack(t, c, b)
		demandWhole(t, c)
		demandNothing(t, c)
	})
}

// TestClocksAnHourApart: one host's clock is an hour ahead, another's an hour behind, while a
// host is down, others keep hints for it, keys are overwritten and deleted through any
// host, and tombstones go. Whoever wrote over what it had read is right, whatever the
// stamps say; what lives longer than clocks are apart is there, and what was deleted is not.
func TestClocksAnHourApart(t *testing.T) {
	for seed := range several(2) {
		synctest.Test(t, func(t *testing.T) {
			c := startCluster(t, purging(seed, 5, nil))
			c.Hosts[seed].Clock.Step(time.Hour)
			c.Hosts[seed+1].Clock.Step(-time.Hour)
			b := connect(t, c, "writer").Bucket(client.DefaultBucket)
			at := func(i int) client.Option { return through(c.Hosts[i%4]) }
			for i := range 60 {
				_, err := b.Put(limit(t), key(i), []byte("old"), at(i+1), client.WithTTL(4*time.Hour))
				must(t, err)
			}
			down := c.Hosts[4]
			must(t, down.Kill())
			time.Sleep(5 * time.Second)
			for i := range 60 { // each third is overwritten, deleted, or left alone
				if i%3 == 2 {
					continue
				}
				found, err := b.Get(limit(t), key(i), at(i), client.WithR(client.Quorum))
				must(t, err)
				over := client.WithContext(found.Context)
				if i%3 == 0 {
					_, err = b.Put(limit(t), key(i), valueOf(i), at(i), over)
				} else {
					_, err = b.Delete(limit(t), key(i), at(i), over)
				}
				must(t, err)
			}
			must(t, c.Start(limit(t)))
			time.Sleep(3 * time.Minute)
			demandWhole(t, c)
			demandThirds(t, c, b, true)
			// Hours go by: all clocks say that what was left alone is over, and later that it
			// has been so for long. It goes by tombstones, and these as well.
			for range 2 {
				for _, h := range c.Hosts {
					h.Clock.Step(8 * time.Hour)
				}
				time.Sleep(3 * time.Minute)
				demandThirds(t, c, b, false)
			}
			demandWhole(t, c)
			total := 0
			for _, h := range c.Hosts {
				total += held(t, h)
			}
			if total != 20*c.cfg.Replicas {
				t.Errorf("the hosts hold %d copies, of 20 keys", total)
			}
		})
	}
}

// demandThirds reads what TestClocksAnHourApart wrote; alone says that what was left alone is
// still there.
func demandThirds(t *testing.T, c *Cluster, b *client.Bucket, alone bool) {
	t.Helper()
	for i := range 60 {
		for _, h := range c.Hosts {
			found, err := b.Get(limit(t), key(i), through(h), client.WithR(client.All))
			must(t, err)
			want := map[int]string{0: string(valueOf(i))}
			if alone {
				want[2] = "old"
			}
			v, _ := found.Value()
			if string(v) != want[i%3] || found.Found != (want[i%3] != "") {
				t.Errorf("%s is %q at %s, must be %q", key(i), v, h.Name, want[i%3])
			}
		}
	}
}
