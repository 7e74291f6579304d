// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/dyno-kv/dyno/bench/load"
	"github.com/dyno-kv/dyno/bench/lockload"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ratios:", err)
		os.Exit(1)
	}
}

func run(files []string, out io.Writer) error {
	if len(files) == 0 {
		return errors.New("no file is given, usage: ratios FILE [FILE]")
	}
	var reports []lockload.Report
	for _, name := range files {
		more, err := read(name)
		if err != nil {
			return err
		}
		reports = append(reports, more...)
	}
	_, err := io.WriteString(out, render(reports)+"\n")
	return err
}

func read(name string) ([]lockload.Report, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	const longest = 1 << 20
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, longest)
	var out []lockload.Report
	for lines.Scan() {
		var r lockload.Report
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, r)
	}
	return out, lines.Err()
}

// own is the system that others are compared with.
const own = "dyno"

// figure is one number of a report.
type figure struct {
	name string
	of   func(r *lockload.Report) (float64, bool)
}

func figures() []figure {
	rate := func(r *lockload.Report) (float64, bool) { return r.Rate, r.Rate > 0 }
	cpu := func(r *lockload.Report) (float64, bool) { return r.CPUMicros, r.Rate > 0 }
	leader := func(r *lockload.Report) (float64, bool) { return r.LeaderCPU, r.Scenario == "keep" }
	servers := func(r *lockload.Report) (float64, bool) { return r.ServerCPU, r.Scenario == "keep" }
	pair := func(r *lockload.Report) *load.Latency { return r.Pair }
	handover := func(r *lockload.Report) *load.Latency { return r.Handover }
	failover := func(r *lockload.Report) *load.Latency { return r.Failover }
	p50 := func(l *load.Latency) float64 { return l.P50 }
	p99 := func(l *load.Latency) float64 { return l.P99 }
	lost := func(r *lockload.Report) (float64, bool) { return float64(r.Lost), r.Rate == 0 }
	return []figure{
		{"per second", rate},
		{"pair p50 ms", latency(pair, p50)}, {"pair p99 ms", latency(pair, p99)},
		{"hand-over p50 ms", latency(handover, p50)}, {"hand-over p99 ms", latency(handover, p99)},
		{"first grant p50 ms", latency(failover, p50)},
		{"first grant p99 ms", latency(failover, p99)},
		{"CPU µs each", cpu}, {"leader cores", leader}, {"server cores", servers},
		{"sessions lost", lost},
	}
}

// latency is one number of a latency that not all reports have.
func latency(
	of func(*lockload.Report) *load.Latency, number func(*load.Latency) float64,
) func(*lockload.Report) (float64, bool) {
	return func(r *lockload.Report) (float64, bool) {
		l := of(r)
		if l == nil {
			return 0, false
		}
		return number(l), true
	}
}

// group is a scenario with a number of clients. How often sessions are renewed depends on
// their time to live, so that this belongs to it where nothing else is done.
type group struct {
	scenario string
	clients  int
}

func groupOf(r *lockload.Report) group {
	g := group{r.Scenario, r.Clients}
	if r.Scenario == "keep" {
		g.scenario = fmt.Sprintf("keep, TTL %d s", r.TTLms/1000)
	}
	return g
}

// render makes a table of medians: one line for each figure of each scenario.
func render(reports []lockload.Report) string {
	var groups []group
	var systems []string
	for i := range reports {
		r := &reports[i]
		if g := groupOf(r); !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
		if !slices.Contains(systems, r.System) && r.System != own {
			systems = append(systems, r.System)
		}
	}
	t := table.NewWriter()
	head := table.Row{"scenario", "clients", "figure", own}
	for _, s := range systems {
		head = append(head, s, own+" / "+s)
	}
	t.AppendHeader(head)
	for _, g := range groups {
		for _, f := range figures() {
			mine, ok := median(reports, own, g, f)
			row := table.Row{g.scenario, g.clients, f.name, number(mine, ok)}
			any := ok
			for _, s := range systems {
				theirs, has := median(reports, s, g, f)
				any = any || has
				ratio := number(mine/theirs, ok && has && theirs > 0)
				row = append(row, number(theirs, has), ratio)
			}
			if any {
				t.AppendRow(row)
			}
		}
	}
	return t.RenderMarkdown()
}

// median is that of all runs of a system, false where there is none.
func median(reports []lockload.Report, system string, g group, f figure) (float64, bool) {
	var all []float64
	for i := range reports {
		r := &reports[i]
		if r.System != system || groupOf(r) != g {
			continue
		}
		if v, ok := f.of(r); ok {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	return all[len(all)/2], true
}

func number(v float64, ok bool) string {
	switch {
	case !ok:
		return ""
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
