// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

// realFlags are those of commands that run real nodes.
type realFlags struct {
	binary  string
	seed    uint64
	nodes   int
	seconds int
	out     string
	keep    bool
}

func (f *realFlags) flags(c *cobra.Command, nodes int, out string) {
	flags := c.Flags()
	flags.StringVar(&f.binary, "bin", filepath.Join("bin", "dyno"), "the dyno program")
	flags.Uint64Var(&f.seed, "seed", 0, "draws workload and faults (default: the time does)")
	flags.IntVar(&f.nodes, "nodes", nodes, "how many nodes there are")
	flags.IntVar(&f.seconds, "seconds", 60, "how long faults come")
	flags.StringVar(&f.out, "out", out, "folder for history and logs")
	flags.BoolVar(&f.keep, "keep", false, "keep history and logs whatever the verdict is")
}

func (f *realFlags) duration() time.Duration { return time.Duration(f.seconds) * time.Second }

// dir is the folder of the run.
func (f *realFlags) dir() string { return filepath.Join(f.out, fmt.Sprintf("seed-%d", f.seed)) }

// draw gives the run a seed, if it has none.
func (f *realFlags) draw() {
	if f.seed == 0 {
		f.seed = uint64(time.Now().UnixNano())
	}
}

// prepare makes the folder, empty. fault is what else is wrong with the flags.
func (f *realFlags) prepare(fault error) error {
	if f.seconds < 1 || f.seconds > 3600 {
		return usage("--seconds %d: must be 1 to 3600", f.seconds)
	}
	if fault != nil {
		return usage("%w", fault)
	}
	if _, err := os.Stat(f.binary); err != nil {
		return usage("--bin: %w; `make build` makes one", err)
	}
	if err := os.RemoveAll(f.dir()); err != nil {
		return err
	}
	return os.MkdirAll(f.dir(), 0o700)
}

// finish tells the verdict; history and logs stay where it is red, or they are to be kept.
func (a *app) finish(f *realFlags, out *realOutput) (err error) {
	out.head, out.Seed, out.dir = newHead(), f.seed, f.dir()
	if out.Report.Verdict == checker.Valid && !f.keep {
		out.History, out.Page, out.dir = "", "", ""
		err = os.RemoveAll(f.dir())
		_ = os.Remove(f.out) // other seeds may be there
	}
	return errors.Join(err, a.printReal(out), ends(out.Report.Verdict))
}

// realOutput is what they print as JSON.
type realOutput struct {
	head
	Seed    uint64 `json:"seed"`
	Ops     int    `json:"operations"`
	Faults  int    `json:"faults"`
	Kinds   int    `json:"kinds,omitempty"` // of faults that met something
	History string `json:"history"`         // one file, or the folder of several; empty: not kept
	Page    string `json:"page,omitempty"`
	dir     string // where everything is; empty where it was not kept
	mode    string // how nodes were kept apart, and which kinds of faults it lacked
	lacks   []string
	*checker.Report
}

func writeHistory(path string, h *history.History) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(history.WriteAll(file, h), file.Close())
}

func (a *app) printReal(out *realOutput) error {
	if a.json {
		return a.printJSON(out)
	}
	p := a.newPage()
	p.printf("seed %d: %s, %d operations, %d faults\n", out.Seed, p.verdict(out.Verdict), out.Ops,
		out.Faults)
	if out.mode != "" {
		p.printf("%d kinds of faults met something; network: %s\n", out.Kinds, out.mode)
	}
	if len(out.lacks) > 0 {
		p.printf("not possible here: %s\n", strings.Join(out.lacks, ", "))
	}
	var rows [][]any
	for i := range out.Results {
		r := &out.Results[i]
		rows = append(rows, []any{r.Checker, r.Verdict.String(), r.Count, firstLine(r.Why)})
	}
	p.table([]string{"checker", "verdict", "violations", "why"}, rows)
	for i := range out.Results {
		for _, s := range out.Results[i].Stats {
			p.printf("  %s: %s %.6g\n", out.Results[i].Checker, s.Name, s.Value)
		}
	}
	p.violations(out.Report, math.MaxInt, nil)
	if out.Page != "" {
		p.printf("the report is %s\n", out.Page)
	}
	if out.dir != "" {
		p.printf("history and logs are in %s\n", out.dir)
	}
	return p.err
}
