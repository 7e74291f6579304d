// SPDX-License-Identifier: Apache-2.0

package real

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/clients"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

const (
	lockClients = 5
	lockHolders = 2
	// probe is what the names of locks begin with that one client takes and gives back all
	// the time, and nobody else: how soon it has one tells how soon there is a group.
	probe = "probe "
	// dataSessions read and write keys beside the locks, dataKeys of them.
	dataSessions = 3
	dataKeys     = 32
	// closing is how long a client may take to close its session at the end, and a final
	// read for its answer.
	closing = 20 * time.Second
	// calm is how long all goes on behind the last fault.
	calm = 2 * time.Second
	// maxOps bounds a history: an hour of it.
	maxOps = 4 << 20
	// endless is more steps than there is time for.
	endless = 1 << 30

	// Sources of chance by what they are for; holders and data sessions have those below.
	sourceOfLocks, sourceOfData, sourceOfFaults, sourceOfProbe = 1 << 32, 2 << 32, 3 << 32, 4 << 32
)

// lockRun is one run.
type lockRun struct {
	cfg     Config
	cluster *Cluster
	record  *history.Recorder
	began   time.Time
}

// Locks has clients fight over locks, and others read and write, while nodes are killed,
// paused and moved, leaders above all, and returns what the clients saw.
func Locks(ctx context.Context, cfg Config) (h *history.History, err error) {
	if err := cfg.Check(LeastLockNodes); err != nil {
		return nil, err
	}
	record, err := history.NewRecorder(header(&cfg), maxOps)
	if err != nil {
		return nil, err
	}
	cfg.tell("start")
	c, err := Start(ctx, cfg.Binary, cfg.Dir, cfg.Nodes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	r := &lockRun{cfg: cfg, cluster: c, record: record, began: time.Now()}
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	return record.History(), nil
}

func (r *lockRun) run(ctx context.Context) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	var mu sync.Mutex // guards failed
	var failed error
	begin := func(do func() error) {
		all.Go(func() {
			if err := do(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, err)
			}
		})
	}
	load := drawLocks(r.source(sourceOfLocks))
	names := workload.NewLockNames("lock ", load)
	for i := range lockClients {
		begin(func() error { return r.client(working, i, lockHolders, load, names) })
	}
	begin(func() error { return r.probe(working, load.TTL) })
	data := drawData(r.source(sourceOfData))
	for i := range dataSessions {
		begin(func() error { return r.data(working, i, data) })
	}
	err := r.faults(ctx)
	if err == nil {
		rest(ctx, calm)
	}
	stop()
	all.Wait()
	if err := errors.Join(err, failed, ctx.Err()); err != nil {
		return err
	}
	r.cfg.tell("final reads")
	return r.finals(ctx, data)
}

func (r *lockRun) now() int64 { return int64(time.Since(r.began)) }

func (r *lockRun) source(of uint64) *rand.Rand { return rand.New(rand.NewPCG(r.cfg.Seed, of)) }

// drawLocks draws what those do who fight. Sessions live long enough to outlast each fault.
func drawLocks(rng *rand.Rand) workload.Locks {
	const pause = 10 * time.Millisecond
	load := workload.DrawLocks(rng, pause)
	load.TTL = 15*time.Second + time.Duration(rng.IntN(6))*time.Second
	load.Leave /= 10 // it takes a lock out of the run for that long
	return load
}

// client runs one client of locks, and closes its session at the end.
func (r *lockRun) client(
	ctx context.Context, i, holders int, load workload.Locks, names *workload.LockNames,
) error {
	service := clients.NewLocks(r.cluster.Client, r.now)
	defer service.Stop()
	c := workload.NewLockClient(service, i, load, names, r.record, r.now)
	owner := c.Owner(i * lockHolders)
	errs := make([]error, holders)
	var working sync.WaitGroup
	for n := range holders {
		h := owner
		if n > 0 {
			h = c.Holder(i*lockHolders + n)
		}
		rng := r.source(sourceOfProbe + uint64(1+i*lockHolders+n))
		working.Go(func() { errs[n] = workload.RunLocks(ctx, h, load, rng, endless) })
	}
	working.Wait()
	end, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	return errors.Join(errors.Join(errs...), owner.Close(end))
}

// probe takes and gives back a lock that nobody else wants.
func (r *lockRun) probe(ctx context.Context, ttl time.Duration) error {
	load := workload.Locks{Slots: 1, TTL: ttl, Try: 1, MaxPause: 20 * time.Millisecond}
	return r.client(ctx, lockClients, 1, load, workload.NewLockNames(probe, load))
}

// majority is a workload that asks for no more copies than a majority has.
type majority struct{ workload.Register }

func drawData(rng *rand.Rand) majority {
	w := workload.DrawRegister(rng, "data ", replicas)
	w.Keys = w.Keys[:0:0]
	for i := range dataKeys {
		w.Keys = append(w.Keys, fmt.Sprintf("data %d", i))
	}
	w.MaxPause = 50 * time.Millisecond
	return majority{w}
}

// Next implements workload.Workload.
func (m majority) Next(rng *rand.Rand) workload.Step {
	const most = replicas/2 + 1
	s := m.Register.Next(rng)
	l := &s.Levels
	l.R, l.W, l.PR, l.PW = min(l.R, most), min(l.W, most), min(l.PR, most), min(l.PW, most)
	return s
}

// process is the number of a data session's process in the history; those of locks come first.
func process(session int) int { return (lockClients+1)*lockHolders + session }

// data runs one data session.
func (r *lockRun) data(ctx context.Context, i int, load majority) error {
	cl, err := r.cluster.Client()
	if err != nil {
		return err
	}
	defer cl.Close()
	s := workload.NewSession(clients.NewStore(cl), process(i), r.record, r.now)
	return workload.Run(ctx, s, load, r.source(sourceOfData+uint64(1+i)), endless)
}

// finals reads each key through every node, from all replicas.
func (r *lockRun) finals(ctx context.Context, load majority) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for i, at := range r.cluster.Addresses() {
		cl, err := r.cluster.Client()
		if err != nil {
			return err
		}
		store := clients.NewStore(cl, client.WithEndpoint(at), client.WithTimeout(closing))
		s := workload.NewSession(store, process(dataSessions+i), r.record, r.now)
		for _, step := range load.Final(1) {
			if err = errors.Join(r.cluster.answered(ctx, store, &step), s.Do(ctx, step)); err != nil {
				break
			}
		}
		cl.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// answered waits until all replicas of a step's key answer through a node: it may take a while
// to find one that has moved. What they answer is then read for the history.
func (c *Cluster) answered(ctx context.Context, s workload.Store, step *workload.Step) error {
	return c.await(ctx, func(ctx context.Context) string {
		return s.Get(ctx, &workload.Request{Key: step.Key, Levels: step.Levels}).Error
	})
}
