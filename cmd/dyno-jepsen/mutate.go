// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/fleet"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// mutateFlags are those of `dyno-jepsen mutate`.
type mutateFlags struct {
	programFlags
	drawFlags
	seeds      int
	from       uint64
	clean      int
	corruptors int
	minutes    float64
	out        string
	real       bool
	each       realMutants
}

// mutateOutput is what it prints as JSON.
type mutateOutput struct {
	head
	Verdict checker.Verdict `json:"verdict"`
	Pass    bool            `json:"pass"`
	// Clean is the sweep without any mutant, if one was asked for.
	Clean *fleet.Summary `json:"clean,omitempty"`
	*fleet.Score
	Corruptions *fleet.Corruptions `json:"corruptions,omitempty"`
}

func (a *app) mutateCommand() *cobra.Command {
	f := &mutateFlags{programFlags: programFlags{app: a}}
	c := &cobra.Command{
		Use:   "mutate [MUTANT...]",
		Short: "Ask after how many seeds each known bug is seen",
		Long: "mutate switches one known bug of the product on after the other, and runs seeds until\n" +
			"one is invalid that is not invalid without the bug. It ends with 0 if all are caught,\n" +
			"half of them within " + fmt.Sprint(fleet.MutantsMedian) + " seeds; with 1 if one had all " +
			"its seeds and was not caught, or half\nneeded more; with 2 if the time was too short. " +
			"With --corruptors it spoils histories of\nclean runs instead: each must find a place " +
			"to spoil, and be caught wherever it did. With --real real nodes have the bug, as those\n" +
			"of `run`: each is given --minutes (10), and two thirds of them must break a rule.",
		Args: takes(0, 1<<10),
		Example: "  dyno-jepsen mutate\n  dyno-jepsen mutate --clean 1000\n" +
			"  dyno-jepsen mutate --corruptors 20",
	}
	f.programFlags.add(c)
	f.drawFlags.add(c)
	flags := c.Flags()
	flags.IntVar(&f.seeds, "seeds", 200, "run so many seeds at most for each mutant")
	flags.Float64Var(&f.minutes, "minutes", 120, "begin seeds for so long, for all mutants together")
	flags.Uint64Var(&f.from, "from", 0, "the first seed")
	flags.IntVar(&f.clean, "clean", 0,
		"run so many seeds without any mutant before: all must be valid")
	flags.IntVar(&f.corruptors, "corruptors", 0, "spoil the histories of so many seeds")
	flags.StringVar(&f.out, "out", "", "folder for the files of the seeds that caught one")
	flags.BoolVar(&f.real, "real", false, "run real nodes")
	flags.IntVar(&f.each.nodes, "nodes", 4, "how many there are, with --real")
	flags.DurationVar(&f.each.time, "time", time.Minute, "how long each run takes, with --real")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		if f.real {
			return f.runReal(ctx, args, c.Flags().Changed("minutes"))
		}
		return f.run(ctx, args)
	})
	return c
}

// list is what the command line names: all, if nothing.
func (f *mutateFlags) list(args []string) ([]mutant.Info, error) {
	const most = 60 * 24 * 7
	if !(f.minutes > 0 && f.minutes <= most) {
		return nil, usage("--minutes %g: must be more than 0, and %d at most", f.minutes, most)
	}
	if f.seeds < 1 || f.clean < 0 || f.corruptors < 0 {
		return nil, usage("--seeds must be at least 1; --clean and --corruptors not negative")
	}
	if err := fits(f.from, max(f.seeds, f.clean, f.corruptors)); err != nil {
		return nil, err
	}
	if f.corruptors > 0 && len(args) > 0 {
		return nil, usage("--corruptors takes no mutants")
	}
	if len(args) == 0 {
		return mutant.All(), nil
	}
	var list []mutant.Info
	for _, name := range args {
		f.mutant = name
		if err := f.check(); err != nil { // it knows the names
			return nil, err
		}
		m, _ := mutant.Find(mutant.Name(name))
		list = append(list, m)
	}
	f.mutant = ""
	return list, nil
}

// runReal has real nodes have the mutants.
func (f *mutateFlags) runReal(ctx context.Context, args []string, minutes bool) error {
	list, err := f.list(args)
	if err != nil {
		return err
	}
	const usual = 10
	f.each.minutes, f.each.seed, f.each.rate = f.minutes, f.from, 1500
	if !minutes {
		f.each.minutes = usual
	}
	if f.each.out = f.out; f.out == "" {
		f.each.out = "dyno-jepsen-results"
	}
	f.each.source = f.build.Source
	return f.app.mutateReal(ctx, &f.each, list)
}

func (f *mutateFlags) run(ctx context.Context, args []string) error {
	list, err := f.list(args)
	if err != nil {
		return err
	}
	draw, _, err := f.drawer()
	if err != nil {
		return err
	}
	f.build.Mutant = f.corruptors == 0
	children, done, err := f.children(ctx)
	if err != nil {
		return err
	}
	defer done()
	out := mutateOutput{head: newHead(), Verdict: checker.Valid}
	if f.corruptors > 0 {
		err = f.corrupt(ctx, children, draw, &out)
	} else {
		err = f.catch(ctx, children, draw, list, &out)
	}
	if err != nil {
		return err
	}
	if f.app.json {
		out.Pass = out.Verdict == checker.Valid
		if err := f.app.printJSON(out); err != nil {
			return err
		}
	}
	return ends(out.Verdict)
}

// catch runs the clean seeds and then the mutants.
func (f *mutateFlags) catch(
	ctx context.Context, r fleet.Runner, draw func(uint64) *plan.Plan, list []mutant.Info,
	out *mutateOutput,
) error {
	if f.clean > 0 {
		b := f.app.newBar("clean seeds", f.clean)
		s := fleet.Sweep{
			From: f.from, Seeds: f.clean, Time: f.time(), Parallel: f.parallel, Draw: draw,
		}
		sum, err := s.Run(ctx, r, func(res *trial.Result) {
			b.step("")
			if fleet.Red(res) {
				b.say("clean seed %d: %s: %s", res.Plan.Seed, res.Verdict, fleet.Rules(res))
			}
		})
		b.done()
		if err != nil {
			return err
		}
		out.Clean, out.Verdict = sum, cleanVerdict(sum, f.clean)
	}
	b := f.app.newBar("mutants", len(list))
	m := fleet.Mutants{
		List: list, From: f.from, Seeds: f.seeds, Parallel: f.parallel, Draw: draw, Keep: f.place,
		Time: f.time(),
		Progress: func(name mutant.Name, seeds int) {
			b.tell(fmt.Sprintf("%s, seed %d of %d", name, seeds, f.seeds))
		},
	}
	score, err := m.Run(ctx, r, func(c fleet.Caught) { b.step(string(c.Name)) })
	b.done()
	out.Score, out.Verdict = score, worst(out.Verdict, score.Verdict())
	if f.app.json {
		return err
	}
	p := f.app.newPage()
	p.score(out)
	if err == nil {
		err = p.err
	}
	return err
}

func (f *mutateFlags) time() time.Duration {
	return time.Duration(f.minutes * float64(time.Minute))
}

// cleanVerdict is that of seeds without a mutant: each must be valid, however little a
// sweep as a whole has shown.
func cleanVerdict(sum *fleet.Summary, wanted int) checker.Verdict {
	switch {
	case sum.Invalid > 0:
		return checker.Invalid
	case sum.Unknown > 0 || sum.Seeds < wanted:
		return checker.Unknown
	default:
		return checker.Valid
	}
}

// place is where the files of a run that caught its mutant go.
func (f *mutateFlags) place(r *trial.Result) string {
	if f.out == "" || r.Verdict != checker.Invalid {
		return ""
	}
	return filepath.Join(f.out, r.Mutant, fmt.Sprintf("seed-%d", r.Plan.Seed))
}

func (p *page) score(out *mutateOutput) {
	if out.Clean != nil {
		p.printf("without a mutant: %d of %d seeds are valid\n\n", out.Clean.Valid, out.Clean.Seeds)
	}
	var rows [][]any
	for _, c := range out.Mutants {
		after, by := "never", ""
		if c.Cut {
			after = "no time"
		}
		if c.Caught {
			after, by = fmt.Sprint(c.After), strings.Join(c.Rules, ", ")
		}
		seconds := fmt.Sprintf("%.0f", c.Seconds)
		rows = append(rows, []any{c.Number, string(c.Name), after, by, seconds, c.What})
	}
	p.table([]string{"no", "mutant", "seeds", "by", "seconds", "what it does"}, rows)
	if alarms := alarmsOf(out.Score); len(alarms) > 0 {
		p.printf("\nInvalid without any mutant, and not counted: seeds %v\n", alarms)
	}
	if out.Spent {
		p.printf("\nThe time (--minutes) was too short for all seeds.\n")
	}
	p.printf("\n%s: %d of %d caught, median %g seeds, worst %d\n",
		p.verdict(out.Score.Verdict()), out.Caught, len(out.Mutants), out.Median, out.Worst)
}

// alarmsOf are the seeds that are red on the product itself.
func alarmsOf(s *fleet.Score) []uint64 {
	var seeds []uint64
	for i := range s.Mutants {
		seeds = append(seeds, s.Mutants[i].Alarms...)
	}
	slices.Sort(seeds)
	return slices.Compact(seeds)
}

// corrupt spoils histories.
func (f *mutateFlags) corrupt(
	ctx context.Context, r fleet.Runner, draw func(uint64) *plan.Plan, out *mutateOutput,
) error {
	b := f.app.newBar("histories", f.corruptors)
	s := fleet.Sweep{
		From: f.from, Seeds: f.corruptors, Time: f.time(), Parallel: f.parallel, Draw: draw,
	}
	c, err := fleet.Corrupt(ctx, r, s, func() { b.step("") })
	b.done()
	if err != nil {
		return err
	}
	out.Corruptions = c
	switch {
	case c.Pass && c.Seeds == f.corruptors:
	case c.Seeds < f.corruptors || c.Histories == 0:
		out.Verdict = checker.Unknown
	default:
		out.Verdict = checker.Invalid
	}
	if f.app.json {
		return nil
	}
	p := f.app.newPage()
	p.printf("%d of %d seeds gave a clean history\n\n", c.Histories, c.Seeds)
	var rows [][]any
	for _, x := range c.Corruptors {
		rows = append(rows, []any{x.Name, x.Spoiled, x.Caught, x.What})
	}
	p.table([]string{"corruptor", "spoiled", "caught", "what it does"}, rows)
	return p.err
}
