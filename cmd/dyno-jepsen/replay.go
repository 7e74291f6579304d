// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/fleet"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// replayFlags are those of `dyno-jepsen replay`.
type replayFlags struct {
	programFlags
	drawFlags
	seed  uint64
	drawn bool
	times int
	out   string
}

// replayOutput is what it prints as JSON.
type replayOutput struct {
	head
	Verdict checker.Verdict `json:"verdict"`
	Plans   []replayed      `json:"plans"`
}

// replayed is one plan and its runs.
type replayed struct {
	// Path is the file that the plan came from; empty: a seed.
	Path string `json:"path,omitempty"`
	// Stored compares with the result that lies beside the plan, if there is one.
	Stored  string          `json:"stored,omitempty"`
	Results []*trial.Result `json:"results"`

	plan *plan.Plan
}

func (a *app) replayCommand() *cobra.Command {
	f := &replayFlags{programFlags: programFlags{app: a}}
	c := &cobra.Command{
		Use:   "replay PLAN.json|FOLDER...",
		Short: "Run plans again, and tell how what they break came about",
		Long: "replay runs plans that were kept, or the plan of a seed, and prints them as schedules.\n" +
			"Where result.json lies beside a plan, the two runs are compared.",
		Args: takes(0, 1<<10),
		Example: "  dyno-jepsen replay dyno-sim-results/seed-17/plan.json\n" +
			"  dyno-jepsen replay --seed 17 --times 3\n  dyno-jepsen replay jepsen/seeds",
	}
	f.programFlags.add(c)
	f.addMutant(c)
	f.drawFlags.add(c)
	flags := c.Flags()
	flags.Uint64Var(&f.seed, "seed", 0, "the plan of this seed")
	flags.IntVar(&f.times, "times", 1, "run each so often, and compare the runs")
	flags.StringVar(&f.out, "out", "", "folder for the files of the first run of each plan")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		f.drawn = c.Flags().Changed("seed")
		return f.run(ctx, args)
	})
	return c
}

// plans are those that the command line names.
func (f *replayFlags) plans(args []string) ([]*replayed, error) {
	draw, _, err := f.drawer()
	const most = 1000
	switch {
	case err != nil:
		return nil, err
	case f.drawn == (len(args) > 0):
		return nil, usage("it takes PLAN.json|FOLDER..., or --seed")
	case f.times < 1 || f.times > most:
		return nil, usage("--times %d: must be 1 to %d", f.times, most)
	case f.drawn:
		return []*replayed{{plan: draw(f.seed)}}, nil
	}
	var all []*replayed
	for _, path := range args {
		found, err := kept(path)
		if err != nil {
			return nil, err
		}
		for _, k := range found {
			all = append(all, &replayed{Path: k.Path, plan: k.Plan})
		}
	}
	return all, nil
}

// kept is the plan of a file, or those of a folder.
func kept(path string) ([]fleet.Kept, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if own := filepath.Join(path, fleet.PlanFile); info.IsDir() && isFile(own) {
		path, info = own, nil // the folder of a seed, which has other files
	}
	if info == nil || !info.IsDir() {
		p, err := fleet.ReadPlan(path)
		return []fleet.Kept{{Path: path, Plan: p}}, err
	}
	found, err := fleet.ReadKept(path)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%s has no plan: no file ends in .json", path)
	}
	return found, err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func (f *replayFlags) run(ctx context.Context, args []string) error {
	all, err := f.plans(args)
	if err != nil {
		return err
	}
	children, done, err := f.children(ctx)
	if err != nil {
		return err
	}
	defer done()
	out := replayOutput{head: newHead(), Verdict: checker.Valid}
	for _, x := range all {
		if err := f.replay(ctx, children, x); err != nil {
			return err
		}
		for _, r := range x.Results {
			out.Verdict = worst(out.Verdict, r.Verdict)
		}
		out.Plans = append(out.Plans, *x)
		if !f.app.json {
			short := len(all) > 1 || len(args) == 1 && args[0] != x.Path // or of a folder
			if err := f.print(x, short); err != nil {
				return err
			}
		}
	}
	if f.app.json {
		if err := f.app.printJSON(out); err != nil {
			return err
		}
	}
	return ends(out.Verdict)
}

// replay runs one plan as often as it is asked for. A sweep does it, that several run at
// once: its seeds are the runs.
func (f *replayFlags) replay(ctx context.Context, r fleet.Runner, x *replayed) error {
	o := fleet.RunOptions{Mutant: f.mutant}
	kept := false
	o.Keep = func(*trial.Result) string {
		if kept || f.out == "" {
			return ""
		}
		kept = true
		return filepath.Join(f.out, fmt.Sprintf("seed-%d", x.plan.Seed))
	}
	parallel := f.parallel
	if f.out != "" {
		parallel = 1 // the first run is the one that is kept
	}
	s := fleet.Sweep{
		Seeds: f.times, Parallel: parallel, Options: o,
		Draw: func(uint64) *plan.Plan { return x.plan },
	}
	b := f.app.newBar("runs", f.times)
	defer b.done()
	_, err := s.Run(ctx, r, func(res *trial.Result) {
		b.step("")
		if len(x.Results) > 0 && res.Replayable {
			fleet.Compare(res, x.Results[0])
		}
		x.Results = append(x.Results, res)
	})
	if err != nil {
		return err
	}
	return x.compare()
}

// compare looks for a result beside the plan.
func (x *replayed) compare() error {
	if x.Path == "" {
		return nil
	}
	before, err := fleet.ReadResult(filepath.Join(filepath.Dir(x.Path), trial.ResultFile))
	if errors.Is(err, os.ErrNotExist) || err == nil && before.Plan == nil {
		return nil
	}
	if err != nil {
		return err
	}
	if before.Plan.Seed == x.plan.Seed {
		x.Stored = comparison(x.Results[0], before)
	}
	return nil
}

func mutantFlag(name string) string {
	if name == "" {
		return ""
	}
	return " --mutant " + name
}

// print prints a plan and what its runs showed; of a valid one, if there are many, that.
func (f *replayFlags) print(x *replayed, short bool) error {
	p := f.app.newPage()
	if short {
		first := x.Results[0]
		p.printf("%s: %s\n", x.Path, p.verdict(first.Verdict))
		if !slices.ContainsFunc(x.Results, fleet.Red) {
			return p.err
		}
	}
	p.schedule(x.plan, x.Results[0])
	p.printf("\n")
	p.result(x.Results[0])
	for i, r := range x.Results[1:] {
		p.printf("run %d: %s, hash %s\n", i+2, p.verdict(r.Verdict), r.Hash)
	}
	if x.Stored != "" {
		p.printf("%s\n", x.Stored)
	}
	if x.Results[0].Verdict == checker.Invalid && x.Path != "" && len(x.plan.Faults) > 0 {
		p.printf("smaller: dyno-jepsen shrink %s%s\n", x.Path, mutantFlag(f.mutant))
	}
	return p.err
}
