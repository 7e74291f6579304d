// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/report"
)

// modelFlags are those of `dyno-jepsen model`.
type modelFlags struct {
	ops, keys, processes int
	seed                 uint64
}

func (a *app) modelCommand() *cobra.Command {
	f := &modelFlags{}
	c := &cobra.Command{
		Use:   "model DIR",
		Short: "Make a history of a model, to try checkers and reports on",
		Long: "model puts a valid history into a folder: what clients would see of replicas that keep\n" +
			"siblings, with messages that come late. It says how long checkers and reports take.",
		Args:    takes(1, 1),
		Example: "  dyno-jepsen model --ops 1000000 --keys 2000 million\n  dyno-jepsen check million",
	}
	flags := c.Flags()
	flags.IntVar(&f.ops, "ops", 10_000, "operations, final reads aside")
	flags.IntVar(&f.keys, "keys", 100, "keys; each takes 512 writes, and is only read then")
	flags.IntVar(&f.processes, "processes", 50, "clients")
	flags.Uint64Var(&f.seed, "seed", 1, "what it is drawn from")
	c.RunE = a.does(func(_ context.Context, args []string) error { return a.model(f, args[0]) })
	return c
}

func (a *app) model(f *modelFlags, dir string) error {
	const most = 4 << 20 // what check reads
	if f.ops < 1 || f.ops > most || min(f.keys, f.processes) < 1 || max(f.keys, f.processes) > most {
		return usage("--ops %d, --keys %d, --processes %d: each must be 1 to %d",
			f.ops, f.keys, f.processes, most)
	}
	h, err := checker.Generate(rand.New(rand.NewPCG(f.seed, 0)), checker.Shape{
		Ops: f.ops, Keys: f.keys, Processes: f.processes, N: 3, R: 2, W: 2,
	})
	if err != nil {
		return err
	}
	h.Header.Seed = f.seed
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	path := filepath.Join(dir, report.HistoryFile)
	if err := writeHistory(path, h); err != nil {
		return err
	}
	p := a.newPage()
	if a.json {
		return a.printJSON(struct {
			head
			Path string `json:"path"`
			Ops  int    `json:"operations"`
		}{newHead(), path, len(h.Ops)})
	}
	p.printf("%s: %d operations\n", path, len(h.Ops))
	return p.err
}
