// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/fleet"
	"github.com/dyno-kv/dyno/sim/trial"
)

// defaultOut is where red seeds go.
const defaultOut = "dyno-sim-results"

// simFlags are those of `dyno-jepsen sim`.
type simFlags struct {
	programFlags
	drawFlags
	seed     uint64
	seeds    int
	from     uint64
	minutes  float64
	one      bool // --seed was given
	counted  bool // --seeds was
	timed    bool // --minutes was
	twice    bool
	failFast bool
	points   bool
	keep     bool
	out      string
}

// simOutput is what it prints as JSON.
type simOutput struct {
	head
	*fleet.Summary
}

func (a *app) simCommand() *cobra.Command {
	f := &simFlags{programFlags: programFlags{app: a}}
	c := &cobra.Command{
		Use:   "sim",
		Short: "Run seeds: each is a cluster of its own, in simulated time, under faults",
		Long: "sim draws a plan from each seed, runs it in a process of its own, and judges it.\n" +
			"A red seed is kept in the folder of --out, with the command that runs it again.",
		Args: takes(0, 0),
		Example: "  dyno-jepsen sim --seeds 200\n  dyno-jepsen sim --seed 17 --keep\n" +
			"  dyno-jepsen sim --minutes 480 --points",
	}
	f.programFlags.add(c)
	f.addMutant(c)
	f.drawFlags.add(c)
	flags := c.Flags()
	flags.Uint64Var(&f.seed, "seed", 0, "run this seed alone")
	flags.IntVar(&f.seeds, "seeds", 0, "run so many seeds (default 20, without --minutes)")
	flags.Uint64Var(&f.from, "from", 0, "the first seed")
	flags.Float64Var(&f.minutes, "minutes", 0, "begin seeds for so long")
	flags.BoolVar(&f.twice, "twice", false, "run each seed in two processes at once, and compare")
	flags.BoolVar(&f.failFast, "failfast", false, "stop at the first red seed")
	flags.BoolVar(&f.points, "points", false, "demand that every failpoint was passed")
	flags.BoolVar(&f.keep, "keep", false, "keep the files of valid seeds as well")
	flags.StringVar(&f.out, "out", defaultOut, "folder for the files of red seeds")
	c.MarkFlagsMutuallyExclusive("seed", "seeds")
	c.MarkFlagsMutuallyExclusive("seed", "from")
	c.MarkFlagsMutuallyExclusive("seed", "minutes")
	c.MarkFlagsMutuallyExclusive("twice", "plain")
	c.MarkFlagsMutuallyExclusive("twice", "race")
	c.RunE = a.does(func(ctx context.Context, _ []string) error {
		f.one = c.Flags().Changed("seed")
		f.counted, f.timed = c.Flags().Changed("seeds"), c.Flags().Changed("minutes")
		return f.run(ctx)
	})
	return c
}

// sweep is what the flags ask for.
func (f *simFlags) sweep() (*fleet.Sweep, error) {
	draw, o, err := f.drawer()
	if err != nil {
		return nil, err
	}
	s := &fleet.Sweep{
		From: f.from, Seeds: f.seeds, Parallel: f.parallel, Twice: f.twice, FailFast: f.failFast,
		Draw: draw, Options: fleet.RunOptions{Mutant: f.mutant, Keep: f.place},
	}
	const most = 60 * 24 * 365
	switch {
	case f.counted && f.seeds < 1:
		return nil, usage("--seeds %d: must be at least 1", f.seeds)
	case f.timed && !(f.minutes > 0 && f.minutes <= most):
		return nil, usage("--minutes %g: must be more than 0, and %d at most", f.minutes, most)
	case f.one:
		s.From, s.Seeds = f.seed, 1
	case !f.counted && !f.timed:
		const few = 20
		s.Seeds = few
	}
	if err := fits(s.From, s.Seeds); err != nil {
		return nil, err
	}
	s.Time = time.Duration(f.minutes * float64(time.Minute))
	if f.points {
		for _, p := range o.Points {
			s.Points = append(s.Points, p.Name)
		}
	}
	return s, nil
}

// fits checks that there are so many seeds.
func fits(from uint64, seeds int) error {
	if seeds > 0 && from+uint64(seeds-1) < from {
		return usage("--from %d --seeds %d: the last seed there is is %d",
			from, seeds, uint64(math.MaxUint64))
	}
	return nil
}

// place is where the files of a run go, "" where nobody wants them.
func (f *simFlags) place(r *trial.Result) string {
	if !fleet.Red(r) && !f.keep {
		return ""
	}
	return filepath.Join(f.out, fmt.Sprintf("seed-%d", r.Plan.Seed))
}

func (f *simFlags) run(ctx context.Context) error {
	s, err := f.sweep()
	if err != nil {
		return err
	}
	children, done, err := f.children(ctx)
	if err != nil {
		return err
	}
	defer done()
	if f.twice && !children.Program.Replayable {
		return fmt.Errorf("--twice needs the edited runtime: %s", children.Program.Why)
	}
	n := s.Seeds
	if n == 0 {
		n = -1
	}
	b := f.app.newBar("seeds", n)
	sum, err := s.Run(ctx, children, func(r *trial.Result) {
		b.step("")
		if fleet.Red(r) {
			b.say("%s", f.redLine(r))
		}
	})
	b.done()
	if printed := f.print(sum); printed != nil && err == nil {
		err = printed
	}
	if err != nil {
		return err
	}
	return ends(sum.Verdict)
}

// redLine tells of a red seed in one line, with the command that runs it again.
func (f *simFlags) redLine(r *trial.Result) string {
	text := ""
	if len(r.Problems) > 0 {
		text = firstLine(r.Problems[0].Text)
	}
	return fmt.Sprintf("seed %d: %s: %s: %s\n  again: %s",
		r.Plan.Seed, r.Verdict, strings.Join(fleet.Rules(r), ", "), text, f.again(r))
}

// again is the command that runs a seed once more: from its file, unless there is none.
func (f *simFlags) again(r *trial.Result) string {
	words := []string{"dyno-jepsen", "replay", filepath.Join(f.place(r), fleet.PlanFile)}
	if !fleet.Stored(r) {
		words = append(words[:2], "--seed", fmt.Sprint(r.Plan.Seed))
		if f.engine != "" {
			words = append(words, "--engine", f.engine)
		}
		if f.group != "" {
			words = append(words, "--group", f.group)
		}
		if len(f.without) > 0 {
			words = append(words, "--without", strings.Join(f.without, ","))
		}
	}
	return strings.Join(words, " ") + mutantFlag(f.mutant)
}

func (f *simFlags) print(sum *fleet.Summary) error {
	if f.app.json {
		return f.app.printJSON(simOutput{newHead(), sum})
	}
	p := f.app.newPage()
	p.summary(sum)
	if len(sum.Red) > 0 {
		p.printf("\nFiles of red seeds are in %s.\n", f.out)
	}
	return p.err
}

func (p *page) summary(s *fleet.Summary) {
	p.printf("%s: %d seeds from %d on: %d valid, %d invalid, %d unknown\n",
		p.verdict(s.Verdict), s.Seeds, s.From, s.Valid, s.Invalid, s.Unknown)
	for _, why := range s.Reasons {
		p.printf("  unknown: %s\n", why)
	}
	const most = 50
	for _, r := range s.Red[:min(len(s.Red), most)] {
		p.printf("  seed %d: %s: %s\n", r.Seed, r.Verdict, strings.Join(r.Rules, ", "))
	}
	if s.Seeds == 0 {
		return
	}
	p.printf("\n")
	runtime := "the stock one: not replayable"
	if s.Replayable {
		runtime = "edited, " + s.Edits + ": each seed repeats itself"
	}
	rows := [][]any{
		{"runtime", runtime},
		{"operations", fmt.Sprintf("%d, %.1f %% ok", s.Operations, 100*s.OKShare)},
		{"had to succeed", fmt.Sprintf("%d, %.1f %% ok", s.Fair, 100*s.FairShare)},
		{"messages", fmt.Sprintf("%d, %s", s.Messages, size(int64(s.Bytes)))},
		{"simulated time", fmt.Sprintf("%.2f h", s.FakeHours)},
		{"time here", fmt.Sprintf("%.1f s, %.1f s of processors", s.WallSeconds, s.CPUSeconds)},
		{"rate", fmt.Sprintf("%.0f seeds an hour, %.0f for each of %d cores",
			s.SeedsPerHour, s.SeedsPerCoreHour, s.Cores)},
		{"most memory", fmt.Sprintf("%s, seed %d", size(s.Peak), s.PeakSeed)},
		{"failpoints passed", len(s.Points) - zeros(s.Points)},
	}
	if s.Mutant != "" {
		rows = append(rows, []any{"mutant", s.Mutant})
	}
	for _, name := range s.DamageNames() {
		rows = append(rows, []any{name, s.Damage[name]})
	}
	p.table([]string{"what", "how much"}, rows)
	p.printf("\n")
	rows = nil
	for _, k := range s.Kinds {
		if k.Drawn == 0 {
			continue
		}
		rows = append(rows, []any{string(k.Kind), k.Drawn, k.Bit})
	}
	p.table([]string{"fault", "drawn in seeds", "met something in"}, rows)
}

func zeros(counts map[string]int) (n int) {
	for _, c := range counts {
		if c == 0 {
			n++
		}
	}
	return n
}

// worst is the worse of two verdicts.
func worst(a, b checker.Verdict) checker.Verdict {
	switch {
	case a == checker.Invalid || b == checker.Invalid:
		return checker.Invalid
	case a == checker.Valid && b == checker.Valid:
		return checker.Valid
	default:
		return checker.Unknown
	}
}
