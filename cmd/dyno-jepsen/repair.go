// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/real"
	"github.com/dyno-kv/dyno/sim/fleet"
)

func (a *app) repairCommand() *cobra.Command {
	f := &realFlags{}
	c := &cobra.Command{
		Use:   "repair",
		Short: "Run real nodes that lose what they have, and judge what clients saw of their keys",
		Long: "repair starts `dyno serve` processes on this machine, has clients write, read and\n" +
			"delete, in a bucket with fallbacks and in one without, while nodes are down, fallbacks\n" +
			"are killed with their hints, directories are wiped or put back to older copies, and\n" +
			"judges the histories. In the end it waits for hints and repairs, and demands that all\n" +
			"copies are the same. Histories and logs stay in the folder of --out where the verdict\n" +
			"is red.",
		Args:    takes(0, 0),
		Example: "  dyno-jepsen repair --bin bin/dyno --seconds 60",
	}
	f.flags(c, 4, "dyno-repair-results")
	c.RunE = a.does(func(ctx context.Context, _ []string) error { return a.repair(ctx, f) })
	return c
}

func (a *app) repair(ctx context.Context, f *realFlags) error {
	bar := a.newBar("repair", -1)
	defer bar.done()
	f.draw()
	cfg := real.Config{
		Binary: f.binary, Dir: f.dir(), Nodes: f.nodes, Seed: f.seed, Duration: f.duration(),
		Tell: bar.step,
	}
	if err := f.prepare(cfg.Check(real.LeastRepairNodes)); err != nil {
		return err
	}
	run, err := real.Repair(ctx, cfg)
	if err != nil {
		return fmt.Errorf("seed %d: %w; logs are in %s", cfg.Seed, err, cfg.Dir)
	}
	bar.tell("judge")
	out := &realOutput{History: cfg.Dir, Report: &checker.Report{Verdict: checker.Valid}}
	for _, bucket := range slices.Sorted(maps.Keys(run.Histories)) {
		h := run.Histories[bucket]
		path := filepath.Join(cfg.Dir, "history-"+bucket+".jsonl")
		if err := writeHistory(path, h); err != nil {
			return err
		}
		report, err := fleet.CheckFile(path)
		if err != nil {
			return err
		}
		out.Ops, out.Faults = out.Ops+len(h.Ops), len(h.Events)
		for _, r := range append(report.Results, real.JudgeCopies(run.Copies[bucket])) {
			r.Checker = bucket + ": " + r.Checker
			out.Report.Results = append(out.Report.Results, r)
			out.Report.Verdict = worst(out.Report.Verdict, r.Verdict)
		}
	}
	bar.done()
	return a.finish(f, out)
}
