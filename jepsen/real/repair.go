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
	// repairSessions read and write repairKeys keys of each bucket.
	repairSessions = 4
	repairKeys     = 24
	// strictBucket is one that no fallback serves.
	strictBucket = "strict"
	// repairAvailable is the share of operations that must be ok. A node is down half of the
	// time, and with it, in a bucket without fallbacks, what asks for its copies.
	repairAvailable = 0.6
)

// RepairRun is what came of a run.
type RepairRun struct {
	// Histories are what clients saw, by bucket.
	Histories map[string]*history.History
	// Copies are what each node had of each key in the end, by bucket.
	Copies map[string][]Copy
}

// repairRun is one run.
type repairRun struct {
	cfg     Config
	cluster *Cluster
	buckets []*repairBucket
	began   time.Time
}

// repairBucket is a bucket under load.
type repairBucket struct {
	name   string
	load   majority
	record *history.Recorder
}

// Repair has clients read, write and delete, in a bucket with fallbacks and in one without,
// while nodes are down, lose their directories, or find older copies of them. In the end it
// waits until nothing is left to be delivered or repaired, and looks at all copies.
func Repair(ctx context.Context, cfg Config) (got *RepairRun, err error) {
	if err := cfg.Check(LeastRepairNodes); err != nil {
		return nil, err
	}
	r := &repairRun{cfg: cfg}
	for _, name := range []string{client.DefaultBucket, strictBucket} {
		b, err := newRepairBucket(&cfg, name)
		if err != nil {
			return nil, err
		}
		r.buckets = append(r.buckets, b)
	}
	cfg.tell("start")
	// Fewer partitions than usual, since each comparison pauses; tombstones are purged as soon
	// as all have them; and a seat that is refused with its directory is soon another one's.
	c, err := Start(ctx, cfg.Binary, cfg.Dir, cfg.Nodes, "--partitions", "16",
		"--purge-grace", "0s", "--voter-timeout", "5s")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	spec := client.BucketSpec{Name: strictBucket, Strict: true}
	if _, err := c.admin.CreateBucket(ctx, spec, client.WithTimeout(settleTime)); err != nil {
		return nil, fmt.Errorf("real: create bucket: %w", err)
	}
	r.cluster, r.began = c, time.Now()
	copies, err := r.run(ctx)
	if err != nil {
		return nil, err
	}
	got = &RepairRun{Histories: make(map[string]*history.History), Copies: copies}
	for _, b := range r.buckets {
		got.Histories[b.name] = b.record.History()
	}
	return got, nil
}

func newRepairBucket(cfg *Config, name string) (*repairBucket, error) {
	header := history.Header{
		N: replicas, Mode: "real", Seed: cfg.Seed, Sloppy: name != strictBucket,
		Labels: map[string]string{
			"nodes": fmt.Sprint(cfg.Nodes), "bucket": name,
			"min_available": fmt.Sprint(repairAvailable),
		},
	}
	record, err := history.NewRecorder(header, maxOps)
	if err != nil {
		return nil, err
	}
	of := sourceOfData
	if name == strictBucket {
		of = sourceOfLocks
	}
	load := drawRepair(rand.New(rand.NewPCG(cfg.Seed, uint64(of))), name)
	return &repairBucket{name: name, load: load, record: record}, nil
}

// drawRepair draws what clients of a bucket do. They delete a lot. What is acknowledged is on
// two nodes at least: one of them may lose its disk.
func drawRepair(rng *rand.Rand, bucket string) majority {
	w := workload.DrawDeletes(rng, bucket, replicas)
	w.Keys = nil
	for i := range repairKeys {
		w.Keys = append(w.Keys, fmt.Sprintf("%s %d", bucket, i))
	}
	w.MinW, w.MaxPause = 2, 40*time.Millisecond
	return majority{w}
}

func (r *repairRun) now() int64 { return int64(time.Since(r.began)) }

func (r *repairRun) run(ctx context.Context) (map[string][]Copy, error) {
	working, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	failed := make(chan error, len(r.buckets)*repairSessions)
	for _, b := range r.buckets {
		for i := range repairSessions {
			all.Go(func() { failed <- r.session(working, b, i) })
		}
	}
	err := r.faults(ctx)
	if err == nil {
		rest(ctx, calm)
	}
	stop()
	all.Wait()
	close(failed)
	for f := range failed {
		err = errors.Join(err, f)
	}
	if err := errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	r.cfg.tell("wait for hints and repairs")
	if err := r.cluster.converge(ctx); err != nil {
		return nil, err
	}
	if err := r.cluster.delivered(ctx); err != nil {
		return nil, fmt.Errorf("real: hints are left: %w", err)
	}
	r.cfg.tell("look at all copies")
	copies := make(map[string][]Copy)
	for _, b := range r.buckets {
		if copies[b.name], err = r.cluster.copies(ctx, b); err != nil {
			return nil, err
		}
	}
	return copies, r.finals(ctx)
}

// session runs one session of a bucket.
func (r *repairRun) session(ctx context.Context, b *repairBucket, i int) error {
	cl, err := r.cluster.Client()
	if err != nil {
		return err
	}
	defer cl.Close()
	s := workload.NewSession(clients.NewStoreIn(cl, b.name), i, b.record, r.now)
	rng := rand.New(rand.NewPCG(r.cfg.Seed, sourceOfProbe+uint64(i)))
	return workload.Run(ctx, s, b.load, rng, endless)
}

// finals reads each key through every node, from all replicas.
func (r *repairRun) finals(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	cl, err := r.cluster.Client()
	if err != nil {
		return err
	}
	defer cl.Close()
	for _, b := range r.buckets {
		for i, at := range r.cluster.Addresses() {
			store := clients.NewStoreIn(cl, b.name, client.WithEndpoint(at),
				client.WithTimeout(closing))
			s := workload.NewSession(store, repairSessions+i, b.record, r.now)
			for _, step := range b.load.Final(1) {
				err := errors.Join(r.cluster.answered(ctx, store, &step), s.Do(ctx, step))
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}
