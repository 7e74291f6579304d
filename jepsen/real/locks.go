// SPDX-License-Identifier: Apache-2.0

package real

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/jepsen/clients"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

const (
	lockNodes   = 3
	lockClients = 5
	lockHolders = 2
	// closing is how long a client may take to close its session at the end.
	closing = 20 * time.Second
	// maxOps bounds a history: an hour of it.
	maxOps = 2 << 20
	// endless is more steps than there is time for.
	endless = 1 << 30
)

// LocksConfig says how locks are put to the test.
type LocksConfig struct {
	// Binary is the dyno program, Dir an empty folder for the nodes.
	Binary, Dir string
	Seed        uint64
	// Duration is how long faults come.
	Duration time.Duration
}

// lockRun is one run.
type lockRun struct {
	cfg     LocksConfig
	cluster *Cluster
	record  *history.Recorder
	began   time.Time
}

// Locks has five clients with two holders each fight over locks while nodes are killed,
// leaders above all, paused, and all ended at once, and returns what they saw.
func Locks(ctx context.Context, cfg LocksConfig) (h *history.History, err error) {
	record, err := history.NewRecorder(
		history.Header{N: lockNodes, Mode: "real", Seed: cfg.Seed}, maxOps)
	if err != nil {
		return nil, err
	}
	c, err := Start(ctx, cfg.Binary, cfg.Dir, lockNodes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	r := &lockRun{cfg: cfg, cluster: c, record: record, began: time.Now()}
	load := workload.DrawLocks(r.source(0), 0)
	names := workload.NewLockNames("lock ", load)
	working, stop := context.WithTimeout(ctx, cfg.Duration)
	defer stop()
	errs := make([]error, lockClients)
	var all sync.WaitGroup
	for i := range lockClients {
		all.Go(func() { errs[i] = r.client(working, i, load, names) })
	}
	failed := r.faults(working)
	stop() // also where the faults failed
	all.Wait()
	if err := errors.Join(failed, errors.Join(errs...), ctx.Err()); err != nil {
		return nil, err
	}
	return record.History(), nil
}

func (r *lockRun) now() int64 { return int64(time.Since(r.began)) }

func (r *lockRun) source(of uint64) *rand.Rand { return rand.New(rand.NewPCG(r.cfg.Seed, of)) }

// client runs one client, and closes its session at the end.
func (r *lockRun) client(
	ctx context.Context, i int, load workload.Locks, names *workload.LockNames,
) error {
	service := clients.NewLocks(r.cluster.Client, r.now)
	defer service.Stop()
	c := workload.NewLockClient(service, i, load, names, r.record, r.now)
	owner := c.Owner(i * lockHolders)
	errs := make([]error, lockHolders)
	var holders sync.WaitGroup
	for n := range lockHolders {
		h := owner
		if n > 0 {
			h = c.Holder(i*lockHolders + n)
		}
		holders.Go(func() {
			errs[n] = workload.RunLocks(ctx, h, load, r.source(uint64(1+i*lockHolders+n)), endless)
		})
	}
	holders.Wait()
	end, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	return errors.Join(errors.Join(errs...), owner.Close(end))
}

// faults come one after the other until ctx ends; the last one is healed.
func (r *lockRun) faults(ctx context.Context) error {
	rng := r.source(1 << 32)
	for rest(ctx, drawTime(rng, time.Second, 4*time.Second)) {
		at := rng.IntN(r.cluster.Nodes())
		if leader := r.cluster.Leader(ctx); leader >= 0 && rng.IntN(2) == 0 {
			at = leader
		}
		if err := r.fault(ctx, rng, at); err != nil {
			return err
		}
	}
	return nil
}

func (r *lockRun) fault(ctx context.Context, rng *rand.Rand, at int) error {
	const kills, pauses, all = 4, 4, 1
	e := history.Event{From: r.now(), Nodes: []string{r.cluster.Name(at)}}
	var err error
	switch n := rng.IntN(kills + pauses + all); {
	case n < kills:
		e.Name = "kill"
		err = r.cluster.Kill(at)
		rest(ctx, drawTime(rng, 0, 3*time.Second))
		err = errors.Join(err, r.cluster.Restart(at))
	case n < kills+pauses:
		e.Name = "pause"
		err = r.cluster.Pause(at)
		rest(ctx, drawTime(rng, 0, 6*time.Second))
		err = errors.Join(err, r.cluster.Resume(at))
	default:
		e.Name, e.Nodes = "kill all", nil
		for i := range r.cluster.Nodes() {
			e.Nodes = append(e.Nodes, r.cluster.Name(i))
			err = errors.Join(err, r.cluster.Kill(i))
		}
		for i := range r.cluster.Nodes() {
			err = errors.Join(err, r.cluster.Restart(i))
		}
	}
	e.Until = r.now()
	if err != nil {
		return fmt.Errorf("real: fault %s: %w", e.Name, err)
	}
	return r.record.Event(&e)
}

func drawTime(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)))
}

// rest reports whether the time passed before ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
