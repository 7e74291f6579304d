// SPDX-License-Identifier: Apache-2.0

package load

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a run has measured. Its JSON form is stable: fields are added, and none
// changes its meaning. Latencies are in milliseconds.
type Report struct {
	Clients      int          `json:"clients"`
	Rate         float64      `json:"rate"` // asked for; 0: closed loop
	Keys         uint64       `json:"keys"`
	ValueSize    int          `json:"value_bytes"`
	PutShare     float64      `json:"put_share"`
	Distribution Distribution `json:"distribution"`
	Seed         uint64       `json:"seed"`

	Seconds  float64    `json:"seconds"` // that were measured
	Total    Row        `json:"total"`
	Requests []Row      `json:"requests"` // by kind
	Failed   *Latency   `json:"failed,omitempty"`
	Failures []Failures `json:"failures"`
	// Resolves counts reads that had to come before a write, since two clients had met on
	// its key; MaxSiblings is the most versions that any answer told of.
	Resolves    uint64 `json:"resolves"`
	MaxSiblings int    `json:"max_siblings"`

	ClientCPUMicros float64  `json:"client_cpu_us_per_request"`
	ServerCPUMicros float64  `json:"server_cpu_us_per_request"` // all servers together
	Servers         []Server `json:"servers"`
	Fsync           *Fsync   `json:"fsync,omitempty"`
	Warnings        []string `json:"warnings"`
}

// Row is one kind of request, or all of them. Rate and Count are of successes.
type Row struct {
	Kind  string  `json:"kind"`
	Count uint64  `json:"count"`
	Rate  float64 `json:"per_second"`
	Latency
}

// Latency is a distribution, in milliseconds.
type Latency struct {
	Mean float64 `json:"mean_ms"`
	P50  float64 `json:"p50_ms"`
	P90  float64 `json:"p90_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	Max  float64 `json:"max_ms"`
}

// Failures are failed requests of one kind and code.
type Failures struct {
	Kind    string `json:"kind"`
	Code    string `json:"code"`
	Outcome string `json:"outcome"` // "none" or "unknown"
	Count   uint64 `json:"count"`
}

// Server is a process that was watched.
type Server struct {
	PID       int     `json:"pid"`
	CPUMicros float64 `json:"cpu_us_per_request"`
	RSSBefore uint64  `json:"rss_before_bytes"`
	RSS       uint64  `json:"rss_bytes"` // at the end
	RSSPeak   uint64  `json:"rss_peak_bytes"`
}

// newReport works out a report from two readings and what was recorded between them.
func newReport(cfg *Config, from, to reading, rec *recorder) *Report {
	res := rec.result()
	r := &Report{
		Clients: cfg.Clients, Rate: cfg.Rate, Keys: cfg.Keys, ValueSize: cfg.ValueSize,
		PutShare: cfg.PutShare, Distribution: cfg.Distribution, Seed: cfg.Seed,
		Seconds: to.at.Sub(from.at).Seconds(), Resolves: rec.resolved.Load(),
		MaxSiblings: res.siblings, Requests: []Row{}, Failures: []Failures{}, Servers: []Server{},
		Warnings: []string{},
	}
	total := newHistogram()
	for k := range kinds {
		if res.count[k] == 0 {
			continue
		}
		r.Requests = append(r.Requests, row(k.String(), res.count[k], r.Seconds, res.took[k]))
		r.Total.Count += res.count[k]
		total.Merge(res.took[k])
	}
	r.Total = row("all", r.Total.Count, r.Seconds, total)
	r.addFailures(res)
	r.addUsage(cfg, from, to)
	if cfg.Rate > 0 && r.Total.Rate < 0.95*cfg.Rate {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%.0f requests a second were asked for and "+
			"%.0f succeeded: the latencies tell of a queue", cfg.Rate, r.Total.Rate))
	}
	return r
}

func row(kind string, count uint64, seconds float64, h *hdrhistogram.Histogram) Row {
	out := Row{Kind: kind, Count: count, Latency: latency(h)}
	if seconds > 0 {
		out.Rate = float64(count) / seconds
	}
	return out
}

func latency(h *hdrhistogram.Histogram) Latency {
	const perMilli = float64(time.Millisecond / time.Microsecond)
	at := func(p float64) float64 { return float64(h.ValueAtPercentile(p)) / perMilli }
	return Latency{
		Mean: h.Mean() / perMilli, P50: at(50), P90: at(90), P99: at(99), P999: at(99.9),
		Max: float64(h.Max()) / perMilli,
	}
}

func (r *Report) addFailures(res result) {
	for key, n := range res.failures {
		outcome := "none"
		if key.Unknown {
			outcome = "unknown"
		}
		r.Failures = append(r.Failures, Failures{
			Kind: key.Kind.String(), Code: key.Code, Outcome: outcome, Count: n,
		})
	}
	slices.SortFunc(r.Failures, func(a, b Failures) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Outcome, b.Outcome))
	})
	if len(r.Failures) > 0 {
		took := latency(res.failed)
		r.Failed = &took
	}
}

func (r *Report) addUsage(cfg *Config, from, to reading) {
	ended := float64(max(1, to.done-from.done))
	r.ClientCPUMicros = micros(to.own-from.own) / ended
	for i, pid := range cfg.ServerPIDs {
		before, after := from.servers[i], to.servers[i]
		s := Server{
			PID: pid, CPUMicros: micros(after.cpu-before.cpu) / ended,
			RSSBefore: before.rss, RSS: after.rss, RSSPeak: after.rssPeak,
		}
		r.Servers = append(r.Servers, s)
		r.ServerCPUMicros += s.CPUMicros
	}
}
