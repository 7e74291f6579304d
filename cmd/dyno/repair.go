// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// repairOutput is what `dyno repair status|run|wait|pause|resume -o json` prints.
type repairOutput struct {
	head
	// Done says that every node that was asked has found that it holds the same as the other
	// owners of its partitions (wait), or did what it was asked for (others).
	Done  bool               `json:"done"`
	Nodes []repairNodeOutput `json:"nodes"`
}

type repairNodeOutput struct {
	Node string `json:"node"`
	// Error is why the node did not answer; the rest is 0 then.
	Error         string  `json:"error,omitempty"`
	PausedSeconds float64 `json:"paused_seconds"`
	Round         uint64  `json:"round"`
	Pairs         uint64  `json:"pairs"`
	Settled       uint64  `json:"settled"`
	Running       uint64  `json:"running"`
	// OldestSeconds is how long ago the pair was settled that has waited longest; below 0
	// where one never was since the node started.
	OldestSeconds  float64              `json:"oldest_seconds"`
	Behind         []repairBehindOutput `json:"behind"`
	Compared       uint64               `json:"compared"`
	Failed         uint64               `json:"failed"`
	Repaired       uint64               `json:"repaired"`
	Bytes          uint64               `json:"bytes"`
	Damaged        uint64               `json:"damaged"`
	Mended         uint64               `json:"mended"`
	ScrubRounds    uint64               `json:"scrub_rounds"`
	ScrubDone      uint64               `json:"scrub_done"`
	Partitions     uint64               `json:"partitions"`
	TreesKnown     uint64               `json:"trees_known"`
	TreesOwned     uint64               `json:"trees_owned"`
	TreeMismatches uint64               `json:"tree_mismatches"`
	// Refill is there while the node's store, which was lost, is being filled.
	Refill *refillOutput `json:"refill,omitempty"`
}

type repairBehindOutput struct {
	Partition int    `json:"partition"`
	Node      string `json:"node"`
	State     string `json:"state"`
	Reason    string `json:"reason"`
}

const repairLong = `Every node compares what it holds with what the other owners of its partitions
hold, always, and brings together what differs. These commands show that, hurry it, wait
for it, and hold it up for a while. They ask every member.`

const repairStatusLong = `Shows for each node:

  pairs     how many pairs of a partition and another of its owners it compares
  settled   those that hold the same, as of some time after the newest round began
  oldest    how long ago the pair was found so that has waited longest for it
  repaired  keys that were brought together since the node started
  damaged   records that it can not read; they are mended from the other owners
  trees     partitions whose contents it can compare, of those that it owns

A node that lost its data, and is being filled, is shown once more below: from which owner,
what is done with that now, how many pairs of a partition and an owner were copied, who is
still to be copied, and of how many partitions no intact owner is left (accept-loss).`

func (a *app) repairCommand() *cobra.Command {
	status := &cobra.Command{
		Use: "status", Short: "Show how the comparisons stand", Args: takes(0, 0),
		Long: repairStatusLong, Example: "  dyno repair status",
		RunE: a.does(a.asks(a.repairStatus)),
	}
	run := &cobra.Command{
		Use: "run", Short: "Compare everything anew, now", Args: takes(0, 0),
		Long: "Begins a round at each node, in which it compares all of its partitions with their\n" +
			"other owners, and does not wait for it; 'dyno repair status' shows how far it is.",
		Example: "  dyno repair run",
		RunE:    a.does(a.asks(a.repairRun)),
	}
	var pause time.Duration
	hold := &cobra.Command{
		Use: "pause", Short: "Compare, repair and scrub nothing for a while", Args: takes(0, 0),
		Long: "Pauses the comparisons at each node that can be reached. The pause ends by itself, and\n" +
			"with a restart of the node: one that somebody forgot shall not keep replicas apart.",
		Example: "  dyno repair pause --for 2h",
		RunE: a.does(a.asks(func(ctx context.Context, c *client.Client, _ []string) error {
			if pause < time.Millisecond || pause > client.MaxRepairPause {
				return usage("--for %v: a pause is 1ms to %v", pause, client.MaxRepairPause)
			}
			return a.repairEach(ctx, c, func(opts ...client.Option) error {
				return c.RepairPause(ctx, pause, opts...)
			})
		})),
	}
	hold.Flags().DurationVar(&pause, "for", time.Hour, "how long, at most 24h")
	resume := &cobra.Command{
		Use: "resume", Short: "End a pause", Args: takes(0, 0), Example: "  dyno repair resume",
		RunE: a.does(a.asks(func(ctx context.Context, c *client.Client, _ []string) error {
			return a.repairEach(ctx, c, func(opts ...client.Option) error {
				return c.RepairResume(ctx, opts...)
			})
		})),
	}
	c := a.parent("repair", "Replicas that are compared and repaired", status, run,
		a.repairWaitCommand(), hold, resume, a.acceptLossCommand())
	c.Long = repairLong
	return c
}

// repairMember is a node that is asked about its repairs.
type repairMember struct {
	name, addr string
}

// repairMembers are all members of the ring.
func repairMembers(ctx context.Context, c *client.Client) ([]repairMember, error) {
	info, err := c.ClusterInfo(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]repairMember, len(info.Members))
	for i, m := range info.Members {
		list[i] = repairMember{m.Name, m.Addresses.Client}
	}
	slices.SortFunc(list, func(a, b repairMember) int { return cmp.Compare(a.name, b.name) })
	return list, nil
}

// askMembers asks all members side by side.
func askMembers(
	ctx context.Context, c *client.Client,
	do func(opts ...client.Option) (client.RepairStatus, error),
) (*repairOutput, error) {
	members, err := repairMembers(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &repairOutput{
		head: newHead(), Done: true, Nodes: make([]repairNodeOutput, len(members)),
	}
	var asked sync.WaitGroup
	for i, m := range members {
		asked.Go(func() {
			s, err := do(client.WithEndpoint(m.addr), client.WithTimeout(askTimeout))
			out.Nodes[i] = newRepairNode(m.name, &s, err)
		})
	}
	asked.Wait()
	for i := range out.Nodes {
		out.Done = out.Done && out.Nodes[i].Error == ""
	}
	return out, nil
}

func newRepairNode(name string, s *client.RepairStatus, err error) repairNodeOutput {
	if err != nil {
		return repairNodeOutput{Node: name, Error: describe(err), Behind: []repairBehindOutput{}}
	}
	out := repairNodeOutput{
		Node: name, PausedSeconds: float64(s.PausedMS) / 1000, Round: s.Round, Pairs: s.Pairs,
		Settled: s.Settled, Running: s.Running, OldestSeconds: float64(s.OldestMS) / 1000,
		Behind: []repairBehindOutput{}, Compared: s.Compared, Failed: s.Failed, Repaired: s.Repaired,
		Bytes: s.Bytes, Damaged: s.Scrub.Damaged, Mended: s.Scrub.Mended,
		ScrubRounds: s.Scrub.Rounds, ScrubDone: s.Scrub.Done, Partitions: s.Scrub.Partitions,
		TreesKnown: s.Trees.Known, TreesOwned: s.Trees.Owned, TreeMismatches: s.Trees.Mismatches,
		Refill: newRefillOutput(s.Refill),
	}
	if s.Never {
		out.OldestSeconds = -1
	}
	for _, b := range s.Behind {
		out.Behind = append(out.Behind, repairBehindOutput{
			Partition: int(b.Partition), Node: b.Node, State: string(b.State), Reason: b.Reason,
		})
	}
	return out
}

func (a *app) repairStatus(ctx context.Context, c *client.Client, _ []string) error {
	out, err := askMembers(ctx, c, func(opts ...client.Option) (client.RepairStatus, error) {
		return c.RepairStatus(ctx, opts...)
	})
	if err != nil {
		return err
	}
	return a.showRepairs(out)
}

func (a *app) repairRun(ctx context.Context, c *client.Client, _ []string) error {
	out, err := askMembers(ctx, c, func(opts ...client.Option) (client.RepairStatus, error) {
		return c.RepairRun(ctx, opts...)
	})
	if err != nil {
		return err
	}
	return errors.Join(a.showRepairs(out), out.unreached())
}

// repairEach has each member do something, and tells who did not.
func (a *app) repairEach(
	ctx context.Context, c *client.Client, do func(opts ...client.Option) error,
) error {
	out, err := askMembers(ctx, c, func(opts ...client.Option) (client.RepairStatus, error) {
		if err := do(opts...); err != nil {
			return client.RepairStatus{}, err
		}
		return c.RepairStatus(ctx, opts...)
	})
	if err != nil {
		return err
	}
	return errors.Join(a.showRepairs(out), out.unreached())
}

// unreached is the error of members that did not do what was asked for.
func (o *repairOutput) unreached() error {
	var names []string
	for i := range o.Nodes {
		if o.Nodes[i].Error != "" {
			names = append(names, o.Nodes[i].Node)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return failWith(exitUnavailable, "not done by %s", strings.Join(names, ", "))
}

func (a *app) showRepairs(out *repairOutput) error {
	if a.form == formJSON {
		return a.printJSON(out)
	}
	t := a.newTable("node", "pairs", "settled", "oldest", "repaired", "damaged", "trees", "state")
	for i := range out.Nodes {
		n := &out.Nodes[i]
		if n.Error != "" {
			t.row(n.Node, "-", "-", "-", "-", "-", "-", a.paint(false, n.Error))
			continue
		}
		t.row(n.Node, n.Pairs, n.Settled, n.oldest(), n.Repaired, n.Damaged,
			fmt.Sprintf("%d/%d", n.TreesKnown, n.TreesOwned), n.state())
	}
	if err := t.print(); err != nil {
		return err
	}
	return errors.Join(a.showRefills(out), a.showBehind(out))
}

func (n *repairNodeOutput) oldest() string {
	if n.OldestSeconds < 0 {
		return "never"
	}
	return (time.Duration(n.OldestSeconds) * time.Second).String()
}

func (n *repairNodeOutput) state() string {
	if n.Refill != nil {
		return "being filled"
	}
	if n.PausedSeconds > 0 {
		return "paused for " + (time.Duration(n.PausedSeconds) * time.Second).String()
	}
	return fmt.Sprintf("%d under way", n.Running)
}

// showBehind lists pairs that are not settled, if there are any.
func (a *app) showBehind(out *repairOutput) error {
	t := a.newTable("node", "partition", "with", "state", "reason")
	rows := 0
	for i := range out.Nodes {
		for _, b := range out.Nodes[i].Behind {
			t.row(out.Nodes[i].Node, b.Partition, b.Node, b.State, dash(b.Reason))
			rows++
		}
	}
	if rows == 0 {
		return nil
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	return t.print()
}
