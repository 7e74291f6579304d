// SPDX-License-Identifier: Apache-2.0

package node

import (
	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/server"
	"github.com/dyno-kv/dyno/wire"
)

// cluster tells the server what this node knows of the cluster beside data.
type cluster struct {
	node    *Node
	control server.Control // nil outside of a `dyno dev` cluster
}

var _ server.Cluster = (*cluster)(nil)

// Missing implements server.Cluster.
func (c *cluster) Missing() string {
	m := c.node.membership.Load()
	switch {
	case m == nil:
		return c.node.forming()
	case !c.node.isSettled() && m.group.Ring() != nil:
		return "the group is asked whether this directory is lost, as --rejoin says"
	default:
		return m.group.Missing()
	}
}

// Ring implements server.Cluster.
func (c *cluster) Ring() *ring.Ring { return c.node.ringOf() }

// Buckets implements server.Cluster.
func (c *cluster) Buckets() []kv.Bucket {
	if m := c.node.membership.Load(); m != nil {
		return m.group.Buckets()
	}
	return nil
}

// Bucket implements server.Cluster.
func (c *cluster) Bucket(name string) (kv.Bucket, bool) {
	if m := c.node.membership.Load(); m != nil && m.meta != nil {
		if v := m.meta.View(); v != nil {
			return v.Bucket(name)
		}
		return kv.Bucket{}, false
	}
	for _, b := range c.Buckets() {
		if b.Name == name {
			return b, true
		}
	}
	return kv.Bucket{}, false
}

// Identity implements server.Cluster.
func (c *cluster) Identity() wire.PeerHello {
	m := c.node.membership.Load()
	if m == nil {
		return wire.PeerHello{}
	}
	var instance kv.Instance
	if d := c.node.data.Load(); d != nil {
		instance = d.member.Instance
	}
	return m.hello(instance)
}

// Status implements server.Cluster: the members as they seem from here. What this node
// knows of others is gossip's opinion; of itself it knows.
func (c *cluster) Status() wire.ClusterStatusResult {
	result := wire.ClusterStatusResult{Node: c.node.cfg.Name}
	current, d := c.Ring(), c.node.data.Load()
	if current == nil || d == nil {
		c.statusWithoutData(&result)
		return result
	}
	result.Cluster, result.RingVersion = current.Cluster().String(), current.Version()
	view := d.gossip.View()
	for _, m := range current.Members() {
		itself := m.ID == d.member.ID
		if itself {
			m.Client, m.Peer, m.Gossip = c.node.own.Client, c.node.own.Peer, c.node.own.Gossip
		} else {
			m = d.where(m)
		}
		status := wire.MemberStatus{Member: server.MemberOf(m), State: wire.StateDown}
		if itself {
			own := c.node.standing(d)
			status.State, status.Ready, status.Confirmed = wire.StateUp, own.Ready, own.Confirmed
			status.Reason, status.RingVersion = own.Reason, current.Version()
		} else {
			c.statusOfOther(&status, d, view)
		}
		result.Members = append(result.Members, status)
	}
	return result
}

// statusWithoutData fills in what a member says that serves no keys yet: where it listens,
// and where it has found others. Where no ring tells that, it is how members that have
// moved find each other.
func (c *cluster) statusWithoutData(result *wire.ClusterStatusResult) {
	m := c.node.membership.Load()
	if m == nil {
		return
	}
	own := c.node.own
	own.ID = m.identity.Node
	result.Cluster = c.node.Cluster()
	result.Members = []wire.MemberStatus{{
		Member: server.MemberOf(own), State: wire.StateUp, Reason: c.Missing(),
	}}
	if m.meta == nil {
		return
	}
	m.meta.Read(func(s *state.State) {
		if s == nil {
			return
		}
		for _, id := range c.node.finds.nodes() {
			at, _ := c.node.finds.of(id)
			if other, known := s.Member(id); known && id != own.ID {
				shown := server.MemberOf(other.Member)
				shown.Addresses = at
				result.Members = append(result.Members, wire.MemberStatus{
					Member: shown, State: wire.StateDown, Reason: "there is no ring yet",
				})
			}
		}
	})
}

func (c *cluster) statusOfOther(status *wire.MemberStatus, d *data, view gossip.View) {
	other, known := view.Find(status.ID)
	switch {
	case c.control != nil && c.control.Stopped(status.Name):
		status.State, status.Reason = wire.StateStopped, "stopped by an operator"
		return
	case !d.alive(status.ID) && !known:
		status.Reason = "gossip has not heard of it"
		return
	case !d.alive(status.ID):
		status.Reason = "not reachable from here"
		return
	case !known:
		status.State = wire.StateUp
		status.Reason = "it answers, but gossip does not hear of it"
		return
	}
	status.State, status.RingVersion = wire.StateUp, other.Meta.RingVersion
	switch other.Meta.State {
	case gossip.StateReady:
		status.Ready, status.Confirmed = true, true
	case gossip.StateUnconfirmed:
		status.Ready, status.Reason = true, "the group has not confirmed its start yet"
	case gossip.StateDraining:
		status.Reason = "draining"
	default:
		status.Reason = "its store serves nothing; it says why itself"
	}
}
