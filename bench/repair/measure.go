// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/bench/load"
	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/real"
)

const (
	defaultTime = 15 * time.Second
	defaultRate = 1000
	defaultKeys = 20_000

	valueSize = 1 << 10
	clients   = 64
	warmUp    = 2 * time.Second
	timeout   = 20 * time.Second
	// look is how often the cluster is asked how far it is; patience bounds each wait.
	look     = 50 * time.Millisecond
	patience = 15 * time.Minute
)

// measure is one measurement: a cluster, and clients of it.
type measure struct {
	bin, dir string
	each     time.Duration
	rate     float64
	keys     uint64
	out      io.Writer

	*real.Cluster
	client *client.Client
}

// start starts a cluster, to be ended by stop.
func (m *measure) start(ctx context.Context, nodes int) (err error) {
	if m.Cluster, err = real.Start(ctx, m.bin, m.dir, nodes); err != nil {
		return err
	}
	if m.client, err = m.Client(); err != nil {
		return errors.Join(err, m.stop())
	}
	return nil
}

func (m *measure) stop() error {
	if m.client != nil {
		m.client.Close()
	}
	return m.Close()
}

// say tells people how far it is.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05")+" "+format+"\n", args...)
}

// loading is a load of m's clients: puts and gets by halves, at m's rate.
func (m *measure) loading() load.Config {
	return load.Config{
		Clients: clients, Rate: m.rate, Duration: m.each, WarmUp: warmUp, Keys: m.keys,
		Prefix: "foreground/", ValueSize: valueSize, PutShare: 0.5, Distribution: load.Uniform,
		Timeout: timeout, Seed: 1,
		Classify: func(err error) (string, bool) {
			var answered *client.Error
			if errors.As(err, &answered) {
				return string(answered.Code), answered.Outcome == client.OutcomeUnknown
			}
			return "OTHER", false
		},
	}
}

// await asks again and again until something is so.
func await(ctx context.Context, what string, is func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for {
		ok, err := is(ctx)
		if ok {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (%w)", what, context.Cause(ctx), last)
		}
	}
}

// during runs a load until something is so; the report is nil where it was so at once.
func during(
	ctx context.Context, cfg load.Config, s load.Store, what string,
	is func(context.Context) (bool, error),
) (*load.Report, error) {
	if ok, _ := is(ctx); ok { // an error is told by await
		return nil, nil
	}
	loading, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { // until it is so
		defer stop()
		ended <- await(ctx, what, is)
	}()
	cfg.Duration, cfg.WarmUp = patience, 0
	report, err := load.Run(loading, cfg, s)
	if err != nil && loading.Err() != nil {
		err = nil // it was told to end
	}
	stop()
	return report, errors.Join(err, <-ended)
}

// store is a bucket under load.
type store struct {
	*client.Bucket
	opts []client.Option
}

var _ load.Store = store{}

// Get implements load.Store.
func (s store) Get(ctx context.Context, key string) (load.Reply, error) {
	r, err := s.Bucket.Get(ctx, []byte(key), s.opts...)
	return load.Reply{Context: r.Context, Siblings: len(r.Siblings)}, err
}

// Put implements load.Store.
func (s store) Put(ctx context.Context, key string, value, seen []byte) (load.Reply, error) {
	opts := s.opts
	if len(seen) > 0 {
		opts = append(opts[:len(opts):len(opts)], client.WithContext(seen))
	}
	r, err := s.Bucket.Put(ctx, []byte(key), value, opts...)
	return load.Reply{Context: r.Context, Siblings: r.SiblingCount}, err
}

// through is the default bucket, asked through one node or, below 0, through any.
func (m *measure) through(node int) store {
	s := store{Bucket: m.client.Bucket(client.DefaultBucket)}
	if node >= 0 {
		s.opts = []client.Option{client.WithEndpoint(m.Addresses()[node])}
	}
	return s
}

// latencies are the figures of loads, of which there may be none: sums of what was asked and
// what failed, medians of the latencies.
func latencies(which string, all ...*load.Report) []figure {
	requests, failed := uint64(0), uint64(0)
	var p50, p99 []float64
	kinds := make(map[string][]float64)
	for _, r := range all {
		if r == nil || r.Total.Count == 0 {
			continue
		}
		requests += r.Total.Count
		for _, f := range r.Failures {
			failed += f.Count
		}
		p50, p99 = append(p50, r.Total.P50), append(p99, r.Total.P99)
		for _, row := range r.Requests {
			kinds[row.Kind] = append(kinds[row.Kind], row.P99)
		}
	}
	if len(p99) == 0 {
		return nil
	}
	out := []figure{
		{float64(requests), "requests-" + which}, {float64(failed), "failed-" + which},
		{median(p50), "p50-ms-" + which}, {median(p99), "p99-ms-" + which},
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		out = append(out, figure{median(kinds[kind]), kind + "-p99-ms-" + which})
	}
	return out
}

// ratio is how many times as long the median 99th percentile is as without.
func ratio(with, without []*load.Report) figure {
	mid := func(all []*load.Report) float64 {
		p99 := make([]float64, len(all))
		for i, r := range all {
			p99[i] = r.Total.P99
		}
		return median(p99)
	}
	return figure{mid(with) / mid(without), "p99-ratio"}
}
