// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// membership is who this node is in its cluster.
type membership struct {
	// Immutable.
	identity wire.Identity
	group    Group
	opening  *opening
}

// hello is how this node introduces itself to other members.
func (m *membership) hello(instance kv.Instance) wire.PeerHello {
	present := m.opening.past.Present()
	return wire.PeerHello{
		Min: wire.PeerVersionMin, Max: wire.PeerVersionMax, Cluster: m.identity.Cluster,
		Node: m.identity.Node, Instance: instance, OpenSeq: present.Seq, Nonce: present.Nonce,
	}
}

// findOwn finds out where this node listens.
func (n *Node) findOwn(context.Context) error {
	current := n.cfg.Group.Ring()
	if current == nil {
		return errors.New("node: the cluster has not been formed yet")
	}
	member, known := current.MemberByName(n.cfg.Name)
	if !known {
		return fmt.Errorf("node: %q is not a member of cluster %s", n.cfg.Name, current.Cluster())
	}
	n.own = member
	return nil
}

// recognise makes the node the member that its directory, or the group, says it is.
func (n *Node) recognise(context.Context) error {
	return n.enter(n.cfg.Group, wire.Identity{
		Cluster: n.cfg.Group.Ring().Cluster(), Node: n.own.ID, Name: n.own.Name,
		Created: n.cfg.Now().UnixMilli(),
	})
}

// enter makes the node a member: this opening of its store is noted.
func (n *Node) enter(group Group, identity wire.Identity) error {
	if t := n.cfg.Trace; t.Enabled() && t.Node() != uint16(identity.Node) {
		return fmt.Errorf("node: the tracer speaks for node %d, %q is number %d",
			t.Node(), identity.Name, identity.Node)
	}
	o, err := begin(n.stores.Control, identity, n.stores.Boot, n.cfg.Random48(),
		n.stores.Data.MaxVersion() == 0, n.cfg.Points)
	if err != nil {
		return err
	}
	n.membership.Store(&membership{identity: o.identity, group: group, opening: o})
	return nil
}

// ringOf is the newest ring that the node knows; nil where there is none.
func (n *Node) ringOf() *ring.Ring {
	if m := n.membership.Load(); m != nil {
		return m.group.Ring()
	}
	return nil
}
