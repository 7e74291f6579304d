// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/fleet"
)

// checkOutput is what `dyno-jepsen check` prints as JSON.
type checkOutput struct {
	head
	Verdict   checker.Verdict `json:"verdict"`
	Histories []checked       `json:"histories"`
}

type checked struct {
	Path string `json:"path"`
	*checker.Report
}

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check HISTORY.jsonl...",
		Short: "Judge histories that were kept",
		Long: "check runs all checkers over stored histories. What a history needs to be judged\n" +
			"stands in its header. One that was cut is unknown, unless what is there breaks a rule.",
		Args:    takes(1, 1<<10),
		Example: "  dyno-jepsen check dyno-sim-results/seed-17/history.jsonl",
		RunE: a.does(func(_ context.Context, args []string) error {
			out := checkOutput{head: newHead(), Verdict: checker.Valid}
			for _, path := range args {
				report, err := fleet.CheckFile(path)
				if err != nil {
					return err
				}
				out.Histories = append(out.Histories, checked{path, report})
				out.Verdict = worst(out.Verdict, report.Verdict)
			}
			if err := a.printChecked(&out); err != nil {
				return err
			}
			return ends(out.Verdict)
		}),
	}
}

func (a *app) printChecked(out *checkOutput) error {
	if a.json {
		return a.printJSON(out)
	}
	p := a.newPage()
	for _, h := range out.Histories {
		p.printf("%s: %s\n", h.Path, p.verdict(h.Verdict))
		var rows [][]any
		for i := range h.Results {
			r := &h.Results[i]
			rows = append(rows, []any{r.Checker, r.Verdict.String(), r.Count, firstLine(r.Why)})
		}
		p.table([]string{"checker", "verdict", "violations", "why"}, rows)
		p.violations(h.Report, math.MaxInt, nil)
	}
	return p.err
}
