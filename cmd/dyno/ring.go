// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// ringOutput is what `dyno ring show -o json` prints.
type ringOutput struct {
	head
	Cluster     string             `json:"cluster"`
	RingVersion uint64             `json:"ring_version"`
	Replicas    uint32             `json:"replicas"`
	Partitions  uint32             `json:"partitions"`
	Members     []ringMemberOutput `json:"members"`
}

type ringMemberOutput struct {
	Node   string `json:"node"`
	Number uint16 `json:"number"`
	Zone   string `json:"zone,omitempty"`
	Client string `json:"client"`
	// Slots is how many replicas of partitions the node holds; First of how many it is
	// the first owner.
	Slots int `json:"slots"`
	First int `json:"first"`
}

// ownersOutput is what `dyno ring owners -o json` prints.
type ownersOutput struct {
	head
	Bucket string `json:"bucket"`
	name
	Partition int           `json:"partition"`
	Owners    []ownerOutput `json:"owners"`
}

type ownerOutput struct {
	Node   string `json:"node"`
	Client string `json:"client"`
}

func (a *app) ringCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Show the members of the ring and their shares", Args: takes(0, 0),
		Example: "  dyno ring show",
		RunE:    a.does(a.asks(a.ringShow)),
	}
	owners := &cobra.Command{
		Use:   "owners [BUCKET/]KEY",
		Short: "Show which nodes hold a key",
		Long: `Shows the partition of a key and the nodes that hold it, best first.

What stands before the first slash is taken as a bucket where there is one of that name,
else as the beginning of the key: 'default/a/b' is the key a/b of the bucket default.`,
		Example: "  dyno ring owners greeting\n  dyno ring owners default/greeting -o json",
		Args:    takes(1, 1),
		RunE:    a.does(a.asks(a.ringOwners)),
	}
	return a.parent("ring", "Who holds which keys", show, owners, a.ringPartitionsCommand())
}

// ringView is the ring with the names of its nodes.
type ringView struct {
	client.ClusterInfo
	members map[kv.NodeID]*client.Member
}

func askRing(ctx context.Context, c *client.Client) (*ringView, error) {
	info, err := c.ClusterInfo(ctx)
	if err != nil {
		return nil, err
	}
	v := &ringView{ClusterInfo: info, members: make(map[kv.NodeID]*client.Member)}
	for i := range v.Members {
		v.members[v.Members[i].ID] = &v.Members[i]
	}
	return v, nil
}

// member finds a node by its number; one that the ring does not name has its number only.
func (v *ringView) member(id kv.NodeID) client.Member {
	if m := v.members[id]; m != nil {
		return *m
	}
	return client.Member{ID: id, Name: "?"}
}

// owners are the names of the nodes that hold a partition, the first one first.
func (v *ringView) owners(p int) []string {
	names := []string{}
	for _, id := range v.Preference[p][:min(int(v.Replicas), len(v.Preference[p]))] {
		names = append(names, v.member(id).Name)
	}
	return names
}

func (a *app) ringShow(ctx context.Context, c *client.Client, _ []string) error {
	v, err := askRing(ctx, c)
	if err != nil {
		return err
	}
	slots, first := make(map[string]int), make(map[string]int)
	for p := range v.Preference {
		for i, owner := range v.owners(p) {
			slots[owner]++
			if i == 0 {
				first[owner]++
			}
		}
	}
	out := ringOutput{
		head: newHead(), Cluster: v.Cluster, RingVersion: v.RingVersion, Replicas: v.Replicas,
		Partitions: v.Partitions, Members: []ringMemberOutput{},
	}
	t := a.newTable("node", "zone", "client", "slots", "first")
	for i := range v.Members {
		m := &v.Members[i]
		out.Members = append(out.Members, ringMemberOutput{
			Node: m.Name, Number: uint16(m.ID), Zone: m.Zone, Client: m.Addresses.Client,
			Slots: slots[m.Name], First: first[m.Name],
		})
		t.row(m.Name, dash(m.Zone), dash(m.Addresses.Client), slots[m.Name], first[m.Name])
	}
	if a.form == formJSON {
		return a.printJSON(out)
	}
	if err := a.printf("cluster %s, ring version %d: %d partitions of %d replicas\n\n",
		v.Cluster, v.RingVersion, v.Partitions, v.Replicas); err != nil {
		return err
	}
	return t.print()
}

func (a *app) ringOwners(ctx context.Context, c *client.Client, args []string) error {
	v, err := askRing(ctx, c)
	if err != nil {
		return err
	}
	bucket, key := v.splitKey(args[0])
	if key == "" {
		return usage("%q names no key", args[0])
	}
	p := int(ring.PartitionOf(ring.Hash(v.HashSeed, bucket.ID, []byte(key)), int(v.Partitions)))
	if p >= len(v.Preference) {
		return failWith(exitError, "the node told %d preference lists for %d partitions",
			len(v.Preference), v.Partitions)
	}
	out := ownersOutput{
		head: newHead(), Bucket: bucket.Name, name: newName([]byte(key)), Partition: p,
		Owners: []ownerOutput{},
	}
	t := a.newTable("owner", "client")
	for _, id := range v.Preference[p][:min(int(v.Replicas), len(v.Preference[p]))] {
		m := v.member(id)
		out.Owners = append(out.Owners, ownerOutput{Node: m.Name, Client: m.Addresses.Client})
		t.row(m.Name, dash(m.Addresses.Client))
	}
	if a.form == formJSON {
		return a.printJSON(out)
	}
	if err := a.printf("bucket %s, key %s, partition %d\n\n",
		bucket.Name, shown([]byte(key)), p); err != nil {
		return err
	}
	return t.print()
}

// splitKey tells bucket and key apart.
func (v *ringView) splitKey(text string) (client.BucketInfo, string) {
	bucket := kv.BuiltinBucket(int(v.Replicas))
	before, after, found := strings.Cut(text, "/")
	for _, b := range v.Buckets {
		switch {
		case found && b.Name == before:
			return b, after
		case b.Name == client.DefaultBucket:
			bucket = b
		}
	}
	return bucket, text
}
