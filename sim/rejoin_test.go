// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/node"
)

// TestEveryHostLosesItsDirectoryInTurn, each after the one before was filled: everything that
// was ever acknowledged is there, though no host has what it had, and all have their seats in
// the group, and what that knows.
func TestEveryHostLosesItsDirectoryInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, groupedConfig(1, 3))
		b := connect(t, c, "writer").Bucket(client.DefaultBucket)
		session, err := connect(t, c, "x").NewSession(limit(t), client.WithTTL(time.Hour))
		must(t, err)
		held, err := session.Mutex("k").Lock(limit(t))
		must(t, err)
		for turn, h := range c.Hosts {
			for i := range 20 {
				n := 20*turn + i
				_, err := b.Put(limit(t), key(n), valueOf(n), client.WithW(client.Quorum))
				must(t, err)
			}
			h.LosePower()
			must(t, h.Disk.Wipe())
			h.SetRejoin(true)
			must(t, h.Start(limit(t)))
			awaitFull(t, h)
			must(t, c.AwaitReady(limit(t)))
			awaitSeats(t, c)
		}
		demandWhole(t, c)
		for n := range 60 {
			found, err := b.Get(limit(t), key(n), client.WithR(client.All))
			must(t, err)
			if v, err := found.Value(); err != nil || string(v) != string(valueOf(n)) {
				t.Errorf("%s is %q, %v", key(n), v, err)
			}
		}
		info, err := connect(t, c, "reader").Lock(limit(t), "k")
		must(t, err)
		if len(info.Holders) != 1 || uint64(info.Holders[0].Fence) != held.Fence() {
			t.Errorf("fence %d was granted, and %+v has the lock", held.Fence(), info.Holders)
		}
	})
}

// awaitSeats waits until each host takes itself for a voter: one that is full has a seat under
// a new raft id only a moment later, and until then the group can not do without the others.
func awaitSeats(t *testing.T, c *Cluster) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if !slices.ContainsFunc(c.Hosts, func(h *Host) bool {
			return h.Group().Status().Role != meta.RoleVoter
		}) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("not all hosts vote")
		}
	}
}

// losses lets workloads run while a host loses its directory, to nothing or an older copy, and
// is filled again. It returns how many reads met a majority of owners between the loss and
// the end of the refill.
func losses(t *testing.T, seed uint64) (*history.History, int) {
	t.Helper()
	cfg := groupedConfig(seed, []int{3, 5}[seed%2])
	record, err := history.NewRecorder(history.Header{
		N: cfg.Replicas, Seed: seed, Mode: "sim", Sloppy: cfg.Nodes > cfg.Replicas,
	}, 1<<16)
	must(t, err)
	r := &trial{Cluster: startCluster(t, cfg), began: time.Now(), record: record}
	for _, kind := range []string{"register", "deletes", "set", "session"} {
		// Nobody promises to keep what one node has, which loses its disk.
		load, err := workload.Draw(source(seed, kind), kind, kind+" ",
			workload.Options{N: 3, Nodes: cfg.Nodes, MinW: 2})
		must(t, err)
		r.loads = append(r.loads, load)
	}
	h := r.Hosts[seed%uint64(len(r.Hosts))]
	copied := h.Disk.Copy()
	r.run(t, 20)()
	for range 2 { // openings that the group has confirmed
		must(t, h.Kill())
		must(t, h.Start(limit(t)))
		must(t, r.AwaitReady(limit(t)))
	}
	from, wait := r.now(), r.run(t, 150)
	h.LosePower()
	if seed%4 < 2 {
		must(t, h.Disk.Wipe())
	} else {
		must(t, h.Disk.Restore(copied))
	}
	h.SetRejoin(true)
	must(t, h.Start(limit(t)))
	awaitFull(t, h)
	until := r.now()
	wait()
	r.note(t, from, "refill", h.Name, true) // what needs all owners is refused meanwhile
	must(t, r.AwaitReady(limit(t)))
	time.Sleep(drained)
	r.finish(t, 1)
	demandWhole(t, r.Cluster)
	met := 0
	for _, op := range record.History().Ops {
		level := max(op.R, op.PR)
		if cfg.Nodes > cfg.Replicas {
			level = op.PR
		}
		if op.Kind == history.Get && op.Outcome == history.OK && level >= 2 &&
			op.Invoked >= from && op.Completed <= until {
			met++
		}
	}
	return record.History(), met
}

// TestNoReadIsWrongDuringARefill: histories over losses and refills are valid, in which strict
// reads were answered meanwhile.
func TestNoReadIsWrongDuringARefill(t *testing.T) {
	seeds, met := uint64(8), 0
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			h, n := losses(t, seed)
			if report := judge(t, h); report.Verdict != checker.Valid {
				t.Errorf("seed %d: %s%v", seed, report, h.Events)
			}
			met += n
		})
	}
	if met < 20*int(seeds) {
		t.Errorf("%d reads met a majority of owners during refills", met)
	}
}

// TestTrapG5AnOldCopyBringsNothingBackAcrossAPurge: a host has its directory of before the
// deletes and the purge again. The group sees that by its openings where there were some
// since; then an operator's word fills the host. Else the host itself sees that it knows of no
// round, and shows nothing: its disk has to be taken away.
func TestTrapG5AnOldCopyBringsNothingBackAcrossAPurge(t *testing.T) {
	for seed := range uint64(2) {
		synctest.Test(t, func(t *testing.T) {
			cfg := groupedConfig(seed, 3)
			cfg.Tune = func(_ *Host, n *node.Config) { n.PurgeGrace = 0 }
			c := startCluster(t, cfg)
			b := connect(t, c, "writer").Bucket(client.DefaultBucket)
			for i := range 40 {
				_, err := b.Put(limit(t), key(i), valueOf(i), client.WithW(client.All))
				must(t, err)
			}
			h, seen := c.Hosts[seed%3], seed == 0
			copied := h.Disk.Copy()
			for range 2 * (1 - seed) {
				must(t, h.Kill())
				must(t, h.Start(limit(t)))
				must(t, c.AwaitReady(limit(t)))
			}
			for i := range 40 {
				_, err := b.Delete(limit(t), key(i), client.WithW(client.All))
				must(t, err)
			}
			time.Sleep(3 * time.Minute)
			demandNothing(t, c)
			h.LosePower()
			must(t, h.Disk.Restore(copied))
			h.SetRejoin(seen)
			must(t, h.Start(limit(t)))
			if seen {
				awaitFull(t, h)
			}
			time.Sleep(2 * time.Minute)
			nothingIsBack(t, c, b)
			if !seen {
				h.LosePower()
				must(t, h.Disk.Wipe())
				h.SetRejoin(true)
				must(t, h.Start(limit(t)))
				awaitFull(t, h)
			}
			must(t, c.AwaitReady(limit(t)))
			nothingIsBack(t, c, b)
			demandNothing(t, c)
			_, err := b.Put(limit(t), key(0), valueOf(7), client.WithW(client.All))
			must(t, err)
		})
	}
}

// nothingIsBack demands that no read through any host shows any key.
func nothingIsBack(t *testing.T, c *Cluster, b *client.Bucket) {
	t.Helper()
	for _, h := range c.Hosts {
		for _, level := range []client.Level{client.One, client.Quorum} {
			for i := range 40 {
				found, err := b.Get(limit(t), key(i), through(h), client.WithR(level))
				if err == nil && found.Found {
					t.Fatalf("%s is back, read at %s by level %v", key(i), h.Name, level)
				}
			}
		}
	}
}
