// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/dyno-kv/dyno/bench/load"
	"github.com/dyno-kv/dyno/client"
)

// putNodes is how many nodes there are: as many as a key has replicas, none of them away.
const putNodes = 3

// puts is what `dyno bench kv --mix 100:0` does, closed loop, on nodes of its own.
func (m *measure) puts(ctx context.Context, label string, strict bool) (err error) {
	if err := m.start(ctx, putNodes); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.stop()) }()
	into := m.through(-1)
	if strict {
		spec := client.BucketSpec{Name: "strict", Strict: true}
		if _, err := m.client.CreateBucket(ctx, spec); err != nil {
			return err
		}
		into.Bucket = m.client.Bucket("strict")
	}
	cfg := m.loading()
	cfg.Rate, cfg.PutShare, cfg.Preload, cfg.Fresh = 0, 1, true, true
	for i := range putNodes {
		cfg.ServerPIDs = append(cfg.ServerPIDs, m.PID(i))
	}
	r, err := load.Run(ctx, cfg, into)
	if err != nil {
		return err
	}
	failed := uint64(0)
	for _, f := range r.Failures {
		failed += f.Count
	}
	return m.tell("Puts/"+label, figure{r.Total.Rate, "puts/s"}, figure{r.Total.P50, "p50-ms"},
		figure{r.Total.P99, "p99-ms"}, figure{r.ServerCPUMicros, "server-cpu-µs"},
		figure{float64(failed), "failed"})
}
