// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"fmt"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/clients"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/nemesis"
	"github.com/dyno-kv/dyno/jepsen/real"
	"github.com/dyno-kv/dyno/jepsen/report"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

const (
	lwwBucket = "lww"
	// lwwRate is how many operations a second its sessions aim at.
	lwwRate, lwwSessions = 40, 4
	lwwOps               = 1 << 20
)

// lww is a bucket that keeps the latest write and drops what is concurrent, under a workload
// that loses by that. It shows that the rig can see a loss, so that seeing none elsewhere means
// something. What is lost here is not dyno's fault: it was asked for.
type lww struct {
	load   *load // of the run, for its clients
	record *history.Recorder
	shelf  *shelf
	procs  int
}

func newLWW(ctx context.Context, cfg *Config, c *real.Cluster, l *load) (*lww, error) {
	admin, err := c.Client()
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	spec := client.BucketSpec{Name: lwwBucket, LWW: true}
	if _, err := admin.CreateBucket(ctx, spec, client.WithTimeout(closing)); err != nil {
		return nil, fmt.Errorf("rig: bucket %s: %w", lwwBucket, err)
	}
	record, err := history.NewRecorder(history.Header{
		N: replicas, Mode: "real", Seed: cfg.Seed, Sloppy: cfg.Nodes > replicas,
	}, lwwOps)
	return &lww{
		load: l, record: record, shelf: newShelf(cfg.Seed, "set", 100, workload.Options{
			N: replicas, Pause: pauseFor(lwwSessions, lwwRate),
		}),
	}, err
}

func (w *lww) session(p int, opts ...client.Option) *workload.Session {
	cl := w.load.clients[p%len(w.load.clients)]
	return workload.NewSession(clients.NewStoreIn(cl, lwwBucket, opts...), p, w.record, w.load.now)
}

// start has its sessions work until ctx ends, as part of the load.
func (w *lww) start(ctx context.Context) {
	for range lwwSessions {
		p := w.procs
		w.procs++
		s, rng := w.session(p), w.load.source(sourceOfSessions<<1+uint64(p))
		w.load.begin(func() error {
			for {
				step, err := w.shelf.next(rng)
				if err != nil {
					return err
				}
				if !rest(ctx, s.Pause(&step)) {
					return nil
				}
				if err := s.Do(ctx, step); err != nil {
					return err
				}
			}
		})
	}
}

// judge reads what is left, and counts what was acknowledged and is lost.
func (w *lww) judge(ctx context.Context, faults []report.Fault) (checker.Result, error) {
	r := checker.Result{Checker: "lww sanity", Verdict: checker.Valid}
	s := w.session(w.procs, client.WithTimeout(closing))
	for _, step := range w.shelf.finals(1, replicas) {
		if err := s.Do(ctx, step); err != nil {
			return r, err
		}
	}
	got, err := checker.Check(w.record.History(), checker.DefaultConfig())
	if err != nil {
		return r, err
	}
	lost, ops := 0, 0
	for i := range got.Results {
		if got.Results[i].Checker == "set" {
			lost += got.Results[i].Count
		}
	}
	ops = len(w.record.History().Ops)
	r.Stats = []checker.Stat{
		{Name: "operations", Value: float64(ops)}, {Name: "losses-seen", Value: float64(lost)},
	}
	if lost == 0 {
		r.Why = "a bucket that drops concurrent writes was seen to lose nothing"
		for i := range faults {
			info, _ := nemesis.Lookup(nemesis.Kind(faults[i].Kind))
			if info.Needs&nemesis.Cuts != 0 && faults[i].Bit {
				r.Verdict = checker.Unknown
				r.Why += " under partitions: would the rig see a loss?"
				break
			}
		}
	}
	return r, nil
}
