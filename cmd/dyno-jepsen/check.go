// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/report"
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
		Use:   "check HISTORY.jsonl|DIR...",
		Short: "Judge histories that were kept",
		Long: "check runs all checkers over stored histories, or over those of runs' folders; what a\n" +
			"run itself found, beside its history, counts as it was. What a history needs to be\n" +
			"judged stands in its header. One that was cut is unknown, unless what is there breaks\n" +
			"a rule.",
		Args: takes(1, 1<<10),
		Example: "  dyno-jepsen check dyno-sim-results/seed-17/history.jsonl\n" +
			"  dyno-jepsen check dyno-jepsen-results/seed-17",
		RunE: a.does(func(_ context.Context, args []string) error {
			out := checkOutput{head: newHead(), Verdict: checker.Valid}
			for _, path := range args {
				found, err := checkPath(path)
				if err != nil {
					return err
				}
				out.Histories = append(out.Histories, checked{path, found})
				out.Verdict = worst(out.Verdict, found.Verdict)
			}
			if err := a.printChecked(&out); err != nil {
				return err
			}
			return ends(out.Verdict)
		}),
	}
}

// checkPath judges one history, or that of a run's folder together with what the run itself
// found.
func checkPath(path string) (*checker.Report, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return fleet.CheckFile(path)
	}
	found, err := fleet.CheckFile(filepath.Join(path, report.HistoryFile))
	if err != nil {
		return nil, err
	}
	run, err := report.LoadRun(path)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	return withJudged(found, run), nil
}

// withJudged adds what a run found itself.
func withJudged(found *checker.Report, run *report.Run) *checker.Report {
	for _, r := range run.Judged {
		found.Results = append(found.Results, r)
		found.Verdict = worst(found.Verdict, r.Verdict)
	}
	return found
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
