// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/server"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// Node is one member, opened. Open it, then either Run it, which closes it, or Close it.
type Node struct {
	// Immutable after Open.
	cfg    Config
	log    *zap.Logger
	member ring.Member

	stores      *Stores
	opening     *opening
	store       *storage.Store
	replica     *replica.Replica
	gossip      *gossip.Gossip
	peers       *peers
	coordinator *coordinator.Coordinator
	server      *server.Server
	clientPort  net.Listener
	peerPort    net.Listener

	closers []func() error // in the order of opening
	ran     bool           // Run was called

	draining atomic.Bool
	telling  sync.Mutex // orders what gossip is told; never held over a wait
}

// Open opens a node: directory, stores, parts, sockets. Nothing runs before Run. After
// an error nothing is left open.
func Open(ctx context.Context, cfg Config, log *zap.Logger) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.instrument()
	n := &Node{cfg: cfg, log: log}
	for _, step := range []func(context.Context) error{
		n.openMember, n.openStores, n.openReplica, n.openGossip, n.openRequests, n.openPorts,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, n.closeAll())
		}
	}
	return n, nil
}

// openMember finds out who this node is.
func (n *Node) openMember(context.Context) error {
	current := n.cfg.Group.Ring()
	if current == nil {
		return errors.New("node: the cluster has not been formed yet")
	}
	member, known := current.MemberByName(n.cfg.Name)
	if !known {
		return fmt.Errorf("node: %q is not a member of cluster %s", n.cfg.Name, current.Cluster())
	}
	if t := n.cfg.Trace; t.Enabled() && t.Node() != uint16(member.ID) {
		return fmt.Errorf("node: the tracer speaks for node %d, %q is number %d",
			t.Node(), member.Name, member.ID)
	}
	n.member = member
	return nil
}

// openStores opens the directory, and decides what its past allows.
func (n *Node) openStores(context.Context) error {
	stores, err := n.cfg.OpenStores(n.cfg.Dir, n.log.Named("storage"))
	if err != nil {
		return err
	}
	n.stores = stores
	n.closers = append(n.closers, stores.Release, stores.Control.Close)
	want := wire.Identity{
		Cluster: n.cfg.Group.Ring().Cluster(), Node: n.member.ID, Name: n.member.Name,
		Created: n.cfg.Now().UnixMilli(),
	}
	found, err := remember(stores.Control)
	if err == nil {
		n.opening, err = begin(stores.Control, want, stores.Boot, n.cfg.Random48(),
			stores.Data.MaxVersion() == 0, n.cfg.Points)
	}
	if err != nil {
		return errors.Join(err, stores.Data.Close())
	}
	n.closers = append(n.closers, func() error {
		if n.ran {
			return nil
		}
		return found.do()
	})
	cfg := n.cfg.Storage
	cfg.FreeBytes = stores.FreeBytes
	n.store, err = storage.Open(cfg, stores.Data, n.log.Named("storage"))
	if err != nil {
		return errors.Join(err, stores.Data.Close())
	}
	n.closers = append(n.closers, n.store.Close)
	return nil
}

// openReplica puts the rules on top of the store.
func (n *Node) openReplica(context.Context) error {
	current := n.cfg.Group.Ring()
	var err error
	n.replica, err = replica.New(replica.Config{
		Node: n.member.ID, Instance: n.member.Instance, Partitions: current.Partitions(),
		Ring: n.cfg.Group.Ring, Now: n.cfg.Now, Incarnation: n.cfg.Random48,
		Points: n.cfg.Points, Trace: n.cfg.Trace,
	}, n.store, n.opening.past, n.log.Named("replica"))
	if err != nil {
		return err
	}
	return n.store.Journal(func(note wire.JournalEntry) error {
		n.replica.Recall(note)
		return nil
	})
}

// openGossip joins the members' gossip.
func (n *Node) openGossip(context.Context) error {
	host, port, err := net.SplitHostPort(n.member.Gossip)
	if err != nil {
		return fmt.Errorf("node: gossip address %q: %w", n.member.Gossip, err)
	}
	cfg := n.cfg.Gossip
	cfg.Name, cfg.NodeID, cfg.Instance = n.member.Name, n.member.ID, n.member.Instance
	cfg.ClusterID = n.cfg.Group.Ring().Cluster().String()
	cfg.BindAddr = host
	if cfg.BindPort, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("node: gossip address %q: %w", n.member.Gossip, err)
	}
	cfg.ClientAddr, cfg.PeerAddr = n.member.Client, n.member.Peer
	cfg.Rand = rand.New(rand.NewPCG(n.cfg.Rand.Uint64(), n.cfg.Rand.Uint64()))
	if n.cfg.GossipTransport != nil {
		if cfg.Transport, err = n.cfg.GossipTransport(n.member.Gossip); err != nil {
			return fmt.Errorf("node: gossip at %s: %w", n.member.Gossip, err)
		}
	}
	n.gossip, err = gossip.Open(cfg, n.log.Named("gossip"))
	if err != nil {
		return err
	}
	n.closers = append(n.closers, n.gossip.Close)
	return nil
}

// openRequests connects what carries requests.
func (n *Node) openRequests(context.Context) error {
	liveness, err := gossip.NewLiveness(n.cfg.Liveness, n.gossip.Alive)
	if err != nil {
		return err
	}
	current, present := n.cfg.Group.Ring(), n.opening.past.Present()
	identity := wire.PeerHello{
		Min: wire.PeerVersionMin, Max: wire.PeerVersionMax, Cluster: current.Cluster(),
		Node: n.member.ID, Instance: n.member.Instance, OpenSeq: present.Seq, Nonce: present.Nonce,
	}
	n.peers = newPeers(identity, n.cfg.Dial, liveness, n.cfg.Rand, n.log.Named("peers"))
	cfg := n.cfg.Coordinator
	cfg.Node, cfg.Ring, cfg.Now = n.member.ID, n.cfg.Group.Ring, n.cfg.Now
	// Whoever has no connection can not be asked, whatever gossip believes.
	cfg.Alive = func(node kv.NodeID) bool {
		return n.peers.up(node) && liveness.Alive(node, time.Now())
	}
	n.coordinator, err = coordinator.New(cfg, n.replica, n.peers, n.log.Named("coordinator"))
	if err != nil {
		return err
	}
	parts := server.Parts{
		Coordinator: n.coordinator, Replica: n.replica, Control: n.cfg.Control, Now: n.cfg.Now,
		Cluster: &cluster{
			group: n.cfg.Group, identity: identity, name: n.member.Name, gossip: n.gossip,
			alive: cfg.Alive, replica: n.replica, control: n.cfg.Control,
		},
	}
	n.server, err = server.New(n.cfg.Server, parts, n.log.Named("server"))
	return err
}

// openPorts binds the listeners, last, so that nobody can come before all is there.
func (n *Node) openPorts(ctx context.Context) error {
	var err error
	if n.peerPort, err = n.cfg.Listen(ctx, n.member.Peer); err != nil {
		return fmt.Errorf("node: peer port: %w", err)
	}
	n.closers = append(n.closers, closeOnce(n.peerPort))
	if n.clientPort, err = n.cfg.Listen(ctx, n.member.Client); err != nil {
		return fmt.Errorf("node: client port: %w", err)
	}
	n.closers = append(n.closers, closeOnce(n.clientPort))
	return nil
}

// closeOnce closes a listener that its server may have closed before.
func closeOnce(ln net.Listener) func() error {
	return func() error {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// Member is who this node is.
func (n *Node) Member() ring.Member { return n.member }

// Status is the standing of the node's store.
func (n *Node) Status() replica.Status { return n.replica.Status() }

// Connected reports whether this node is connected to each of these members, and gossip
// sees them.
func (n *Node) Connected(members []kv.NodeID) bool {
	for _, id := range members {
		if id != n.member.ID && !(n.peers.up(id) && n.gossip.Alive(id)) {
			return false
		}
	}
	return true
}

// Close gives back what Open took, and leaves the directory as Open found it, for a node
// that is not run. Run closes by itself.
func (n *Node) Close() error { return n.closeAll() }

// closeAll closes in the reverse order of opening.
func (n *Node) closeAll() error {
	var faults []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		faults = append(faults, n.closers[i]())
	}
	n.closers = nil
	return errors.Join(faults...)
}
