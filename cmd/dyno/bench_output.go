// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/dyno-kv/dyno/bench/load"
)

// printBench prints what a run has measured.
func (a *app) printBench(f *benchFlags, r *load.Report) error {
	if a.form == formJSON {
		return a.printJSON(benchOutput{
			head: newHead(), Bucket: f.bucket, R: levelName(f.levels.r), W: levelName(f.levels.w),
			Report: r,
		})
	}
	loop := "closed loop"
	if r.Rate > 0 {
		loop = fmt.Sprintf("%.0f requests a second", r.Rate)
	}
	if err := a.printf("%d clients, %s, %d keys (%s), %d byte values, %.1f s\n\n",
		r.Clients, loop, r.Keys, r.Distribution, r.ValueSize, r.Seconds); err != nil {
		return err
	}
	if err := a.printLatencies(r); err != nil {
		return err
	}
	if err := a.printCosts(r); err != nil {
		return err
	}
	for _, e := range r.Failures {
		err := a.printf("failed: %d %ss with %s, outcome %s\n", e.Count, e.Kind, e.Code, e.Outcome)
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printLatencies(r *load.Report) error {
	t := a.newTable("request", "count", "per s", "mean ms", "p50", "p90", "p99", "p99.9", "max")
	rows := r.Requests
	if len(rows) > 1 {
		rows = append(rows[:len(rows):len(rows)], r.Total)
	}
	ms := func(v float64) string { return fmt.Sprintf("%.2f", v) }
	for _, l := range rows {
		t.row(l.Kind, l.Count, fmt.Sprintf("%.0f", l.Rate), ms(l.Mean), ms(l.P50), ms(l.P90),
			ms(l.P99), ms(l.P999), ms(l.Max))
	}
	return t.print()
}

func (a *app) printCosts(r *load.Report) error {
	err := a.printf("\nprocessor time for each request: %.1f µs here", r.ClientCPUMicros)
	if err == nil && len(r.Servers) > 0 {
		err = a.printf(", %.1f µs on the servers", r.ServerCPUMicros)
	}
	if err == nil {
		err = a.printf("\n")
	}
	for _, s := range r.Servers {
		if err == nil {
			err = a.printf("process %d: %.1f µs, memory %s, %s before, at most %s\n", s.PID,
				s.CPUMicros, size(int64(s.RSS)), size(int64(s.RSSBefore)), size(int64(s.RSSPeak)))
		}
	}
	if err == nil && r.Fsync != nil {
		err = a.printf("fsync in %s: p50 %.0f µs, p99 %.0f µs\n", r.Fsync.Dir, r.Fsync.P50Micros,
			r.Fsync.P99Micros)
	}
	if err == nil && (r.Resolves > 0 || r.MaxSiblings > 1) {
		err = a.printf("%d writes had to read first, at most %d values of a key\n",
			r.Resolves, r.MaxSiblings)
	}
	return err
}

func levelName(l level) string {
	if s := l.String(); s != "" {
		return s
	}
	return "bucket's"
}
