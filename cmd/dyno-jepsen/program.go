// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/sim/fleet"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// programFlags say what runs the plans, and how.
type programFlags struct {
	app      *app
	build    fleet.BuildOptions
	limit    time.Duration
	parallel int
	mutant   string
}

func (f *programFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.BoolVar(&f.build.Plain, "plain", false,
		"leave the Go runtime as it is: runs can not be repeated")
	flags.BoolVar(&f.build.Race, "race", false, "like --plain, under the race detector")
	flags.StringVar(&f.build.Cache, "cache", "",
		"folder for what is built (default dyno-sim in the user's cache)")
	flags.StringVar(&f.build.Source, "source", "",
		"folder of dyno's source (default the working directory)")
	flags.DurationVar(&f.limit, "limit", fleet.DefaultLimit, "how long one run may take")
	flags.IntVarP(&f.parallel, "parallel", "p", 0,
		"how many seeds run at once (default one for each processor)")
}

func (f *programFlags) addMutant(c *cobra.Command) {
	c.Flags().StringVar(&f.mutant, "mutant", "", "switch a known bug on, by its name")
}

func (f *programFlags) check() error {
	if f.limit <= 0 {
		return usage("--limit %v: must be more than 0", f.limit)
	}
	if f.parallel < 0 {
		return usage("--parallel %d: must not be negative", f.parallel)
	}
	if _, known := mutant.Find(mutant.Name(f.mutant)); f.mutant != "" && !known {
		var names []string
		for _, m := range mutant.All() {
			names = append(names, string(m.Name))
		}
		return usage("--mutant %s: there is none, there are %s", f.mutant, strings.Join(names, ", "))
	}
	if f.mutant != "" {
		f.build.Mutant = true
	}
	return nil
}

// patience is how long a build goes on without a word.
const patience = 2 * time.Second

// children builds the program. The caller calls done when all runs have ended.
func (f *programFlags) children(ctx context.Context) (c *fleet.Children, done func(), err error) {
	if err := f.check(); err != nil {
		return nil, nil, err
	}
	notice := time.AfterFunc(patience, func() {
		if !f.app.quiet && terminal(f.app.errs) {
			f.app.say("dyno-jepsen: building the program; the first time takes a minute")
		}
	})
	program, err := fleet.Build(ctx, f.build)
	notice.Stop()
	if err != nil {
		if errors.Is(err, fleet.ErrNoMutants) {
			err = fmt.Errorf("%w; with --source, or in its folder, one is built", err)
		}
		return nil, nil, err
	}
	if !program.Replayable && !f.app.quiet {
		f.app.say("dyno-jepsen: not replayable: %s", program.Why)
	}
	done = func() {
		if err := program.Close(); err != nil {
			f.app.say("dyno-jepsen: remove what was built: %v", err)
		}
	}
	return &fleet.Children{Program: program, Limit: f.limit}, done, nil
}

// drawFlags say which plans are drawn.
type drawFlags struct {
	engine  string
	group   string
	without []string
}

func (f *drawFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.engine, "engine", "",
		"what stands for the disks: disk, memory or tmpfs (default each seed draws)")
	flags.StringVar(&f.group, "group", "",
		"who is the metadata group: nodes or stand-in (default each seed draws)")
	flags.StringSliceVar(&f.without, "without", nil, "kinds of faults that are not drawn")
}

// drawing returns what plans are drawn from.
func (f *drawFlags) drawing() (plan.Options, error) {
	o := trial.Drawing()
	o.Engine = plan.Engine(f.engine)
	switch o.Engine {
	case "", plan.EngineDisk, plan.EngineMemory, plan.EngineTmpfs:
	default:
		return o, usage("--engine %s: must be disk, memory or tmpfs", f.engine)
	}
	switch f.group {
	case "":
	case "nodes", "stand-in":
		grouped := f.group == "nodes"
		o.Group = &grouped
	default:
		return o, usage("--group %s: must be nodes or stand-in", f.group)
	}
	var names []string
	known := make(map[string]bool)
	for _, in := range plan.Kinds() {
		names, known[string(in.Kind)] = append(names, string(in.Kind)), true
	}
	for _, kind := range f.without {
		if !known[kind] {
			return o, usage("--without %s: there is no such kind, there are %s",
				kind, strings.Join(names, ", "))
		}
		o.Without = append(o.Without, plan.Kind(kind))
	}
	return o, nil
}

// drawer is the same as a function of the seed.
func (f *drawFlags) drawer() (func(uint64) *plan.Plan, plan.Options, error) {
	o, err := f.drawing()
	return func(seed uint64) *plan.Plan { return plan.Draw(seed, o) }, o, err
}
