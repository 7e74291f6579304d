// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/wire"
)

// asked is how many other hosts a node asks when it joins, or looks for members that have
// moved.
const asked = 2

// form is how the host's node comes into the cluster. The first founds it, once: after that
// an empty directory never makes another cluster.
func (h *Host) form() node.Formation {
	c := h.cluster
	f := node.Formation{
		Addresses: wire.Addresses{
			Client: h.Member.Client, Peer: h.Member.Peer, Gossip: h.Member.Gossip,
		},
		Bootstrap: h == c.Hosts[0] && !c.formed,
	}
	if h == c.Hosts[0] {
		f.Expect, f.Replicas, f.Partitions = c.cfg.Nodes, c.cfg.Replicas, c.cfg.Partitions
	}
	others := len(c.Hosts) - 1
	for i := range min(others, asked) {
		// The one before is asked first: it has been registered before this one.
		at := (int(h.ID) - 2 - i + 2*len(c.Hosts)) % len(c.Hosts)
		f.Join = append(f.Join, c.Hosts[at].Member.Client)
	}
	return f
}

// register waits until a host that was just started is a member, in a cluster that is
// formed: the group numbers members as they come, and the hosts have numbers already.
func (c *Cluster) register(ctx context.Context, h *Host) error {
	if !c.cfg.Grouped || c.formed {
		return nil
	}
	for h.process.node.ID() == 0 {
		if err, ended := h.Ended(); ended {
			return fmt.Errorf("sim: %s ended before it was a member: %w", h.Name, err)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("sim: %s is no member yet: %w", h.Name, context.Cause(ctx))
		}
	}
	if id := h.process.node.ID(); id != h.ID {
		return fmt.Errorf("sim: %s was registered as number %d", h.Name, id)
	}
	return nil
}

// Group is the part of the host's process in the metadata group; nil where no process runs,
// where it is no member yet, or where something stands in for the group.
func (h *Host) Group() *meta.Group {
	if !h.Up() {
		return nil
	}
	return h.process.node.Group()
}

// Leader is the host whose process leads the metadata group as far as it knows, of several
// the one with the highest term; nil where none does.
func (c *Cluster) Leader() (leader *Host) {
	var term uint64
	for _, h := range c.Hosts {
		g := h.Group()
		if g == nil {
			continue
		}
		if s := g.Status(); s.Leads && s.Term >= term {
			leader, term = h, s.Term
		}
	}
	return leader
}

// Seats are the hosts that have a seat in the metadata group, as the process knows it that
// knows most of it, in order of their numbers; and whether each of them votes.
func (c *Cluster) Seats() (hosts []*Host, votes []bool) {
	var newest meta.Status
	for _, h := range c.Hosts {
		if g := h.Group(); g != nil {
			// Who votes only a seat knows.
			if s := g.Status(); s.Role != meta.RoleClient && s.Applied > newest.Applied {
				newest = s
			}
		}
	}
	for _, seat := range newest.Seats {
		if i := int(seat.Node) - 1; i < len(c.Hosts) {
			hosts, votes = append(hosts, c.Hosts[i]), append(votes, seat.Voter)
		}
	}
	return hosts, votes
}
