// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/report"
	"github.com/dyno-kv/dyno/sim/fleet"
	"github.com/dyno-kv/dyno/sim/trial"
)

// lockPictures is how many locks' orders a report draws.
const lockPictures = 6

// reportOutput is what `dyno-jepsen report` prints as JSON.
type reportOutput struct {
	head
	Verdict checker.Verdict `json:"verdict"`
	Path    string          `json:"path"`
	Bytes   int64           `json:"bytes"`
}

// reportFlags are those of `dyno-jepsen report`.
type reportFlags struct {
	out   string
	check bool
}

func (a *app) reportCommand() *cobra.Command {
	f := &reportFlags{}
	c := &cobra.Command{
		Use:   "report DIR",
		Short: "Show a run as one HTML file",
		Long: "report makes a page of what a run left in its folder: the verdict, what was injected\n" +
			"and whether it bit, latency and throughput, keys, and how each violation came about. It\n" +
			"is one file that needs no network. It shows the verdict that the folder has; with\n" +
			"--check, or where there is none, the history is judged again. The exit code is the\n" +
			"verdict.",
		Args: takes(1, 1),
		Example: "  dyno-jepsen report dyno-jepsen-results/seed-17\n" +
			"  dyno-jepsen report --out seed-17.html dyno-sim-results/seed-17",
	}
	c.Flags().StringVar(&f.out, "out", "", "the file (default "+report.PageFile+" in the folder)")
	c.Flags().BoolVar(&f.check, "check", false, "judge the history again")
	c.RunE = a.does(func(_ context.Context, args []string) error { return a.report(f, args[0]) })
	return c
}

func (a *app) report(f *reportFlags, dir string) error {
	in, err := reportInput(dir, f.check)
	if err != nil {
		return err
	}
	if f.out == "" {
		f.out = filepath.Join(dir, report.PageFile)
	}
	size, err := writePage(f.out, in)
	if err != nil {
		return err
	}
	out := reportOutput{
		head: newHead(), Verdict: in.Report.Verdict, Path: f.out, Bytes: size,
	}
	if a.json {
		err = a.printJSON(out)
	} else {
		p := a.newPage()
		p.printf("%s: %s\n", p.verdict(out.Verdict), out.Path)
		err = p.err
	}
	return errors.Join(err, ends(out.Verdict))
}

// reportInput reads a run's folder, and judges its history where nobody has, or again.
func reportInput(dir string, again bool) (*report.Input, error) {
	folder, err := report.Load(dir)
	if err != nil {
		return nil, err
	}
	in := &report.Input{
		History: folder.History, Run: folder.Run, Report: folder.Result, Cut: folder.Cut,
	}
	if in.Report == nil {
		if err := simulated(dir, in); err != nil {
			return nil, err
		}
	}
	if in.Report == nil || again {
		var cut error
		if in.Cut {
			cut = history.ErrCut
		}
		found, err := fleet.CheckHistory(in.History, cut)
		if err != nil {
			return nil, err
		}
		in.Report = withJudged(found, in.Run)
	}
	in.Orders, err = orders(in)
	return in, err
}

// orders draws the locks of a history: first those whose rules were broken.
func orders(in *report.Input) ([]checker.Picture, error) {
	cfg, err := fleet.ConfigOf(&in.History.Header)
	if err != nil {
		return nil, nil // the verdict says so
	}
	var names []string
	for i := range in.Report.Results {
		for _, v := range in.Report.Results[i].Violations {
			names = append(names, v.Key)
		}
	}
	return checker.Pictures(in.History, cfg, names, lockPictures)
}

// writePage writes a report, and says how long it is. A file that is not whole does not stay.
func writePage(path string, in *report.Input) (int64, error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, fmt.Errorf("report: %w", err)
	}
	err = report.Write(file, in)
	info, err2 := file.Stat()
	if err := errors.Join(err, err2, file.Close()); err != nil {
		return 0, errors.Join(err, os.Remove(path))
	}
	return info.Size(), nil
}

// builtFrom says which commit and which Go a program was built from, as far as it tells.
func builtFrom(program string) (commit, toolchain string) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", "" // it may be a script that starts one
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value + commit
		case s.Key == "vcs.modified" && s.Value == "true":
			commit += " and changes"
		}
	}
	return commit, info.GoVersion
}

// leave writes all of a run's folder but its history, which is there: what the run was, what
// was found, and the page. It returns where the page is.
func leave(dir string, h *history.History, run *report.Run, found *checker.Report) (string, error) {
	if err := errors.Join(run.Save(dir), report.SaveResult(dir, found)); err != nil {
		return "", err
	}
	in := &report.Input{History: h, Run: run, Report: found}
	var err error
	if in.Orders, err = orders(in); err != nil {
		return "", err
	}
	path := filepath.Join(dir, report.PageFile)
	_, err = writePage(path, in)
	return path, err
}

// simulated adds what a simulated run left, where the folder is of one.
func simulated(dir string, in *report.Input) error {
	path := filepath.Join(dir, trial.ResultFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	r, err := fleet.ReadResult(path)
	if err != nil {
		return err
	}
	if r.Plan == nil || r.Report == nil {
		return nil
	}
	in.Report = r.Report
	in.Report.Verdict = r.Verdict
	in.Run.Judged = []checker.Result{besideCheckers(r)}
	in.Report.Results = append(in.Report.Results, in.Run.Judged...)
	in.Run.Mode = "simulated"
	in.Run.Command = fmt.Sprintf("dyno-jepsen replay %s", filepath.Join(dir, fleet.PlanFile))
	if r.Mutant != "" {
		in.Run.Command += " --mutant " + r.Mutant
	}
	in.Run.Faults = nil
	for i := range r.Plan.Faults {
		f := &r.Plan.Faults[i]
		from := r.ChaosFrom + time.Duration(f.At)
		one := report.Fault{
			Kind: string(f.Kind), From: int64(from), Until: int64(r.ChaosFrom + f.End()),
			Detail: effect(f, from), Bit: i < len(r.Met) && r.Met[i],
		}
		for _, h := range f.Hosts {
			one.Nodes = append(one.Nodes, fmt.Sprintf("n%d", h))
		}
		in.Run.Faults = append(in.Run.Faults, one)
	}
	return nil
}

// besideCheckers is what the simulator itself found: problems that no checker tells.
func besideCheckers(r *trial.Result) checker.Result {
	told := make(map[string]bool)
	for i := range r.Report.Results {
		for _, v := range r.Report.Results[i].Violations {
			told[v.Rule+v.Key+": "+v.Text] = true
		}
	}
	beside := checker.Result{Checker: "simulator", Verdict: checker.Valid}
	for _, x := range r.Problems {
		switch {
		case told[x.Rule+x.Text]:
		case x.Unknown:
			beside.Verdict = worst(beside.Verdict, checker.Unknown)
			beside.Why = x.Rule + ": " + x.Text
		default:
			beside.Verdict = checker.Invalid
			beside.Count++
			beside.Violations = append(beside.Violations, checker.Violation{Rule: x.Rule, Text: x.Text})
		}
	}
	return beside
}
