// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/dyno-kv/dyno/antientropy/exchange"
	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/handoff"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/server"
	"github.com/dyno-kv/dyno/transfer"
	"github.com/dyno-kv/dyno/wire"
)

// data is what serves keys: there once the node is in a ring.
type data struct {
	// Immutable.
	member      ring.Member // as the ring had it when this was opened
	replica     *replica.Replica
	gossip      *gossip.Gossip
	peers       *peers
	coordinator *coordinator.Coordinator
	handoff     *handoff.Deliverer
	hints       *handoff.Syncer
	exchange    *exchange.Exchange
	purger      *exchange.Purger // nil where nothing is purged
	finds       *finds
	refilling   *refilling // nil where the store was full when it was opened

	moves  moves
	filler atomic.Pointer[transfer.Filler] // nil: it has not begun
}

// openData opens what serves keys, if the node is in a ring by now.
func (n *Node) openData(context.Context) error {
	m := n.membership.Load()
	if m == nil || !n.isSettled() {
		return nil
	}
	current := m.group.Ring()
	if current == nil {
		return nil
	}
	member, found := current.Member(m.identity.Node)
	if !found {
		return nil
	}
	if own := m.opening.born.Instance; own != 0 {
		// Whatever the ring says: it may name the life of a store in this one's place.
		member.Instance = own
	}
	d := &data{member: member, finds: &n.finds}
	if m.meta != nil && m.opening.born.Filling {
		d.refilling = &refilling{m: m, control: n.stores.Control}
	}
	for _, step := range []func(*membership, *data) error{
		n.openReplica, n.openGossip, n.openRequests, n.openBackground,
	} {
		if err := step(m, d); err != nil {
			return err
		}
	}
	n.adopt(d)
	n.server.ServeData(server.Data{
		Coordinator: d.coordinator, Replica: d.replica, Repairs: repairs{d.exchange, d},
		Hints: d.hints, Purges: d.purges(),
	})
	return nil
}

// adopt makes d what serves data, standing as the group has said by now.
func (n *Node) adopt(d *data) {
	n.judging.Lock()
	defer n.judging.Unlock()
	if n.verdict != 0 {
		d.replica.Confirm(n.verdict)
	}
	n.data.Store(d)
}

// openReplica puts the rules on top of the store.
func (n *Node) openReplica(m *membership, d *data) error {
	var err error
	d.replica, err = replica.New(replica.Config{
		Node: d.member.ID, Instance: d.member.Instance, Partitions: m.group.Ring().Partitions(),
		Ring: m.group.Ring, Now: n.cfg.Now, Incarnation: n.cfg.Random48,
		Points: n.cfg.Points, Trace: n.cfg.Trace, Deleted: m.deleted, Damaged: d.damaged,
		HintBytes: n.cfg.HintBytes, KeepPurges: m.opening.keepPurges,
		KeepFences: m.opening.keepFences,
	}, n.store, m.opening.past, n.log.Named("replica"))
	if err != nil {
		return err
	}
	return n.store.Journal(func(note wire.JournalEntry) error {
		d.replica.Recall(note)
		return nil
	})
}

// openGossip joins the members' gossip.
func (n *Node) openGossip(m *membership, d *data) error {
	cfg := n.cfg.Gossip
	var err error
	if cfg.BindAddr, cfg.BindPort, err = splitIP(n.listen.Gossip); err != nil {
		return fmt.Errorf("node: gossip address %q: %w", n.listen.Gossip, err)
	}
	cfg.Name, cfg.NodeID, cfg.Instance = d.member.Name, d.member.ID, d.member.Instance
	cfg.ClusterID = m.group.Ring().Cluster().String()
	if n.own.Gossip != n.listen.Gossip {
		if cfg.AdvertiseAddr, cfg.AdvertisePort, err = splitIP(n.own.Gossip); err != nil {
			return fmt.Errorf("node: gossip address %q: %w", n.own.Gossip, err)
		}
	}
	cfg.ClientAddr, cfg.PeerAddr = n.own.Client, n.own.Peer
	cfg.Rand = rand.New(rand.NewPCG(n.cfg.Rand.Uint64(), n.cfg.Rand.Uint64()))
	if n.cfg.GossipTransport != nil {
		if cfg.Transport, err = n.cfg.GossipTransport(n.listen.Gossip); err != nil {
			return fmt.Errorf("node: gossip at %s: %w", n.listen.Gossip, err)
		}
	}
	d.gossip, err = gossip.Open(cfg, n.log.Named("gossip"))
	if err != nil {
		return err
	}
	n.closers = append(n.closers, d.gossip.Close)
	return nil
}

// splitIP takes an address apart. Gossip is told to others as an IP, so that it is the
// same for all of them.
func splitIP(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	if net.ParseIP(host) == nil {
		return "", 0, fmt.Errorf("%q is no IP address", host)
	}
	port, err = strconv.Atoi(text)
	return host, port, err
}

// openRequests connects what carries requests.
func (n *Node) openRequests(m *membership, d *data) error {
	liveness, err := gossip.NewLiveness(n.cfg.Liveness, d.gossip.Alive)
	if err != nil {
		return err
	}
	d.peers = newPeers(m.hello(d.member.Instance), n.cfg.Dial, liveness, n.cfg.Rand,
		n.log.Named("peers"))
	cfg := n.cfg.Coordinator
	cfg.Node, cfg.Ring, cfg.Now = d.member.ID, m.group.Ring, n.cfg.Now
	cfg.Alive = d.alive
	d.coordinator, err = coordinator.New(cfg, d.replica, d.peers, n.log.Named("coordinator"))
	return err
}

// alive reports whether a member can be asked. Whoever has no connection can not,
// whatever gossip believes.
func (d *data) alive(node kv.NodeID) bool {
	return d.peers.up(node) && d.peers.liveness.Alive(node, time.Now())
}

// follow tells the connections where the members are now, and, of a newer ring, gossip whom
// it has and the others which it is.
func (d *data) follow(current *ring.Ring, newer bool) error {
	view := d.gossip.View()
	d.moves.follow(current, func(id kv.NodeID) string {
		heard, _ := view.Find(id)
		return heard.Meta.PeerAddr
	})
	var members []ring.Member
	var registered []gossip.Peer
	for _, m := range current.Members() {
		m = d.where(m)
		members = append(members, m)
		registered = append(registered, gossip.Peer{ID: m.ID, Name: m.Name, GossipAddr: m.Gossip})
	}
	if err := d.peers.follow(members); err != nil {
		return err
	}
	if newer {
		d.gossip.SetMembers(registered)
		d.gossip.SetRingVersion(current.Version())
	}
	return nil
}
