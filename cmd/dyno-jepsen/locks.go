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
	seconds int
	out     string
}

// locksOutput is what it prints as JSON.
type locksOutput struct {
	head
	Seed    uint64 `json:"seed"`
	Ops     int    `json:"operations"`
	Faults  int    `json:"faults"`
	History string `json:"history"`
	*checker.Report
}

func (a *app) locksCommand() *cobra.Command {
	f := &locksFlags{}
	c := &cobra.Command{
		Use:   "locks",
		Short: "Run three real nodes under faults, and judge what clients saw of their locks",
		Long: "locks starts three `dyno serve` processes on this machine, has clients fight over\n" +
			"locks while nodes are killed and paused, leaders above all, and judges the history.\n" +
			"What the nodes left stays in the folder of --out where the verdict is red.",
		Args:    takes(0, 0),
		Example: "  dyno-jepsen locks --binary bin/dyno --seconds 60",
	}
	flags := c.Flags()
	flags.StringVar(&f.binary, "binary", filepath.Join("bin", "dyno"), "the dyno program")
	flags.Uint64Var(&f.seed, "seed", 0, "draws workload and faults (default: the time does)")
	flags.IntVar(&f.seconds, "seconds", 60, "how long faults come")
	flags.StringVar(&f.out, "out", "dyno-locks-results", "folder for history and logs")
	c.RunE = a.does(func(ctx context.Context, _ []string) error { return a.locks(ctx, f) })
	return c
}

func (a *app) locks(ctx context.Context, f *locksFlags) error {
	if f.seconds < 1 || f.seconds > 3600 {
		return usage("--seconds %d: must be 1 to 3600", f.seconds)
	}
	if f.seed == 0 {
		f.seed = uint64(time.Now().UnixNano())
	}
	if _, err := os.Stat(f.binary); err != nil {
		return usage("--binary: %w; `make build` makes one", err)
	}
	dir := filepath.Join(f.out, fmt.Sprintf("seed-%d", f.seed))
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	h, err := real.Locks(ctx, real.LocksConfig{
		Binary: f.binary, Dir: dir, Seed: f.seed, Duration: time.Duration(f.seconds) * time.Second,
	})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, trial.HistoryFile)
	if err := writeHistory(path, h); err != nil {
		return err
	}
	report, err := fleet.CheckFile(path)
	if err != nil {
		return err
	}
	out := &locksOutput{
		head: newHead(), Seed: f.seed, Ops: len(h.Ops), Faults: len(h.Events), History: path,
		Report: report,
	}
	if report.Verdict == checker.Valid {
		out.History = ""
		err = os.RemoveAll(dir)
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
