// SPDX-License-Identifier: Apache-2.0

package lockload

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/bench/load"
)

// Report is what a scenario has measured. Its JSON form is stable: fields are added, and
// none changes its meaning. Latencies are in milliseconds.
type Report struct {
	System   string  `json:"system"`
	Scenario string  `json:"scenario"` // "pairs", "handover", "keep", "failover"
	Clients  int     `json:"clients"`
	TTLms    int64   `json:"ttl_ms"`
	Seconds  float64 `json:"seconds"` // that were measured
	// Count is how many pairs or grants there were, Rate how many a second.
	Count uint64  `json:"count"`
	Rate  float64 `json:"per_second"`
	// Lock, Unlock and Pair are of Pairs. Handover is from the begin of an unlock to the
	// next grant. Failover is from the leader's death to the first grant that was asked for
	// after it, FailoverLast to the last client's.
	Lock         *load.Latency `json:"lock,omitempty"`
	Unlock       *load.Latency `json:"unlock,omitempty"`
	Pair         *load.Latency `json:"pair,omitempty"`
	Handover     *load.Latency `json:"handover,omitempty"`
	Failover     *load.Latency `json:"failover,omitempty"`
	FailoverLast *load.Latency `json:"failover_last,omitempty"`
	// Lost is how many sessions were lost.
	Lost     int        `json:"sessions_lost"`
	Failures []Failures `json:"failures"`

	// Shares of a processor core.
	ClientCPU float64  `json:"client_cores"`
	ServerCPU float64  `json:"server_cores"` // all servers together
	LeaderCPU float64  `json:"leader_cores"` // 0 where the leader is not known
	Servers   []Server `json:"servers"`
	// CPUMicros is what one of Count costs the client and all servers together.
	CPUMicros float64     `json:"cpu_us_each"`
	Fsync     *load.Fsync `json:"fsync,omitempty"`
}

// Failures are failed requests of one kind.
type Failures struct {
	Kind  string `json:"kind"` // "open", "lock", "unlock", "close"
	Code  string `json:"code"`
	Count uint64 `json:"count"`
}

// Server is a process that was watched.
type Server struct {
	PID     int     `json:"pid"`
	Leader  bool    `json:"leader"`
	Cores   float64 `json:"cores"`
	RSS     uint64  `json:"rss_bytes"` // at the end
	RSSPeak uint64  `json:"rss_peak_bytes"`
}

// failures counts failed requests.
type failures map[Failures]uint64 // the key's Count is 0

func (f failures) add(kind, code string) { f[Failures{Kind: kind, Code: code}]++ }

func (f failures) list() []Failures {
	out := []Failures{}
	for key := range maps.Keys(f) {
		out = append(out, Failures{Kind: key.Kind, Code: key.Code, Count: f[key]})
	}
	slices.SortFunc(out, func(a, b Failures) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Code, b.Code))
	})
	return out
}

// reading is the state of the clocks at one moment (I2).
type reading struct {
	at      time.Time
	own     time.Duration
	servers []load.Usage
}

func read(cfg *Config) (reading, error) {
	r := reading{at: time.Now(), own: load.OwnCPU()}
	for _, pid := range cfg.ServerPIDs {
		u, err := load.ReadUsage(pid)
		if err != nil {
			return r, err
		}
		r.servers = append(r.servers, u)
	}
	return r, nil
}

func newReport(cfg *Config, scenario string) *Report {
	return &Report{
		System: cfg.System, Scenario: scenario, Clients: cfg.Clients, TTLms: cfg.TTL.Milliseconds(),
		Failures: []Failures{}, Servers: []Server{},
	}
}

// spent takes in what was spent between two readings. Count must be there.
func (r *Report) spent(cfg *Config, from, to reading) {
	r.Seconds = to.at.Sub(from.at).Seconds()
	if r.Seconds <= 0 {
		return
	}
	r.Rate = float64(r.Count) / r.Seconds
	r.ClientCPU = (to.own - from.own).Seconds() / r.Seconds
	for i, pid := range cfg.ServerPIDs {
		before, after := from.servers[i], to.servers[i]
		s := Server{
			PID: pid, Leader: pid == cfg.LeaderPID, RSS: after.RSS, RSSPeak: after.RSSPeak,
			Cores: (after.CPU - before.CPU).Seconds() / r.Seconds,
		}
		r.Servers = append(r.Servers, s)
		r.ServerCPU += s.Cores
		if s.Leader {
			r.LeaderCPU = s.Cores
		}
	}
	if r.Count > 0 {
		r.CPUMicros = (r.ClientCPU + r.ServerCPU) * r.Seconds * 1e6 / float64(r.Count)
	}
}

func latencyOf(t load.Times) *load.Latency {
	if t.Count() == 0 {
		return nil
	}
	l := t.Latency()
	return &l
}
