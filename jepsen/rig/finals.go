// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/clients"
	"github.com/dyno-kv/dyno/jepsen/real"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

const (
	// inTime is how soon after the last fault all copies must agree, patience how long is
	// waited for it to say how long it took.
	inTime, patience = 30 * time.Second, 2 * time.Minute
	// readers read at the same time in the end, through each node.
	readers = 4
	// lastTime bounds the final reads of a thousand keys, through all nodes.
	lastTime = 5 * time.Minute
)

// converge waits until all nodes are ready, no hint is left, and all copies are the same, as
// the nodes themselves say, and judges how long that took.
func converge(ctx context.Context, c *real.Cluster) checker.Result {
	r := checker.Result{Checker: "convergence", Verdict: checker.Valid}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	err := c.Ready(ctx, c.All()...)
	ready := time.Since(began)
	if err == nil {
		err = c.Converge(ctx)
	}
	took := time.Since(began)
	r.Stats = []checker.Stat{
		{Name: "ready-s", Value: ready.Seconds()}, {Name: "converged-s", Value: took.Seconds()},
	}
	text := ""
	switch {
	case err != nil:
		text = fmt.Sprintf("nodes do not agree %v after the last fault: %v", took.Round(time.Second), err)
	case took > inTime:
		text = fmt.Sprintf("nodes agreed %v after the last fault, later than %v", took, inTime)
	}
	if text != "" {
		r.Verdict, r.Count = checker.Invalid, 1
		r.Violations = []checker.Violation{{Rule: "convergence", Text: text}}
	}
	return r
}

// finals reads all keys through every node: from one replica, a majority and all of them.
func (l *load) finals(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lastTime)
	defer cancel()
	for round, r := range []uint8{1, replicas/2 + 1, replicas} {
		var steps []workload.Step
		for _, s := range l.used() {
			steps = append(steps, s.finals(uint8(round+1), r)...)
		}
		l.cfg.tell("final reads of %d keys through each node, from %d", len(steps), r)
		err := l.each(ctx, len(steps), func(ctx context.Context, at string, from, to int) error {
			p := l.process()
			store := clients.NewStore(l.clients[p%len(l.clients)], client.WithEndpoint(at),
				client.WithTimeout(closing))
			s := workload.NewSession(store, p, l.record, l.now)
			for _, step := range steps[from:to] {
				if err := errors.Join(s.Do(ctx, step), ctx.Err()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("rig: final reads: %w", err)
		}
	}
	return nil
}

// each does something with n things through each node, in a few parts at a time.
func (l *load) each(
	ctx context.Context, n int, do func(ctx context.Context, at string, from, to int) error,
) error {
	var all sync.WaitGroup
	errs := make(chan error, len(l.nodes)*readers)
	for _, at := range l.nodes {
		for i := range readers {
			all.Go(func() { errs <- do(ctx, at, n*i/readers, n*(i+1)/readers) })
		}
	}
	all.Wait()
	close(errs)
	var joined error
	for err := range errs {
		joined = errors.Join(joined, err)
	}
	return joined
}

// copies asks every node for its copy of every key.
func (l *load) copies(ctx context.Context) ([]real.Copy, error) {
	ctx, cancel := context.WithTimeout(ctx, lastTime)
	defer cancel()
	var keys []string
	for _, s := range l.used() {
		for _, step := range s.finals(1, 1) {
			keys = append(keys, step.Key)
		}
	}
	var mu sync.Mutex // guards all
	var all []real.Copy
	names := make(map[string]string)
	for i, at := range l.nodes {
		names[at] = l.cluster.Name(i)
	}
	bucket := l.clients[0].Bucket(client.DefaultBucket)
	err := l.each(ctx, len(keys), func(ctx context.Context, at string, from, to int) error {
		for _, key := range keys[from:to] {
			got, err := bucket.Get(ctx, []byte(key), client.WithR(client.One),
				client.WithEndpoint(at), client.WithTimeout(closing))
			if err != nil {
				return fmt.Errorf("rig: copy of %q at %s: %w", key, names[at], err)
			}
			one := real.Copy{Key: key, Node: names[at], Context: got.Context}
			for _, s := range got.Siblings {
				if !s.Deleted {
					one.Values = append(one.Values, s.Value)
				}
			}
			slices.SortFunc(one.Values, bytes.Compare)
			mu.Lock()
			all = append(all, one)
			mu.Unlock()
		}
		return nil
	})
	return all, err
}
