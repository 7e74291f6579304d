// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/clients"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

// TestHistoriesOfLocksUnderFaultsAreValid: clients with two holders each fight over locks
// while leaders lose their power, are paused and killed; and each history must turn red
// where a corruptor spoils it.
func TestHistoriesOfLocksUnderFaultsAreValid(t *testing.T) {
	seeds, spoiled := uint64(4), make(map[string]int)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			h := locksUnderFaults(t, seed)
			cfg := checker.DefaultConfig()
			cfg.KeepSessions = keepsSessions(seed)
			report, err := checker.Check(h, cfg)
			must(t, err)
			locks := report.Result("locks")
			if report.Verdict != checker.Valid || locks == nil || locks.Stat("grants") < 100 {
				t.Fatalf("seed %d: %s%v", seed, report, h.Events)
			}
			for _, c := range checker.LockCorruptors() {
				bad, done := c.Corrupt(source(seed, c.Name), h)
				if !done {
					continue
				}
				spoiled[c.Name]++
				report, err := checker.Check(bad, checker.DefaultConfig())
				must(t, err)
				if report.Verdict != checker.Invalid {
					t.Errorf("seed %d: valid although %s: %s", seed, c.Name, c.What)
				}
			}
		})
	}
	for _, c := range checker.LockCorruptors() {
		if spoiled[c.Name] == 0 {
			t.Errorf("%s had a place in no history", c.Name)
		}
	}
}

// keepsSessions reports whether sessions of the seed live for longer than twice the longest
// pause: then none may be lost. In the other seeds some are.
func keepsSessions(seed uint64) bool { return seed%2 == 0 }

// longestPause bounds the faults, which come one after the other.
const longestPause = 6 * time.Second

func locksUnderFaults(t *testing.T, seed uint64) *history.History {
	t.Helper()
	c := startCluster(t, groupedConfig(seed, 3))
	record, err := history.NewRecorder(history.Header{N: 3, Mode: "sim", Seed: seed}, 1<<16)
	must(t, err)
	began := time.Now()
	now := func() int64 { return int64(time.Since(began)) }
	load := workload.DrawLocks(source(seed, "locks"), 0)
	load.MaxHold, load.MaxPause = 200*time.Millisecond, 200*time.Millisecond
	load.MaxWait = 3 * time.Second
	if load.TTL = 5 * time.Second; keepsSessions(seed) {
		load.TTL = 15 * time.Second
	}
	load.Close, load.Leave, load.Cancel = 0.05, 0.03, 0.1
	names := workload.NewLockNames("lock ", load)
	ctx, stop := context.WithTimeout(context.Background(), 40*time.Second)
	defer stop()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() { lockClient(t, ctx, c, i, load, names, record, now, seed) })
	}
	faultsOfLeaders(t, ctx, c, record, now, seed)
	all.Wait()
	return record.History()
}

// lockClient runs one client with two holders, and closes its session at the end.
func lockClient(
	t *testing.T, ctx context.Context, c *Cluster, i int, load workload.Locks,
	names *workload.LockNames, record *history.Recorder, now func() int64, seed uint64,
) {
	const steps = 1 << 20 // the time ends first
	made := 0
	service := clients.NewLocks(func() (*client.Client, error) {
		made++
		return c.Client(fmt.Sprintf("client %d.%d", i, made), nil)
	}, now)
	defer service.Stop()
	cl := workload.NewLockClient(service, i, load, names, record, now)
	owner, other := cl.Owner(2*i), cl.Holder(2*i+1)
	var both sync.WaitGroup
	for n, h := range []*workload.LockHolder{owner, other} {
		both.Go(func() {
			rng := source(seed, fmt.Sprintf("holder %d of %d", n, i))
			if err := workload.RunLocks(ctx, h, load, rng, steps); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := owner.Close(end); err != nil {
		t.Error(err)
	}
}

// faultsOfLeaders ends, or pauses, whoever leads, again and again, until ctx ends.
func faultsOfLeaders(
	t *testing.T, ctx context.Context, c *Cluster, record *history.Recorder, now func() int64,
	seed uint64,
) {
	t.Helper()
	rng := source(seed, "faults")
	for ctx.Err() == nil {
		time.Sleep(time.Duration(2+rng.IntN(5)) * time.Second)
		leader := c.Leader()
		if leader == nil {
			continue
		}
		e := history.Event{From: now(), Nodes: []string{leader.Name}}
		away := time.Duration(1 + rng.Int64N(int64(longestPause)))
		switch rng.IntN(3) {
		case 0:
			e.Name = "pause"
			must(t, leader.Pause())
			time.Sleep(away)
			must(t, leader.Resume())
		case 1:
			e.Name = "kill"
			must(t, leader.Kill())
			time.Sleep(away)
			must(t, leader.Start(limit(t)))
		default:
			e.Name = "power loss"
			leader.LosePower()
			time.Sleep(away)
			must(t, leader.Start(limit(t)))
		}
		e.Until = now()
		must(t, record.Event(&e))
	}
}
