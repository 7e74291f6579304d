// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// partitionsOutput is what `dyno ring partitions -o json` prints.
type partitionsOutput struct {
	head
	RingVersion uint64            `json:"ring_version"`
	Partitions  []partitionOutput `json:"partitions"`
	Nodes       []contentsOutput  `json:"nodes"`
}

type partitionOutput struct {
	Partition int           `json:"partition"`
	Owners    []string      `json:"owners"`
	Copies    []ownedOutput `json:"copies"` // one for each owner
}

// ownedOutput is what an owner's own copy of a partition holds. The numbers are null where it
// is not known; Error of the node says why.
type ownedOutput struct {
	Node string `json:"node"`
	countsOutput
}

type countsOutput struct {
	Keys       *uint64 `json:"keys"`
	Tombstones *uint64 `json:"tombstones"`
	Damaged    *uint64 `json:"damaged"`
}

// contentsOutput is what a node holds of all partitions that it owns.
type contentsOutput struct {
	Node string `json:"node"`
	// Error is why the node did not answer, or does not know what it holds.
	Error string `json:"error,omitempty"`
	Owned int    `json:"owned"`
	Known int    `json:"known"`
	// The sums are null unless all is known.
	countsOutput
}

const ringPartitionsLong = `Lists the partitions with their owners, and what each owner's own
copy of them holds. Every member is asked, and counts for itself:

  keys        objects with a value, or one that has expired
  tombstones  objects that were deleted, and are kept until all owners can forget them
  damaged     records that can not be read; they are mended from the other owners

'?' is what is not known: the node does not answer, is not ready, or has just started and
reads what it has.`

func (a *app) ringPartitionsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "partitions", Short: "List the partitions, their owners and what these hold",
		Args: takes(0, 0), Long: ringPartitionsLong, Example: "  dyno ring partitions -o json",
		RunE: a.does(a.asks(a.ringPartitions)),
	}
}

// memberContents is what one member told.
type memberContents struct {
	contentsOutput
	partitions map[int]countsOutput // those that are known
}

func (a *app) ringPartitions(ctx context.Context, c *client.Client, _ []string) error {
	v, err := askRing(ctx, c)
	if err != nil {
		return err
	}
	nodes := askContents(ctx, c, v)
	out := partitionsOutput{
		head: newHead(), RingVersion: v.RingVersion, Partitions: []partitionOutput{},
		Nodes: []contentsOutput{},
	}
	for p := range v.Preference {
		line := partitionOutput{Partition: p, Owners: v.owners(p), Copies: []ownedOutput{}}
		for _, owner := range line.Owners {
			held := ownedOutput{Node: owner}
			if n := nodes[owner]; n != nil {
				held.countsOutput = n.partitions[p]
			}
			line.Copies = append(line.Copies, held)
		}
		out.Partitions = append(out.Partitions, line)
	}
	for _, n := range nodes {
		out.Nodes = append(out.Nodes, n.contentsOutput)
	}
	slices.SortFunc(out.Nodes, func(a, b contentsOutput) int { return cmp.Compare(a.Node, b.Node) })
	if a.form == formJSON {
		return a.printJSON(out)
	}
	return a.showPartitions(&out)
}

// askContents asks all members side by side.
func askContents(ctx context.Context, c *client.Client, v *ringView) map[string]*memberContents {
	nodes := make(map[string]*memberContents)
	var asked sync.WaitGroup
	for i := range v.Members {
		m, n := &v.Members[i], &memberContents{partitions: make(map[int]countsOutput)}
		n.Node = m.Name
		nodes[m.Name] = n
		asked.Go(func() {
			told, err := c.RingPartitions(ctx, client.WithEndpoint(m.Addresses.Client),
				client.WithTimeout(askTimeout))
			n.take(&told, err)
		})
	}
	asked.Wait()
	return nodes
}

// take takes in what the member told. A sum over a part would look like one over all.
func (n *memberContents) take(told *client.Contents, err error) {
	if err != nil {
		n.Error = describe(err)
		return
	}
	n.Error, n.Owned = told.Reason, len(told.Partitions)
	var sum client.PartitionContents
	for _, p := range told.Partitions {
		if !p.Known {
			continue
		}
		n.Known++
		n.partitions[int(p.Partition)] = counts(p)
		sum.Keys += p.Keys
		sum.Tombstones += p.Tombstones
		sum.Damaged += p.Damaged
	}
	if n.Known == n.Owned {
		n.countsOutput = counts(sum)
	}
}

func counts(p client.PartitionContents) countsOutput {
	return countsOutput{&p.Keys, &p.Tombstones, &p.Damaged}
}

func (a *app) showPartitions(out *partitionsOutput) error {
	t := a.newTable("partition", "owners", "keys", "tombstones")
	for i := range out.Partitions {
		p := &out.Partitions[i]
		var keys, tombstones []string
		for j := range p.Copies {
			keys = append(keys, counted(p.Copies[j].Keys))
			tombstones = append(tombstones, counted(p.Copies[j].Tombstones))
		}
		t.row(p.Partition, strings.Join(p.Owners, " "), strings.Join(keys, " "),
			strings.Join(tombstones, " "))
	}
	if err := t.print(); err != nil {
		return err
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	t = a.newTable("node", "partitions", "known", "keys", "tombstones", "damaged", "state")
	for i := range out.Nodes {
		n := &out.Nodes[i]
		owned, known, state := strconv.Itoa(n.Owned), strconv.Itoa(n.Known), "-"
		if n.Error != "" {
			state = a.paint(false, n.Error)
		}
		if n.Error != "" && n.Owned == 0 {
			owned, known = "?", "?"
		}
		t.row(n.Node, owned, known, counted(n.Keys), counted(n.Tombstones), counted(n.Damaged), state)
	}
	return t.print()
}

// counted shows a number, or that it is not known.
func counted(n *uint64) string {
	if n == nil {
		return "?"
	}
	return strconv.FormatUint(*n, 10)
}
