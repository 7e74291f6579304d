// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/storage"
)

// recoverOutput is what `dyno meta recover -o json` prints.
type recoverOutput struct {
	head
	Node       string            `json:"node"`
	Cluster    string            `json:"cluster"`
	Term       uint64            `json:"term"`
	LastIndex  uint64            `json:"last_index"`
	Committed  uint64            `json:"committed"`
	Uncertain  []uncertainOutput `json:"uncertain"`
	Generation int               `json:"generation"`
	Locks      int               `json:"locks"`
	Sessions   int               `json:"sessions"`
	// StoreAccepted: the node's store is ready after the recovery.
	StoreAccepted bool `json:"store_accepted"`
	Recovered     bool `json:"recovered"`
}

// uncertainOutput is an entry that becomes committed by the recovery.
type uncertainOutput struct {
	Index    uint64   `json:"index"`
	Term     uint64   `json:"term"`
	Commands []string `json:"commands"`
}

const recoverLong = `Makes a node the only seat of its metadata group, after the group has lost its
majority for good: the members that had the other seats, or their disks, will not come back.
The node must not run. Keys do not need this: they are served meanwhile.

Run it on the member with the longest log: first with --plan on each that is left, then on
the one with the highest term, and among those with the highest index. What only the lost
members knew to be committed is gone; what this member has beyond its commit index becomes
committed. The group's generation rises, so that no number that it issued is issued again:
fences go on above all that were ever given.

Members of before that come back later join the recovered group by themselves, as long as
they meet it before they meet each other: start this node first, and never a majority of the
lost ones without it.`

func (a *app) metaRecoverCommand() *cobra.Command {
	var dir string
	var yes, plan bool
	c := &cobra.Command{
		Use: "recover", Short: "Recover the group from one member, after its majority was lost",
		Long: recoverLong, Args: takes(0, 0),
		Example: "  dyno meta recover --data-dir ./n3 --plan\n  dyno meta recover --data-dir ./n3",
	}
	c.Flags().StringVar(&dir, "data-dir", "", "the node's directory (needed)")
	c.Flags().BoolVar(&plan, "plan", false, "only show what would happen")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.RunE = a.does(func(ctx context.Context, _ []string) error {
		if dir == "" {
			return usage("--data-dir is needed")
		}
		return a.metaRecover(ctx, dir, plan, yes)
	})
	return c
}

func (a *app) metaRecover(ctx context.Context, dir string, plan, yes bool) (err error) {
	r, err := node.PlanRecovery(dir, storage.DefaultDirConfig(), zap.NewNop())
	if err != nil {
		return storageFault(err)
	}
	defer func() { err = errors.Join(err, storageFault(r.Close())) }()
	out := newRecoverOutput(r)
	if a.form == formTable {
		if err := a.printRecovery(&out); err != nil {
			return err
		}
	}
	if !plan {
		if !yes {
			question := fmt.Sprintf("The other seats of the group must be lost for good.\n"+
				"Type %s to make it the only one: ", r.Name)
			if err := a.confirm(ctx, question, r.Name); err != nil {
				return err
			}
		}
		if err := r.Commit(); err != nil {
			return storageFault(err)
		}
		out.Recovered = true
	}
	switch {
	case a.form == formJSON:
		return a.printJSON(out)
	case out.Recovered:
		return a.printf("recovered; start %s first, then the others\n", r.Name)
	default:
		return nil
	}
}

func newRecoverOutput(r *node.Recovery) recoverOutput {
	out := recoverOutput{
		head: newHead(), Node: r.Name, Cluster: r.Cluster.String(), Term: r.Term,
		LastIndex: r.Last, Committed: r.Committed, Uncertain: []uncertainOutput{},
		Generation: int(r.Generation), Locks: r.Locks, Sessions: r.Sessions,
		StoreAccepted: r.Accepted,
	}
	for _, u := range r.Uncertain {
		out.Uncertain = append(out.Uncertain, uncertainOutput(u))
	}
	return out
}

func (a *app) printRecovery(out *recoverOutput) error {
	if err := a.printf("%s of cluster %s: log to index %d of term %d, committed to %d\n",
		out.Node, out.Cluster, out.LastIndex, out.Term, out.Committed); err != nil {
		return err
	}
	if len(out.Uncertain) > 0 {
		if err := a.printf("\nThese entries become committed:\n"); err != nil {
			return err
		}
		t := a.newTable("index", "term", "commands")
		for _, u := range out.Uncertain {
			t.row(u.Index, u.Term, strings.Join(u.Commands, ", "))
		}
		if err := t.print(); err != nil {
			return err
		}
	}
	if err := a.printf("\nIt becomes the only seat, in generation %d, with %d locks and %d "+
		"sessions.\n", out.Generation, out.Locks, out.Sessions); err != nil {
		return err
	}
	if !out.StoreAccepted {
		return a.printf("Its own store stays not ready: the group's log does not know its last " +
			"opening.\n")
	}
	return nil
}
