// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/nemesis"
	"github.com/dyno-kv/dyno/jepsen/rig"
	"github.com/dyno-kv/dyno/jepsen/sandbox"
)

// cell is one run of a matrix.
type cell struct {
	Workload string          `json:"workload"`
	Nemesis  string          `json:"nemesis"`
	Seed     uint64          `json:"seed"`
	Verdict  checker.Verdict `json:"verdict"`
	Ops      int             `json:"operations"`
	Kinds    int             `json:"kinds"`
	Rules    []string        `json:"rules,omitempty"`
	Why      string          `json:"why,omitempty"`
	Dir      string          `json:"dir,omitempty"` // where what it left is; empty: it was valid
}

// matrixOutput is what it prints as JSON.
type matrixOutput struct {
	head
	Verdict checker.Verdict `json:"verdict"`
	Cells   []cell          `json:"cells"`
}

func (a *app) matrixCommand() *cobra.Command {
	f := &runFlags{}
	var minutes float64
	c := &cobra.Command{
		Use:   "matrix",
		Short: "Run every workload under every group of faults",
		Long: "matrix makes a run for each workload and each group of faults, one after the other,\n" +
			"and prints a table. --workload and --nemesis say which; --seed is that of the first run,\n" +
			"and each has the next one. With --minutes it begins again until the time is over. What red\n" +
			"runs left stays in the folder of --out.",
		Args:    takes(0, 0),
		Example: "  dyno-jepsen matrix --time 1m\n  dyno-jepsen matrix --minutes 180 --nemesis disk,data",
	}
	f.flags(c)
	c.Flags().Float64Var(&minutes, "minutes", 0, "begin runs for so long (default: each once)")
	c.RunE = a.does(func(ctx context.Context, _ []string) error {
		if f.seed == 0 {
			f.seed = uint64(time.Now().UnixNano())
		}
		if _, err := f.config(); err != nil {
			return err
		}
		if minutes < 0 || minutes > 60*24*7 {
			return usage("--minutes %g: must be 0 to a week", minutes)
		}
		return a.sandboxed(func(s sandbox.Status) error {
			done, err := f.build(ctx, nil)
			if err != nil {
				return err
			}
			defer done()
			return a.matrix(ctx, f, s, time.Duration(minutes*float64(time.Minute)))
		})
	})
	return c
}

// matrix makes the runs, each once, or until the time is over.
func (a *app) matrix(
	ctx context.Context, f *runFlags, s sandbox.Status, most time.Duration,
) error {
	workloads, nemeses := f.workloads, f.nemeses
	if len(workloads) == 0 {
		workloads = rig.Workloads()
	}
	if len(nemeses) == 0 {
		for _, g := range nemesis.Groups() {
			nemeses = append(nemeses, string(g))
		}
	}
	out := matrixOutput{head: newHead(), Verdict: checker.Valid}
	began := time.Now()
	seed := f.seed
	for again := true; again && ctx.Err() == nil; again = time.Since(began) < most {
		for _, n := range nemeses {
			for _, w := range workloads {
				if ctx.Err() != nil || most > 0 && time.Since(began) >= most {
					break
				}
				one := *f
				one.workloads, one.nemeses, one.seed = []string{w}, []string{n}, seed
				seed++
				out.Cells = append(out.Cells, a.cell(ctx, &one, s))
				got := &out.Cells[len(out.Cells)-1]
				out.Verdict = worst(out.Verdict, got.Verdict)
				a.say("%s under %s, seed %d: %s %v %s", w, n, one.seed, got.Verdict, got.Rules, got.Why)
			}
		}
	}
	return errors.Join(ctx.Err(), a.printMatrix(&out), ends(out.Verdict))
}

// cell makes one run. An error is one of the rig: nothing was shown.
func (a *app) cell(ctx context.Context, f *runFlags, s sandbox.Status) cell {
	c := cell{
		Workload: f.workloads[0], Nemesis: f.nemeses[0], Seed: f.seed, Verdict: checker.Unknown,
	}
	out, err := a.playOne(ctx, f, s)
	if err != nil {
		c.Why = firstLine(err.Error())
		c.Dir = filepath.Join(f.out, fmt.Sprintf("seed-%d", f.seed))
		return c
	}
	c.Verdict, c.Ops, c.Kinds, c.Dir = out.Verdict, out.Ops, out.Kinds, out.dir
	for i := range out.Results {
		r := &out.Results[i]
		if r.Verdict == checker.Unknown && c.Why == "" {
			c.Why = r.Checker + ": " + firstLine(r.Why)
		}
		for _, v := range r.Violations {
			if !slices.Contains(c.Rules, v.Rule) {
				c.Rules = append(c.Rules, v.Rule)
			}
		}
	}
	if c.Verdict == checker.Valid {
		if err := os.RemoveAll(out.dir); err != nil {
			c.Why = err.Error()
		}
		c.Dir = ""
	}
	return c
}

func (a *app) printMatrix(out *matrixOutput) error {
	if a.json {
		return a.printJSON(out)
	}
	p := a.newPage()
	var rows [][]any
	for _, c := range out.Cells {
		rows = append(rows, []any{
			c.Workload, c.Nemesis, c.Seed, c.Verdict.String(), c.Ops, c.Kinds,
			fmt.Sprint(c.Rules), c.Why,
		})
	}
	p.table([]string{"workload", "nemesis", "seed", "verdict", "operations", "kinds", "rules", "why"},
		rows)
	p.printf("%s: %d runs\n", p.verdict(out.Verdict), len(out.Cells))
	return p.err
}
