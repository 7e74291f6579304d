// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// statusOutput is what `dyno cluster status -o json` prints.
type statusOutput struct {
	head
	Cluster     string `json:"cluster"`
	AnsweredBy  string `json:"answered_by"`
	RingVersion uint64 `json:"ring_version"`
	// Healthy says that every member is up, ready and confirmed, and that nothing is there that
	// does not heal by itself; Reasons why not. CaughtUp says besides that nothing stays behind.
	Healthy  bool           `json:"healthy"`
	CaughtUp bool           `json:"caught_up"`
	Reasons  []string       `json:"reasons"`
	Members  []memberOutput `json:"members"`
}

type memberOutput struct {
	Node      string `json:"node"`
	State     string `json:"state"`
	Ready     bool   `json:"ready"`
	Confirmed bool   `json:"confirmed"`
	Reason    string `json:"reason,omitempty"`
	// RingVersion is the one that the node has; 0: not known.
	RingVersion uint64 `json:"ring_version"`
	Zone        string `json:"zone,omitempty"`
	Client      string `json:"client"`
	Peer        string `json:"peer"`
	Gossip      string `json:"gossip"`
	Admin       string `json:"admin,omitempty"`
	// Work is what stays behind at the node; absent where it does not say.
	Work *workOutput `json:"work,omitempty"`
}

const statusLong = `Shows the members: how they seem to the node that answers, and what each
of those that can be reached says of itself.

  state      up, down (can not be reached), or stopped (on purpose)
  ready      its store holds what it should
  confirmed  its start was confirmed, so that it counts for --pr and --pw
  reason     why it is not one of these

and what stays behind at each of them:

  hints      what it keeps for nodes that missed it, and markers without a value
  oldest     the age of the oldest hint
  settled    pairs of a partition and another owner that hold the same, of all
  trees      partitions whose contents it can compare, of those that it owns
  purged to  the newest purge round that it knows of
  behind     what of this, and else, is still to be done

The cluster is healthy while every member is up, ready and confirmed, and there is nothing
that does not heal by itself: hints that can not be read, a store that missed a purge
round, a disk that is nearly full. It has caught up once nothing stays behind.`

// askTimeout bounds the question to each member; they are asked side by side.
const askTimeout = 2 * time.Second

func (a *app) clusterCommand() *cobra.Command {
	status := &cobra.Command{
		Use: "status", Short: "Show how the members are", Long: statusLong, Args: takes(0, 0),
		Example: "  dyno cluster status\n  dyno cluster status -e 127.0.0.1:4620 -o json",
		RunE:    a.does(a.asks(a.clusterStatus)),
	}
	members := &cobra.Command{
		Use: "members", Short: "List the members with their addresses", Args: takes(0, 0),
		Example: "  dyno cluster members",
		RunE:    a.does(a.asks(a.clusterMembers)),
	}
	return a.parent("cluster", "The nodes of the cluster", status, members)
}

func newMemberOutput(m *client.MemberStatus) memberOutput {
	return memberOutput{
		Node: m.Name, State: string(m.State), Ready: m.Ready, Confirmed: m.Confirmed,
		Reason: m.Reason, RingVersion: m.RingVersion, Zone: m.Zone, Client: m.Addresses.Client,
		Peer: m.Addresses.Peer, Gossip: m.Addresses.Gossip,
		Admin: m.Addresses.Admin, Work: newWorkOutput(m.Work),
	}
}

// askStatus asks a node how the members are.
func askStatus(
	ctx context.Context, c *client.Client, opts ...client.Option,
) (*statusOutput, error) {
	s, err := c.ClusterStatus(ctx, opts...)
	if err != nil {
		return nil, err
	}
	out := &statusOutput{
		head: newHead(), Cluster: s.Cluster, AnsweredBy: s.Node, RingVersion: s.RingVersion,
		Members: []memberOutput{},
	}
	for i := range s.Members {
		out.Members = append(out.Members, newMemberOutput(&s.Members[i]))
	}
	return out, nil
}

// askEach asks the members that are up about themselves: only they know whether they are
// confirmed, and why they are not ready.
func (s *statusOutput) askEach(ctx context.Context, c *client.Client) {
	var asked sync.WaitGroup
	for i := range s.Members {
		m := &s.Members[i]
		if m.Node == s.AnsweredBy || m.State != string(client.StateUp) || m.Client == "" {
			continue
		}
		asked.Go(func() {
			own, err := askStatus(ctx, c,
				client.WithEndpoint(m.Client), client.WithTimeout(askTimeout))
			if err != nil {
				m.Reason = "does not answer: " + describe(err)
				return
			}
			for _, o := range own.Members {
				if o.Node == m.Node {
					m.Ready, m.Confirmed, m.Reason, m.RingVersion = o.Ready, o.Confirmed, o.Reason,
						o.RingVersion
					m.Work = o.Work
				}
			}
		})
	}
	asked.Wait()
	s.judge()
}

func (a *app) clusterStatus(ctx context.Context, c *client.Client, _ []string) error {
	s, err := askStatus(ctx, c)
	if err != nil {
		return err
	}
	s.askEach(ctx, c)
	if a.form == formJSON {
		return a.printJSON(s)
	}
	if err := a.printf("cluster %s, ring version %d, as %s sees it\n\n",
		s.Cluster, s.RingVersion, s.AnsweredBy); err != nil {
		return err
	}
	t := a.newTable("node", "state", "ready", "confirmed", "ring", "client", "reason")
	for i := range s.Members {
		m := &s.Members[i]
		var ring any = m.RingVersion
		if m.RingVersion == 0 {
			ring = "-"
		}
		t.row(m.Node, a.paint(m.State == string(client.StateUp), m.State), a.yes(m.Ready),
			a.yes(m.Confirmed), ring, dash(m.Client), dash(m.Reason))
	}
	if err := t.print(); err != nil {
		return err
	}
	return a.printWork(s)
}

func (a *app) clusterMembers(ctx context.Context, c *client.Client, _ []string) error {
	s, err := askStatus(ctx, c)
	if err != nil {
		return err
	}
	s.askEach(ctx, c)
	if a.form == formJSON {
		return a.printJSON(s)
	}
	t := a.newTable("node", "zone", "client", "peer", "gossip", "admin")
	for i := range s.Members {
		m := &s.Members[i]
		t.row(m.Node, dash(m.Zone), dash(m.Client), dash(m.Peer), dash(m.Gossip),
			dash(m.Admin))
	}
	return t.print()
}
