// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/real"
	"github.com/dyno-kv/dyno/sim/fleet"
	"github.com/dyno-kv/dyno/sim/trial"
)

// locksFlags are those of `dyno-jepsen locks`.
type locksFlags struct {
	binary  string
	seed    uint64
	nodes   int
	seconds int
	out     string
	keep    bool
}

// locksOutput is what it prints as JSON.
type locksOutput struct {
	head
	Seed    uint64 `json:"seed"`
	Ops     int    `json:"operations"`
	Faults  int    `json:"faults"`
	History string `json:"history"` // empty where it was not kept
	*checker.Report
}

func (a *app) locksCommand() *cobra.Command {
	f := &locksFlags{}
	c := &cobra.Command{
		Use:   "locks",
		Short: "Run real nodes under faults, and judge what clients saw of their locks",
		Long: "locks starts `dyno serve` processes on this machine, has clients fight over locks, and\n" +
			"others read and write keys, while nodes are killed, paused and moved, leaders above\n" +
			"all, and judges the history. It also tells how soon after a leader's death somebody is\n" +
			"granted a lock. History and logs stay in the folder of --out where the verdict is red.",
		Args:    takes(0, 0),
		Example: "  dyno-jepsen locks --bin bin/dyno --seconds 60",
	}
	flags := c.Flags()
	flags.StringVar(&f.binary, "bin", filepath.Join("bin", "dyno"), "the dyno program")
	flags.Uint64Var(&f.seed, "seed", 0, "draws workload and faults (default: the time does)")
	flags.IntVar(&f.nodes, "nodes", 3, "how many nodes there are")
	flags.IntVar(&f.seconds, "seconds", 60, "how long faults come")
	flags.StringVar(&f.out, "out", "dyno-locks-results", "folder for history and logs")
	flags.BoolVar(&f.keep, "keep", false, "keep history and logs whatever the verdict is")
	c.RunE = a.does(func(ctx context.Context, _ []string) error { return a.locks(ctx, f) })
	return c
}

// config is what the flags ask for; the folder is there then, and empty.
func (f *locksFlags) config(tell func(string)) (real.LocksConfig, error) {
	if f.seed == 0 {
		f.seed = uint64(time.Now().UnixNano())
	}
	cfg := real.LocksConfig{
		Binary: f.binary, Dir: filepath.Join(f.out, fmt.Sprintf("seed-%d", f.seed)), Nodes: f.nodes,
		Seed: f.seed, Duration: time.Duration(f.seconds) * time.Second, Tell: tell,
	}
	if f.seconds < 1 || f.seconds > 3600 {
		return cfg, usage("--seconds %d: must be 1 to 3600", f.seconds)
	}
	if err := cfg.Check(); err != nil {
		return cfg, usage("%w", err)
	}
	if _, err := os.Stat(f.binary); err != nil {
		return cfg, usage("--bin: %w; `make build` makes one", err)
	}
	if err := os.RemoveAll(cfg.Dir); err != nil {
		return cfg, err
	}
	return cfg, os.MkdirAll(cfg.Dir, 0o700)
}

func (a *app) locks(ctx context.Context, f *locksFlags) error {
	bar := a.newBar("locks", -1)
	defer bar.done()
	cfg, err := f.config(bar.step)
	if err != nil {
		return err
	}
	h, err := real.Locks(ctx, cfg)
	if err != nil {
		return fmt.Errorf("seed %d: %w; logs are in %s", cfg.Seed, err, cfg.Dir)
	}
	path := filepath.Join(cfg.Dir, trial.HistoryFile)
	if err := writeHistory(path, h); err != nil {
		return err
	}
	bar.tell("judge")
	report, err := fleet.CheckFile(path)
	if err != nil {
		return err
	}
	for _, r := range real.Measure(h) {
		report.Results = append(report.Results, r)
		report.Verdict = worst(report.Verdict, r.Verdict)
	}
	bar.done()
	out := &locksOutput{
		head: newHead(), Seed: cfg.Seed, Ops: len(h.Ops), Faults: len(h.Events), History: path,
		Report: report,
	}
	if report.Verdict == checker.Valid && !f.keep {
		out.History = ""
		err = os.RemoveAll(cfg.Dir)
		_ = os.Remove(f.out) // other seeds may be there
	}
	return errors.Join(err, a.printLocks(out), ends(report.Verdict))
}

func writeHistory(path string, h *history.History) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(history.WriteAll(file, h), file.Close())
}

func (a *app) printLocks(out *locksOutput) error {
	if a.json {
		return a.printJSON(out)
	}
	p := a.newPage()
	p.printf("seed %d: %s, %d operations, %d faults\n", out.Seed, p.verdict(out.Verdict), out.Ops,
		out.Faults)
	var rows [][]any
	for i := range out.Results {
		r := &out.Results[i]
		rows = append(rows, []any{r.Checker, r.Verdict.String(), r.Count, firstLine(r.Why)})
	}
	p.table([]string{"checker", "verdict", "violations", "why"}, rows)
	for i := range out.Results {
		for _, s := range out.Results[i].Stats {
			p.printf("  %s: %s %.6g\n", out.Results[i].Checker, s.Name, s.Value)
		}
	}
	p.violations(out.Report, math.MaxInt, nil)
	if out.History != "" {
		p.printf("history and logs are in %s\n", filepath.Dir(out.History))
	}
	return p.err
}
