// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/sim/fleet"
	"github.com/dyno-kv/dyno/sim/plan"
)

// shrinkFlags are those of `dyno-jepsen shrink`.
type shrinkFlags struct {
	programFlags
	rule    string
	runs    int
	tries   int
	minutes float64
	to      string
}

// shrinkOutput is what it prints as JSON.
type shrinkOutput struct {
	head
	Path string `json:"path"`
	*fleet.Shrunk
}

func (a *app) shrinkCommand() *cobra.Command {
	f := &shrinkFlags{programFlags: programFlags{app: a}}
	c := &cobra.Command{
		Use:   "shrink PLAN.json",
		Short: "Make a red plan smaller, as long as it breaks the same rule",
		Long: "shrink leaves faults out, then loads, sessions, time and knobs, and runs what is left.\n" +
			"It writes the smallest plan that still breaks one of the rules that the first one breaks.\n" +
			"The exit code is the verdict of that plan, so 1 where it found one.",
		Args: takes(1, 1),
		Example: "  dyno-jepsen shrink dyno-sim-results/seed-17/plan.json\n" +
			"  dyno-jepsen shrink plan.json --runs 1000 --minutes 60 --to smallest.json",
	}
	f.programFlags.add(c)
	f.addMutant(c)
	flags := c.Flags()
	flags.IntVar(&f.runs, "runs", 200, "run so many plans at most")
	flags.IntVar(&f.tries, "tries", 2, "run what a step leaves with so many seeds")
	flags.Float64Var(&f.minutes, "minutes", 60, "search for so long at most")
	flags.StringVar(&f.rule, "rule", "",
		"the rule that must stay broken (default any whose violations tell how they came about)")
	flags.StringVar(&f.to, "to", "", "file for the result (default PLAN.min.json)")
	c.RunE = a.does(func(ctx context.Context, args []string) error { return f.run(ctx, args[0]) })
	return c
}

func (f *shrinkFlags) run(ctx context.Context, path string) error {
	const most = 60 * 24 * 7
	if f.runs < 1 || !(f.minutes > 0 && f.minutes <= most) {
		return usage("--runs %d, --minutes %g: must be at least 1, and more than 0 to %d",
			f.runs, f.minutes, most)
	}
	if f.tries < 1 || f.tries > f.runs {
		return usage("--tries %d: must be 1 to --runs, %d", f.tries, f.runs)
	}
	if f.to == "" {
		f.to = strings.TrimSuffix(path, ".json") + ".min.json"
	}
	p, err := fleet.ReadPlan(path)
	if err != nil {
		return err
	}
	children, done, err := f.children(ctx)
	if err != nil {
		return err
	}
	defer done()
	b := f.app.newBar("runs", f.runs)
	s := fleet.Shrink{
		Runs: f.runs, Tries: f.tries, Parallel: f.parallel,
		Time: time.Duration(f.minutes * float64(time.Minute)),
		Rule: f.rule, Options: fleet.RunOptions{Mutant: f.mutant},
		Progress: func(now fleet.Progress) {
			b.step(fmt.Sprintf("%d faults, %d loads; %s", now.Faults, now.Loads, now.What))
		},
	}
	found, err := s.Run(ctx, children, p)
	b.done()
	if errors.Is(err, fleet.ErrGreen) {
		return fmt.Errorf("%s: %w: there is nothing to shrink towards", path, err)
	}
	if found == nil || found.Runs == 0 {
		return err
	}
	// What an interrupt, or an error, has left is worth keeping as well.
	return errors.Join(err, f.write(found.Plan), f.print(found), ends(found.Result.Verdict))
}

func (f *shrinkFlags) write(p *plan.Plan) error {
	out, err := os.Create(f.to)
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return errors.Join(plan.Write(out, p), out.Close())
}

func (f *shrinkFlags) print(found *fleet.Shrunk) error {
	if f.app.json {
		return f.app.printJSON(shrinkOutput{newHead(), f.to, found})
	}
	p := f.app.newPage()
	for i, n := 0, 0; i < len(found.Steps); i += n {
		n = 1
		for i+n < len(found.Steps) && found.Steps[i+n] == found.Steps[i] {
			n++
		}
		if p.printf("%s", found.Steps[i]); n > 1 {
			p.printf(", %d times", n)
		}
		p.printf("\n")
	}
	p.printf("%d runs; rules %s\n", found.Runs, strings.Join(found.Rules, ", "))
	if found.Spent {
		p.printf("The search ended with its bounds (--runs, --minutes): it may get smaller.\n")
	}
	p.printf("\n")
	p.schedule(found.Plan, found.Result)
	p.printf("\n")
	p.result(found.Result)
	p.printf("\nWritten to %s.\n", f.to)
	return p.err
}
