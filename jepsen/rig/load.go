// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/clients"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/real"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

const (
	// shelves is how many sets of keys each workload has at a time, sharers how many
	// sessions use one of them. There are many more than are needed when all is well: one that
	// waits for a node which does not answer does nothing else meanwhile.
	shelves, sharers = 8, 8
	// lockClients fight over locks with lockHolders each.
	lockClients, lockHolders = 3, 2
	// closing is how long a client may take to close its session at the end.
	closing = 20 * time.Second
	endless = 1 << 30

	// Sources of chance, by what they are for.
	sourceOfLocks, sourceOfSessions, sourceOfFaults = 1 << 32, 2 << 32, 3 << 32
)

// load is what clients do.
type load struct {
	cfg     *Config
	cluster *real.Cluster
	record  *history.Recorder
	now     func() int64
	nodes   []string // their client addresses
	clients []*client.Client
	shelves []*shelf
	minW    uint8

	processes atomic.Int64 // numbers that are taken

	mu     sync.Mutex // guards extra, and failed
	extra  []*shelf   // of faults that are load
	failed error
	all    sync.WaitGroup
}

func newLoad(
	cfg *Config, c *real.Cluster, record *history.Recorder, now func() int64, minW uint8,
	dials []client.Dialer,
) (*load, error) {
	l := &load{
		cfg: cfg, cluster: c, record: record, now: now, minW: minW,
		nodes: c.Addresses(),
	}
	for _, dial := range dials {
		cl, err := c.ClientFrom(dial)
		if err != nil {
			l.close()
			return nil, err
		}
		l.clients = append(l.clients, cl)
	}
	kinds := slices.DeleteFunc(slices.Clone(cfg.workloads()), func(k string) bool {
		return k == LocksWorkload
	})
	if len(kinds) == 0 { // with locks alone nobody would see whether keys are served
		kinds = []string{"register"}
	}
	o := workload.Options{
		N: replicas, Nodes: cfg.Nodes, MinW: minW,
		Pause: pauseFor(len(kinds)*shelves*sharers, cfg.Rate),
	}
	for _, kind := range kinds {
		for n := range shelves {
			l.shelves = append(l.shelves, newShelf(cfg.Seed, kind, n, o))
		}
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.clients {
		c.Close()
	}
}

func (l *load) process() int { return int(l.processes.Add(1)) - 1 }

// begin does something until it ends by itself; wait waits for all of that.
func (l *load) begin(do func() error) {
	l.all.Go(func() {
		if err := do(); err != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.failed = errors.Join(l.failed, err)
		}
	})
}

func (l *load) wait() error {
	l.all.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// start has all clients work until ctx ends.
func (l *load) start(ctx context.Context) {
	for _, s := range l.shelves {
		for range sharers {
			l.session(ctx, s, 0)
		}
	}
	if slices.Contains(l.cfg.workloads(), LocksWorkload) {
		l.locks(ctx)
	}
}

func (l *load) source(of uint64) *rand.Rand { return rand.New(rand.NewPCG(l.cfg.Seed, of)) }

// session has one session more do steps of a shelf, until ctx ends. most bounds its pauses; 0:
// they are as they are drawn.
func (l *load) session(ctx context.Context, on *shelf, most time.Duration) {
	p := l.process()
	store := clients.NewStoreOf(l.clients[p%len(l.clients)], l.nodes)
	s, rng := workload.NewSession(store, p, l.record, l.now), l.source(sourceOfSessions+uint64(p))
	l.begin(func() error {
		for {
			step, err := on.next(rng)
			if err != nil {
				return err
			}
			pause := s.Pause(&step)
			if most > 0 {
				pause = min(pause, most)
			}
			if !rest(ctx, pause) {
				return nil
			}
			if err := s.Do(ctx, step); err != nil {
				return err
			}
		}
	})
}

// locks has clients fight over locks.
func (l *load) locks(ctx context.Context) {
	rng := l.source(sourceOfLocks)
	load := workload.DrawLocks(rng, 20*time.Millisecond)
	load.TTL = 10*time.Second + time.Duration(rng.IntN(6))*time.Second
	load.Leave /= 10 // it takes a lock out of the run for that long
	names := workload.NewLockNames("lock ", load)
	for i := range lockClients {
		dial := func() (*client.Client, error) { return l.cluster.Client() }
		service := clients.NewLocks(dial, l.now)
		c := workload.NewLockClient(service, i, load, names, l.record, l.now)
		owner := c.Owner(l.process())
		holders := []*workload.LockHolder{owner}
		for range lockHolders - 1 {
			holders = append(holders, c.Holder(l.process()))
		}
		l.begin(func() error {
			defer service.Stop()
			errs := make([]error, len(holders))
			var working sync.WaitGroup
			for n, h := range holders {
				rng := l.source(sourceOfLocks + uint64(1+i*lockHolders+n))
				working.Go(func() { errs[n] = workload.RunLocks(ctx, h, load, rng, endless) })
			}
			working.Wait()
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
			defer cancel()
			return errors.Join(errors.Join(errs...), owner.Close(end))
		})
	}
}

// more has sessions beside all others work on keys of their own for a while.
func (l *load) more(ctx context.Context, s *shelf, sessions int, most, during time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	l.mu.Lock()
	l.extra = append(l.extra, s)
	l.mu.Unlock()
	for range sessions {
		l.session(ctx, s, most)
	}
	<-ctx.Done()
}

// used are all shelves.
func (l *load) used() []*shelf {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.shelves, l.extra)
}

// rest reports whether the time passed before ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
