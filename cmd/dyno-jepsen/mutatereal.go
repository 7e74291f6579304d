// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/sandbox"
)

// seenInside are mutants that no client of real nodes can be shown in the time of a run: what
// sees them looks into nodes, which the simulator alone does.
var seenInside = map[mutant.Name]string{
	mutant.CleanMarkStays:    "needs a stop, a start and a loss of power without a write between",
	mutant.FetchedNotChecked: "needs a version cache of a few keys",
	mutant.KeepNotAwaited:    "an answer ahead of its sync, shorter than any loss of power meets",
}

// realMutants are a run with --real.
type realMutants struct {
	runFlags
	minutes float64 // of each mutant
}

// realCaught is what became of one mutant.
type realCaught struct {
	mutant.Info
	Caught  bool     `json:"caught"`
	Runs    int      `json:"runs"`
	Seconds float64  `json:"seconds"`
	Rules   []string `json:"rules,omitempty"`
	Count   int      `json:"violations"`
	// Errors is how many runs failed as such, which catches nothing; Last is why.
	Errors int    `json:"errors"`
	Last   string `json:"last,omitempty"`
	// Left says why it was not tried.
	Left string `json:"left,omitempty"`
}

// realScore is what it prints as JSON.
type realScore struct {
	head
	Pass    bool         `json:"pass"`
	Tried   int          `json:"tried"`
	Caught  int          `json:"caught"`
	Mutants []realCaught `json:"mutants"`
}

// mutateReal switches one mutant on after the other in real nodes, and makes runs until one
// breaks a rule, or the time is over.
func (a *app) mutateReal(ctx context.Context, f *realMutants, list []mutant.Info) error {
	if f.binary != "" {
		return usage("--real builds its program, with mutants: --bin can not be given")
	}
	if f.seed == 0 {
		f.seed = uint64(time.Now().UnixNano())
	}
	if _, err := f.config(); err != nil {
		return err
	}
	return a.sandboxed(func(s sandbox.Status) error {
		done, err := f.build(ctx, []string{"mutant"})
		if err != nil {
			return err
		}
		defer done()
		out := realScore{head: newHead()}
		for _, m := range list {
			c := realCaught{Info: m, Left: seenInside[m.Name]}
			if c.Left == "" {
				out.Tried++
				a.catchReal(ctx, f, s, &c)
			}
			if c.Caught {
				out.Caught++
			}
			if ctx.Err() != nil {
				break
			}
			out.Mutants = append(out.Mutants, c)
			a.say("%s %s: caught %t after %.0f s by %v %s", m.Number, m.Name, c.Caught, c.Seconds,
				c.Rules, c.Last+c.Left)
		}
		out.Pass = ctx.Err() == nil && 3*out.Caught >= 2*out.Tried
		v := checker.Valid
		if !out.Pass {
			v = checker.Invalid
		}
		return errors.Join(ctx.Err(), a.printRealScore(&out), ends(v))
	})
}

// catchReal makes runs with a mutant. A run that fails as such catches nothing.
func (a *app) catchReal(
	ctx context.Context, f *realMutants, s sandbox.Status, c *realCaught,
) {
	began := time.Now()
	most := time.Duration(f.minutes * float64(time.Minute))
	for ctx.Err() == nil && time.Since(began) < most && !c.Caught {
		one := f.runFlags
		one.mutant, one.seed = string(c.Name), f.seed+uint64(c.Runs)
		c.Runs++
		out, err := a.playOne(ctx, &one, s)
		if err != nil {
			c.Errors, c.Last = c.Errors+1, firstLine(err.Error())
			continue
		}
		for i := range out.Results {
			r := &out.Results[i]
			if r.Checker == "rig" {
				c.Errors, c.Last = c.Errors+1, firstLine(r.Why)
			}
			if r.Verdict != checker.Invalid || r.Checker == "availability" {
				continue
			}
			c.Caught, c.Count = true, c.Count+r.Count
			for _, v := range r.Violations {
				if !slices.Contains(c.Rules, v.Rule) {
					c.Rules = append(c.Rules, v.Rule)
				}
			}
		}
	}
	c.Seconds = time.Since(began).Seconds()
}

func (a *app) printRealScore(out *realScore) error {
	if a.json {
		return a.printJSON(out)
	}
	p := a.newPage()
	var rows [][]any
	for _, c := range out.Mutants {
		caught := "no"
		switch {
		case c.Left != "":
			caught = "not tried"
		case c.Caught:
			caught = "yes"
		}
		rows = append(rows, []any{
			c.Number, string(c.Name), caught, c.Runs, fmt.Sprintf("%.0f", c.Seconds), c.Count,
			strings.Join(c.Rules, ", "), c.Left + c.Last,
		})
	}
	p.table([]string{"no", "mutant", "caught", "runs", "seconds", "violations", "by", "why not"}, rows)
	p.printf("%d of %d caught\n", out.Caught, out.Tried)
	return p.err
}
