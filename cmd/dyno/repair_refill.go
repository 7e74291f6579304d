// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// refillOutput is how far a node is with filling its store, which was lost.
type refillOutput struct {
	// Life is the number of the store's present life.
	Life   uint64 `json:"life"`
	Phase  string `json:"phase"`
	Source string `json:"source"`
	// Done of Partitions are done in this phase with the owner Source; of Pairs pairs of a
	// partition and an owner so many were copied.
	Done       uint64   `json:"done"`
	Partitions uint64   `json:"partitions"`
	Pairs      uint64   `json:"pairs"`
	Copied     uint64   `json:"copied"`
	Keys       uint64   `json:"keys"`
	Sources    []string `json:"sources"`
	Missing    []string `json:"missing"`
	// Lost are the partitions of which no intact owner is left.
	Lost     []uint16 `json:"lost"`
	Accepted bool     `json:"accepted"`
	Without  []string `json:"without"`
	Reason   string   `json:"reason,omitempty"`
}

func newRefillOutput(f *client.RefillStatus) *refillOutput {
	if f == nil {
		return nil
	}
	return &refillOutput{
		Life: uint64(f.Instance), Phase: string(f.Phase), Source: f.Source, Done: f.Done,
		Partitions: f.Partitions, Pairs: f.Pairs, Copied: f.Copied, Keys: f.Keys,
		Sources: append([]string{}, f.Sources...), Missing: append([]string{}, f.Missing...),
		Lost: append([]uint16{}, f.Lost...), Accepted: f.Accepted,
		Without: append([]string{}, f.Without...), Reason: f.Reason,
	}
}

// showRefills lists the nodes that are being filled, if there are any.
func (a *app) showRefills(out *repairOutput) error {
	t := a.newTable("node", "filled from", "phase", "done", "copied", "keys", "missing", "lost",
		"reason")
	rows := 0
	for i := range out.Nodes {
		f := out.Nodes[i].Refill
		if f == nil {
			continue
		}
		t.row(out.Nodes[i].Node, dash(f.Source), f.Phase, fmt.Sprintf("%d/%d", f.Done, f.Partitions),
			fmt.Sprintf("%d/%d", f.Copied, f.Pairs), f.Keys, dash(strings.Join(f.Missing, ",")),
			len(f.Lost), dash(strings.ReplaceAll(f.Reason, "\n", "; ")))
		rows++
	}
	if rows == 0 {
		return nil
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	return t.print()
}

// lossOutput is what `dyno repair accept-loss -o json` prints.
type lossOutput struct {
	head
	Node string `json:"node"`
	Life uint64 `json:"life"`
	// Lost are the partitions of which no intact owner was left, GivenUp the owners that are
	// not waited for.
	Lost    []uint16 `json:"lost"`
	GivenUp []string `json:"given_up"`
}

const acceptLossLong = `A node that lost its data is filled from the other owners of its
partitions, and stays not ready before. Where none of them is intact, nobody has what the
node had: it waits until one is brought back, or until somebody says with this command that
this data is lost. Then the node serves what is left of it, which may be nothing.

It shows what is lost first. At a terminal it asks; elsewhere it needs --yes. It is refused
where every partition has an intact owner, and where no node is being filled.

An owner that is intact and down is waited for, too. If its disk is lost as well, start it
with an empty directory and 'dyno serve --rejoin'; if it does not come back soon, give it up
with --without: what it alone has is then missing here, until it comes back and is compared.`

func (a *app) acceptLossCommand() *cobra.Command {
	yes, without := false, []string(nil)
	c := &cobra.Command{
		Use: "accept-loss [NODE]", Short: "Serve partitions of which no intact owner is left",
		Args: takes(0, 1), Long: acceptLossLong,
		Example: "  dyno repair accept-loss n3\n  dyno repair accept-loss n3 --without n2 --yes",
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.Flags().StringSliceVar(&without, "without", nil,
		"owners that are down and not waited for, NODE,...")
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
		out, err := askMembers(ctx, c, func(opts ...client.Option) (client.RepairStatus, error) {
			return c.RepairStatus(ctx, opts...)
		})
		if err != nil {
			return err
		}
		n, err := findRefill(out, strings.Join(args, ""))
		if err != nil {
			return err
		}
		return a.acceptLoss(ctx, c, n, without, yes)
	}))
	return c
}

// findRefill finds the node whose loss is to be accepted: the one of that name, or the only
// one that has any.
func findRefill(out *repairOutput, name string) (*repairNodeOutput, error) {
	var filling, silent []string
	var found *repairNodeOutput
	for i := range out.Nodes {
		n := &out.Nodes[i]
		switch {
		case n.Node == name && n.Error != "":
			return nil, failWith(exitUnavailable, "%s does not answer: %s", name, n.Error)
		case n.Node == name && n.Refill == nil:
			return nil, failWith(exitError, "there is nothing to accept: %s is not being filled", name)
		case n.Node == name:
			return n, nil
		case n.Error != "":
			silent = append(silent, n.Node)
		case n.Refill != nil && name == "":
			found = n
			filling = append(filling, n.Node)
		}
	}
	switch {
	case name != "":
		return nil, failWith(exitError, "there is no member %q", name)
	case len(filling) > 1:
		return nil, usage("%s are being filled: say which", strings.Join(filling, ", "))
	case found == nil && len(silent) > 0:
		return nil, failWith(exitUnavailable, "no partition is being filled, as far as is known: %s "+
			"can not be asked", strings.Join(silent, ", "))
	case found == nil:
		return nil, failWith(exitError, "there is nothing to accept: no partition is being filled")
	default:
		return found, nil
	}
}

func (a *app) acceptLoss(
	ctx context.Context, c *client.Client, n *repairNodeOutput, without []string, yes bool,
) error {
	info, err := c.ClusterInfo(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(info.Members, func(m client.Member) bool { return m.Name == n.Node })
	if i < 0 {
		return failWith(exitError, "there is no member %q", n.Node)
	}
	// Where nothing would be lost the node refuses, and nobody needs to be asked.
	if len(n.Refill.Lost)+len(without) > 0 {
		a.say("%s", whatIsLost(&info, n, without))
		if !yes {
			if !terminal(a.in) {
				return usage("repair accept-loss: nobody can be asked here; --yes accepts it without " +
					"asking")
			}
			question := fmt.Sprintf("Type %s to accept that: ", n.Node)
			if err := a.confirm(ctx, question, n.Node); err != nil {
				return err
			}
		}
	}
	err = c.RepairAcceptLoss(ctx, n.Refill.Life, without,
		client.WithEndpoint(info.Members[i].Addresses.Client))
	if err != nil {
		return err
	}
	if a.form == formJSON {
		return a.printJSON(lossOutput{
			head: newHead(), Node: n.Node, Life: n.Refill.Life, Lost: n.Refill.Lost,
			GivenUp: append([]string{}, without...),
		})
	}
	return a.printf("accepted; 'dyno repair wait' tells when %s is full\n", n.Node)
}

// whatIsLost says which partitions of a node nobody intact has, whose they are, and who is
// given up.
func whatIsLost(info *client.ClusterInfo, n *repairNodeOutput, without []string) string {
	var b strings.Builder
	var order []string
	lost := make(map[string][]uint16) // by the names of the other owners
	for _, p := range n.Refill.Lost {
		others := otherOwners(info, p, n.Node)
		if lost[others] == nil {
			order = append(order, others)
		}
		lost[others] = append(lost[others], p)
	}
	if len(order) > 0 {
		fmt.Fprintf(&b, "%s lost its data, and of %d of its partitions no owner is intact:\n", n.Node,
			len(n.Refill.Lost))
	}
	for _, others := range order {
		whose := "that it alone owns"
		if others != "" {
			whose = "shared with " + others
		}
		fmt.Fprintf(&b, "  partitions %s, %s\n", ranges(lost[others]), whose)
	}
	for _, name := range without {
		fmt.Fprintf(&b, "%s is given up: what it alone has will be missing on %s\n", name, n.Node)
	}
	if len(order) > 0 {
		b.WriteString("What was stored in them before is lost for good.\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// otherOwners are the names of a partition's owners but one.
func otherOwners(info *client.ClusterInfo, partition uint16, but string) string {
	if int(partition) >= len(info.Preference) {
		return ""
	}
	var names []string
	owners := info.Preference[partition]
	for _, id := range owners[:min(len(owners), int(info.Replicas))] {
		for _, m := range info.Members {
			if m.ID == id && m.Name != but {
				names = append(names, m.Name)
			}
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// ranges writes rising numbers shortly: 0-3, 7.
func ranges(list []uint16) string {
	var parts []string
	for i := 0; i < len(list); {
		end := i
		for end+1 < len(list) && list[end+1] == list[end]+1 {
			end++
		}
		part := fmt.Sprint(list[i])
		if end > i {
			part += fmt.Sprintf("-%d", list[end])
		}
		parts = append(parts, part)
		i = end + 1
	}
	return strings.Join(parts, ", ")
}
