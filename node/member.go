// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// membership is who this node is in its cluster.
type membership struct {
	// Immutable.
	identity wire.Identity
	group    Group
	meta     *meta.Group // the same, where it is the metadata group; else nil
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

// deleted reports whether the group has deleted a bucket, as far as this node has heard.
func (m *membership) deleted(id kv.BucketID) bool {
	if m.meta == nil {
		return false
	}
	v := m.meta.View()
	return v != nil && v.Ring != nil && v.Deleted(id)
}

// findOwn finds out where this node listens.
func (n *Node) findOwn(context.Context) error {
	if n.cfg.Group == nil {
		n.own = n.cfg.Form.member(n.cfg.Name)
		n.listen = n.cfg.Form.listen()
		return nil
	}
	current := n.cfg.Group.Ring()
	if current == nil {
		return errors.New("node: the cluster has not been formed yet")
	}
	member, known := current.MemberByName(n.cfg.Name)
	if !known {
		return fmt.Errorf("node: %q is not a member of cluster %s", n.cfg.Name, current.Cluster())
	}
	n.own, n.listen = member, addressesOf(member)
	return nil
}

// recognise makes the node the member that its directory says it is. An empty one says
// nothing: then Run makes it a member.
func (n *Node) recognise(context.Context) error {
	if n.cfg.Group != nil {
		return n.enter(wire.Identity{
			Cluster: n.cfg.Group.Ring().Cluster(), Node: n.own.ID, Name: n.own.Name,
			Created: n.cfg.Now().UnixMilli(),
		}, nil)
	}
	record, found, err := n.stores.Control.Get(wire.KeyIdentity)
	if err != nil {
		return fmt.Errorf("node: read identity: %w", err)
	}
	switch {
	case !found && n.cfg.Rejoin && n.cfg.Form.founds():
		return fmt.Errorf("%w: name some with --join, and leave --bootstrap out; else %q would "+
			"found another cluster in this empty directory", ErrRejoinAlone, n.own.Name)
	case !found:
		return nil
	}
	identity, err := wire.DecodeIdentityRecord(record)
	if err != nil {
		return fmt.Errorf("node: read identity: %w", err)
	}
	if identity.Name != n.own.Name {
		return fmt.Errorf("%w: it holds node %q of cluster %x, this is node %q",
			ErrOtherIdentity, identity.Name, identity.Cluster, n.own.Name)
	}
	return n.enter(identity, nil)
}

// enter makes the node a member: this opening of its store is noted. seats are whom it
// may ask before it knows more of the group.
func (n *Node) enter(identity wire.Identity, seats []meta.Seat) error {
	if t := n.cfg.Trace; t.Enabled() && t.Node() != uint16(identity.Node) {
		return fmt.Errorf("node: the tracer speaks for node %d, %q is number %d",
			t.Node(), identity.Name, identity.Node)
	}
	o, err := begin(n.stores.Control, identity, n.stores.Boot, n.cfg.Random48(),
		n.stores.Data.MaxVersion() == 0, n.cfg.Points)
	if err != nil {
		return err
	}
	return n.take(o, seats)
}

// take makes the node the member whose store was opened.
func (n *Node) take(o *opening, seats []meta.Seat) error {
	m := &membership{identity: o.identity, group: n.cfg.Group, opening: o}
	if m.group == nil {
		var err error
		if m.meta, err = meta.Open(n.metaConfig(m, seats), n.log.Named("meta")); err != nil {
			return err
		}
		m.group = &metaGroup{Group: m.meta, own: n.own, random48: n.cfg.Random48}
	}
	n.membership.Store(m)
	n.serveGroup()
	return nil
}

// metaConfig says who this node is in the metadata group.
func (n *Node) metaConfig(m *membership, seats []meta.Seat) meta.Config {
	cfg := n.cfg.Meta
	cfg.Node, cfg.Cluster = m.identity.Node, m.identity.Cluster
	cfg.Opens, cfg.Control = m.opening.past.Opens, n.stores.Control
	cfg.Dial, cfg.Seats, cfg.Trace = n.cfg.Dial, seats, n.cfg.Trace
	cfg.Hello = func(node kv.NodeID) rpc.Hello { return &hello{self: m.hello(0), node: node} }
	cfg.Address, cfg.Alive, cfg.Known = n.addressOf, n.seemsAlive, n.finds.nodes
	cfg.Rand = rand.New(rand.NewPCG(n.cfg.Rand.Uint64(), n.cfg.Rand.Uint64()))
	return cfg
}

// addressOf is where a member's peers reach it, where this node knows of a restart
// elsewhere before the ring does; else it is empty.
func (n *Node) addressOf(node kv.NodeID) string {
	if d := n.data.Load(); d != nil {
		return d.where(ring.Member{ID: node}).Peer
	}
	at, _ := n.finds.of(node)
	return at.Peer
}

// seemsAlive reports whether a member seems to run. Before there is gossip all may.
func (n *Node) seemsAlive(node kv.NodeID) bool {
	d := n.data.Load()
	return d == nil || node == d.member.ID || d.gossip.Alive(node)
}

// become makes a node with an empty directory a member: it founds a cluster or registers
// with one. It reports false where ctx ended before.
func (n *Node) become(ctx context.Context) (bool, error) {
	if n.cfg.Form.founds() {
		return true, n.found()
	}
	r, err := n.join(ctx)
	if err != nil || ctx.Err() != nil {
		return false, err
	}
	n.log.Info("joined", zap.String("cluster", ring.ClusterID(r.identity.Cluster).String()),
		zap.Uint16("node", uint16(r.identity.Node)))
	return true, n.enter(r.identity, r.seats)
}

// ringOf is the newest ring that the node knows; nil where there is none.
func (n *Node) ringOf() *ring.Ring {
	if m := n.membership.Load(); m != nil {
		return m.group.Ring()
	}
	return nil
}
