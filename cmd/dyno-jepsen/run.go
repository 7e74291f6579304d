// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/clock"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/nemesis"
	"github.com/dyno-kv/dyno/jepsen/report"
	"github.com/dyno-kv/dyno/jepsen/rig"
	"github.com/dyno-kv/dyno/jepsen/sandbox"
	"github.com/dyno-kv/dyno/sim/fleet"
	"github.com/dyno-kv/dyno/sim/trial"
)

// requireVariable set to requireValue makes what the environment lacks a failure.
const requireVariable, requireValue = "DYNO_RIG", "require"

// runFlags are those of commands that play plans on real nodes.
type runFlags struct {
	binary, old, source string
	workloads, nemeses  []string
	nodes               int
	time                time.Duration
	rate                int
	seed                uint64
	out                 string
	plain               bool
	mutant              string // of a build with mutants
}

func (f *runFlags) flags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.binary, "bin", "", "the dyno program (default: it is built from source)")
	flags.StringVar(&f.old, "bin-old", "", "another version of it, for rolling upgrades and back")
	flags.StringVar(&f.source, "source", "", "folder of dyno's source (default: this one)")
	flags.StringSliceVar(&f.workloads, "workload", nil,
		"some of "+strings.Join(rig.Workloads(), ", ")+" (default all)")
	flags.StringSliceVar(&f.nemeses, "nemesis", nil,
		"kinds or groups of faults, or none (default all that can be done here)")
	flags.IntVar(&f.nodes, "nodes", 5, "how many nodes there are")
	flags.DurationVar(&f.time, "time", 5*time.Minute, "how long faults come")
	flags.IntVar(&f.rate, "rate", 3000, "operations a second that clients aim at")
	flags.Uint64Var(&f.seed, "seed", 0, "draws workload and faults (default: the time does)")
	flags.StringVar(&f.out, "out", "dyno-jepsen-results", "folder for what runs leave")
	flags.BoolVar(&f.plain, "plain", false, "loopback and plain directories, whatever could be had")
}

func (a *app) runCommand() *cobra.Command {
	f := &runFlags{}
	c := &cobra.Command{
		Use:   "run",
		Short: "Run real nodes under faults of all kinds, and judge what clients saw",
		Long: "run starts `dyno serve` processes on addresses and disks of their own, loads them,\n" +
			"breaks what can break here, waits until all copies agree, reads all keys through every\n" +
			"node, and judges the history. The folder of --out has history, logs and report. The\n" +
			"program is built with a clock that can be set and failpoints at which it can be killed,\n" +
			"unless --bin names one. All that it makes is gone afterwards, also after Ctrl-C.\n" +
			"docs/jepsen.md has more.",
		Args: takes(0, 0),
		Example: "  dyno-jepsen run --time 1m\n  dyno-jepsen run --nemesis network,power-all --seed 7\n" +
			"  dyno-jepsen run --bin ./dyno --bin-old ./dyno-1.0",
	}
	f.flags(c)
	c.RunE = a.does(func(ctx context.Context, _ []string) error {
		if f.seed == 0 {
			f.seed = uint64(time.Now().UnixNano())
		}
		_, err := f.config() // before anything is built
		if err != nil {
			return err
		}
		return a.sandboxed(func(s sandbox.Status) error {
			done, err := f.build(ctx, nil)
			if err != nil {
				return err
			}
			defer done()
			out, err := a.playOne(ctx, f, s)
			if err != nil {
				return err
			}
			return errors.Join(a.printReal(out), ends(out.Report.Verdict))
		})
	})
	return c
}

// sandboxed does something in namespaces of its own, where the system has them. In the program
// outside of them it returns how the inner one ended.
func (a *app) sandboxed(do func(sandbox.Status) error) error {
	s, err := sandbox.Enter()
	switch {
	case err != nil:
		return err
	case s.Ended && s.ExitCode == 0:
		return nil
	case s.Ended:
		return &codedError{code: s.ExitCode}
	case s.Lacks != "" && os.Getenv(requireVariable) == requireValue:
		return fmt.Errorf("%s=%s: the sandbox lacks %s", requireVariable, requireValue, s.Lacks)
	}
	return do(s)
}

// build builds the program, if none is named; done removes it.
func (f *runFlags) build(ctx context.Context, tags []string) (done func(), err error) {
	if f.binary != "" {
		return func() {}, nil
	}
	if f.source == "" {
		f.source = "."
	}
	dir, err := os.MkdirTemp("", "dyno-jepsen-")
	if err != nil {
		return nil, err
	}
	f.binary = filepath.Join(dir, "dyno")
	err = clock.Build(ctx, clock.BuildOptions{
		Source: f.source, Package: "./cmd/dyno", Out: f.binary,
		Tags: append(slices.Clone(tags), "failpoints"),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w; --bin names a program that is there, --source "+
			"where dyno's source is", err), os.RemoveAll(dir))
	}
	return func() { _ = os.RemoveAll(dir) }, nil // it is a temporary folder
}

// config is the run that flags ask for, but for its folder.
func (f *runFlags) config() (*rig.Config, error) {
	cfg := &rig.Config{
		Binary: f.binary, Old: f.old, Nodes: f.nodes, Seed: f.seed, Duration: f.time,
		Workloads: f.workloads, Rate: f.rate, Plain: f.plain,
	}
	for _, name := range f.nemeses {
		_, kind := nemesis.Lookup(nemesis.Kind(name))
		switch {
		case name == "none" && len(f.nemeses) == 1:
			cfg.Peace = true
		case slices.Contains(nemesis.Groups(), nemesis.Group(name)):
			cfg.Groups = append(cfg.Groups, nemesis.Group(name))
		case kind:
			cfg.Kinds = append(cfg.Kinds, nemesis.Kind(name))
		default:
			return nil, usage("--nemesis %.40q: there are the groups %v, and the kinds of "+
				"docs/jepsen.md", name, nemesis.Groups())
		}
	}
	for name, path := range map[string]string{"bin": f.binary, "bin-old": f.old} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return nil, usage("--%s: %w", name, err)
		}
	}
	if f.mutant != "" {
		cfg.Environ = append(cfg.Environ, mutant.Environment+"="+f.mutant)
	}
	if err := cfg.Check(); err != nil {
		return nil, usage("%w", err)
	}
	return cfg, nil
}

// command repeats the run.
func (f *runFlags) command() string {
	c := fmt.Sprintf("dyno-jepsen run --seed %d --nodes %d --time %s --rate %d", f.seed, f.nodes,
		f.time, f.rate)
	for _, list := range []struct {
		name   string
		values []string
	}{{"workload", f.workloads}, {"nemesis", f.nemeses}} {
		if len(list.values) > 0 {
			c += " --" + list.name + " " + strings.Join(list.values, ",")
		}
	}
	if f.old != "" {
		c += " --bin-old " + f.old
	}
	if f.plain {
		c += " --plain"
	}
	return c
}

// playOne makes one run, judges it, and leaves its folder.
func (a *app) playOne(ctx context.Context, f *runFlags, s sandbox.Status) (*realOutput, error) {
	bar := a.newBar("run", -1)
	defer bar.done()
	cfg, err := f.config()
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(f.binary)
	if err != nil {
		return nil, err
	}
	cfg.Clocks = bytes.Contains(program, []byte(clock.Variable))
	if bytes.Contains(program, []byte(rig.CrashVariable)) {
		for _, p := range trial.Points() {
			cfg.Points = append(cfg.Points, p.Name)
		}
	}
	cfg.Dir, err = filepath.Abs(filepath.Join(f.out, fmt.Sprintf("seed-%d", f.seed)))
	if err != nil {
		return nil, err
	}
	cfg.Tell = bar.step
	if err := os.RemoveAll(cfg.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	run, played := rig.Play(ctx, *cfg)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if run == nil {
		return nil, fmt.Errorf("seed %d: %w; logs are in %s", f.seed, played, cfg.Dir)
	}
	run.Command, run.Workload = f.command(), strings.Join(f.workloads, ",")
	run.Nemesis = strings.Join(f.nemeses, ",")
	run.Commit, run.Toolchain = builtFrom(f.binary)
	if s.Lacks != "" {
		run.Settings = append(run.Settings, report.Setting{Name: "sandbox lacks", Value: s.Lacks})
	}
	bar.tell("judge")
	return judged(cfg.Dir, f.seed, run, played)
}

// judged judges a run and leaves its folder. played is why it is not whole: what there is of it
// may break a rule; that none is broken can not be told then.
func judged(dir string, seed uint64, run *report.Run, played error) (*realOutput, error) {
	if played != nil {
		run.Judged = append(run.Judged, checker.Result{
			Checker: "rig", Verdict: checker.Unknown, Why: played.Error(),
		})
	}
	if os.Getenv(requireVariable) == requireValue && len(run.Lacks) > 0 {
		run.Judged = append(run.Judged, checker.Result{
			Checker: "surroundings", Verdict: checker.Unknown,
			Why: fmt.Sprintf("%s=%s, and this can not be done here: %s", requireVariable,
				requireValue, strings.Join(run.Lacks, ", ")),
		})
	}
	file, err := os.Open(filepath.Join(dir, report.HistoryFile))
	if err != nil {
		return nil, err
	}
	h, cut := history.ReadAll(file, 4<<20)
	_ = file.Close() // it was only read
	if h == nil || cut != nil && !errors.Is(cut, history.ErrCut) {
		return nil, errors.Join(cut, played)
	}
	found, err := fleet.CheckHistory(h, cut)
	if err != nil {
		return nil, errors.Join(err, played)
	}
	run.Judged = append(run.Judged, rig.Throughput(h, run.Duration))
	found = withJudged(found, run)
	page, err := leave(dir, h, run, found)
	if err != nil {
		return nil, err
	}
	return &realOutput{
		head: newHead(), Seed: seed, Ops: len(h.Ops), Faults: len(run.Faults), Kinds: kindsOf(run),
		History: filepath.Join(dir, report.HistoryFile), Page: page, Report: found, dir: dir,
		lacks: run.Lacks, mode: run.Mode,
	}, nil
}

// kindsOf counts the kinds that met something.
func kindsOf(run *report.Run) int {
	met := make(map[string]bool)
	for i := range run.Faults {
		if run.Faults[i].Bit {
			met[run.Faults[i].Kind] = true
		}
	}
	return len(met)
}
