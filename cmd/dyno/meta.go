// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/meta/state"
)

// metaStatusOutput is what `dyno meta status -o json` prints.
type metaStatusOutput struct {
	head
	Cluster    string `json:"cluster"`
	AnsweredBy string `json:"answered_by"`
	Role       string `json:"role"`
	// Leader is empty where the node knows of none.
	Leader     string        `json:"leader"`
	Term       uint64        `json:"term"`
	Applied    uint64        `json:"applied"`
	Committed  uint64        `json:"committed"`
	Generation int           `json:"generation"`
	Locks      uint64        `json:"locks"`
	Sessions   uint64        `json:"sessions"`
	Waiters    uint64        `json:"waiters"`
	Members    []groupOutput `json:"members"`
}

// metaMembersOutput is what `dyno meta members -o json` prints.
type metaMembersOutput struct {
	head
	Index   uint64        `json:"index"`
	Members []groupOutput `json:"members"`
}

// groupOutput is a member of the metadata group in JSON.
type groupOutput struct {
	Node string `json:"node"`
	ID   int    `json:"id"`
	Zone string `json:"zone,omitempty"`
	Seat string `json:"seat"`
	// Raft is the id of the seat: the member's number, the group's generation, and a counter;
	// empty where it has none.
	Raft     string `json:"raft,omitempty"`
	Weight   int    `json:"weight"`
	Instance uint64 `json:"instance"`
	// Match is how far the member is in the log; 0: not known.
	Match   uint64 `json:"match"`
	Left    bool   `json:"left"`
	Refused bool   `json:"refused"`
	Client  string `json:"client"`
	Peer    string `json:"peer"`
}

func newGroupOutput(list []client.GroupMember) []groupOutput {
	out := []groupOutput{}
	for i := range list {
		m := &list[i]
		out = append(out, groupOutput{
			Node: m.Name, ID: int(m.ID), Zone: m.Zone, Seat: string(m.Seat), Raft: raftText(m.Raft),
			Weight: int(m.Weight), Instance: uint64(m.Instance), Match: m.Match, Left: m.Left,
			Refused: m.Refused, Client: m.Addresses.Client, Peer: m.Addresses.Peer,
		})
	}
	return out
}

// raftText shows the id of a seat as logs do: the member's number, the group's generation,
// and a counter of the group.
func raftText(id uint64) string {
	if id == 0 {
		return ""
	}
	return state.RaftID(id).String()
}

// state is what is wrong with a member; empty where nothing is.
func (m *groupOutput) state() string {
	switch {
	case m.Left:
		return "left"
	case m.Refused:
		return "refused: a copy or an older state of its directory has shown up, or an empty one"
	default:
		return ""
	}
}

const metaLong = `The metadata group knows who the members are, how the ring is laid out, which
buckets exist, and who holds which lock. Its voters agree on that by majority; requests for
keys never wait for it.`

func (a *app) metaCommand() *cobra.Command {
	status := &cobra.Command{
		Use: "status", Short: "Show how the group is, as one node sees it", Args: takes(0, 0),
		Long: `Shows who leads the group, how far its log is, and the seat of each member, as the node
that answers sees it. Only the leader knows how far the others are.`,
		Example: "  dyno meta status\n  dyno meta status -e 127.0.0.1:4620 -o json",
		RunE:    a.does(a.asks(a.metaStatus)),
	}
	members := &cobra.Command{
		Use: "members", Short: "List the members that the group knows", Args: takes(0, 0),
		Long: "Lists the members that the group knows, those that have registered before there is a\n" +
			"ring as well.",
		Example: "  dyno meta members",
		RunE:    a.does(a.asks(a.metaMembers)),
	}
	c := a.parent("meta", "The group that keeps members, buckets and locks", status, members,
		a.metaSnapshotCommand(), a.metaRecoverCommand())
	c.Long = metaLong
	return c
}

func (a *app) metaStatus(ctx context.Context, c *client.Client, _ []string) error {
	s, err := c.MetaStatus(ctx)
	if err != nil {
		return err
	}
	out := metaStatusOutput{
		head: newHead(), Cluster: s.Cluster, AnsweredBy: s.Node, Role: string(s.Role),
		Leader: s.Leader, Term: s.Term, Applied: s.Applied, Committed: s.Committed,
		Generation: int(s.Generation), Locks: s.Locks, Sessions: s.Sessions, Waiters: s.Waiters,
		Members: newGroupOutput(s.Members),
	}
	if a.form == formJSON {
		return a.printJSON(out)
	}
	leader := "no leader"
	if s.Leader != "" {
		leader = "leader " + s.Leader
	}
	if err := a.printf("cluster %s, generation %d, as %s (%s) sees it\n"+
		"%s, term %d, applied %d of %d\n%d locks, %d sessions, %d waiters\n\n",
		s.Cluster, s.Generation, s.Node, s.Role, leader, s.Term, s.Applied, s.Committed, s.Locks,
		s.Sessions, s.Waiters); err != nil {
		return err
	}
	t := a.newTable("node", "seat", "raft", "match", "state")
	for i := range out.Members {
		m := &out.Members[i]
		match := any("-")
		if m.Match > 0 {
			match = m.Match
		}
		t.row(m.Node, m.Seat, dash(m.Raft), match, dash(m.state()))
	}
	return t.print()
}

func (a *app) metaMembers(ctx context.Context, c *client.Client, _ []string) error {
	got, err := c.MetaMembers(ctx)
	if err != nil {
		return err
	}
	out := metaMembersOutput{head: newHead(), Index: got.Index, Members: newGroupOutput(got.Members)}
	if a.form == formJSON {
		return a.printJSON(out)
	}
	t := a.newTable("node", "id", "seat", "zone", "weight", "client", "peer", "state")
	for i := range out.Members {
		m := &out.Members[i]
		state, _, _ := strings.Cut(m.state(), ":")
		t.row(m.Node, m.ID, m.Seat, dash(m.Zone), m.Weight, dash(m.Client), dash(m.Peer), dash(state))
	}
	return t.print()
}
