// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/jepsen/real"
	"github.com/dyno-kv/dyno/jepsen/report"
	"github.com/dyno-kv/dyno/sim/fleet"
	"github.com/dyno-kv/dyno/sim/trial"
)

func (a *app) locksCommand() *cobra.Command {
	f := &realFlags{}
	c := &cobra.Command{
		Use:   "locks",
		Short: "Run real nodes under faults, and judge what clients saw of their locks",
		Long: "locks starts `dyno serve` processes on this machine, has clients fight over locks, and\n" +
			"others read and write keys, while nodes are killed, paused and moved, leaders above\n" +
			"all, and judges the history. It also tells how soon after a leader's death somebody is\n" +
			"granted a lock. History, logs and a report stay in the folder of --out where the verdict\n" +
			"is red.",
		Args:    takes(0, 0),
		Example: "  dyno-jepsen locks --bin bin/dyno --seconds 60",
	}
	f.flags(c, 3, "dyno-locks-results")
	c.RunE = a.does(func(ctx context.Context, _ []string) error { return a.locks(ctx, f) })
	return c
}

func (a *app) locks(ctx context.Context, f *realFlags) error {
	bar := a.newBar("locks", -1)
	defer bar.done()
	f.draw()
	cfg := real.Config{
		Binary: f.binary, Dir: f.dir(), Nodes: f.nodes, Seed: f.seed, Duration: f.duration(),
		Tell: bar.step,
	}
	if err := f.prepare(cfg.Check(real.LeastLockNodes)); err != nil {
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
	found, err := fleet.CheckHistory(h, nil)
	if err != nil {
		return err
	}
	run := report.RunOf(h)
	run.Command = fmt.Sprintf("dyno-jepsen locks --seed %d --nodes %d --seconds %d --bin %s",
		f.seed, f.nodes, f.seconds, f.binary)
	run.Workload, run.Nodes, run.Duration = "locks", f.nodes, cfg.Duration
	run.Commit, run.Toolchain = builtFrom(f.binary)
	run.Judged = real.Measure(h)
	found = withJudged(found, run)
	page, err := leave(cfg.Dir, h, run, found)
	if err != nil {
		return err
	}
	bar.done()
	return a.finish(f, &realOutput{
		Ops: len(h.Ops), Faults: len(h.Events), History: path, Page: page, Report: found,
	})
}
