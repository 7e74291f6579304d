// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/budget"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/server"
	"github.com/dyno-kv/dyno/server/admin"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// Node is one member, opened. Open it, then either Run it, which closes it, or Close it.
//
// It grows in three steps: with its directory and ports it is there; with an identity and
// the group it is a member; with a place in the ring it serves data. A node that was all
// of that before has it again when Open returns, also without its group.
type Node struct {
	// Immutable after Open.
	cfg        Config
	log        *zap.Logger
	own        ring.Member // name and addresses; number and instance are the group's to say
	listen     wire.Addresses
	cluster    *cluster
	stores     *Stores
	store      *storage.Store
	server     *server.Server
	admin      *admin.Server
	clientPort net.Listener
	peerPort   net.Listener
	adminPort  net.Listener // nil where there is none

	membership atomic.Pointer[membership] // nil: no member yet
	data       atomic.Pointer[data]       // nil: not in a ring yet

	closers []func() error // in the order of opening; owned by Open and then by Run
	ran     bool           // Run was called

	draining atomic.Bool
	telling  sync.Mutex // orders what gossip is told; never held over a wait

	settled chan struct{} // closed when what is served may be opened
	filled  chan struct{} // the store is full; taken by guard

	judging sync.Mutex // guards verdict; never held over a wait
	verdict kv.Verdict // the newest on this opening; 0: none yet

	joining atomic.Pointer[error] // why it has not joined yet
	finds   finds

	background background
}

// Open opens a node: directory, stores, ports, and as much of the rest as its directory
// knows. Nothing runs before Run. After an error nothing is left open.
func Open(ctx context.Context, cfg Config, log *zap.Logger) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.instrument()
	n := &Node{
		cfg: cfg, log: log, settled: make(chan struct{}), filled: make(chan struct{}),
	}
	var err error
	if n.background.budget, err = budget.New(cfg.Budget); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{
		n.findOwn, n.openStores, n.recognise, n.settle, n.openServer, n.openAdmin, n.openData,
		n.openPorts,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, n.closeAll())
		}
	}
	return n, nil
}

// openStores opens the directory.
func (n *Node) openStores(context.Context) error {
	stores, err := n.cfg.OpenStores(n.cfg.Dir, n.log.Named("storage"))
	if err != nil {
		return err
	}
	n.stores = stores
	n.closers = append(n.closers, stores.Release, stores.Control.Close)
	found, err := remember(stores.Control)
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
	n.closers = append(n.closers, func() error { return n.store.Close() })
	return nil
}

// openServer makes what answers on both ports.
func (n *Node) openServer(context.Context) error {
	n.cluster = &cluster{node: n, control: n.cfg.Control}
	var err error
	n.server, err = server.New(n.cfg.Server, server.Parts{
		Cluster: n.cluster, Control: n.cfg.Control, Now: n.cfg.Now, Grouped: n.cfg.Group == nil,
		Repairing: true, Hinting: true, Waited: n.background.waits.Observe,
	}, n.log.Named("server"))
	if err == nil {
		n.serveGroup()
	}
	return err
}

// serveGroup has the group's methods served, where there is a server and a group.
func (n *Node) serveGroup() {
	if m := n.membership.Load(); m != nil && m.meta != nil && n.server != nil {
		n.server.ServeGroup(m.meta)
	}
}

// openPorts binds the listeners, last, so that nobody can come before all is there that
// can be.
func (n *Node) openPorts(ctx context.Context) error {
	var err error
	if n.peerPort, err = n.cfg.Listen(ctx, n.listen.Peer); err != nil {
		return fmt.Errorf("node: peer port: %w", err)
	}
	n.closers = append(n.closers, closeOnce(n.peerPort))
	if n.clientPort, err = n.cfg.Listen(ctx, n.listen.Client); err != nil {
		return fmt.Errorf("node: client port: %w", err)
	}
	n.closers = append(n.closers, closeOnce(n.clientPort))
	return n.openAdminPort(ctx)
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

// Status is the standing of the node's store.
func (n *Node) Status() replica.Status {
	if d := n.data.Load(); d != nil {
		return d.replica.Status()
	}
	return replica.Status{Reason: n.cluster.Missing()}
}

// Group is the node's part in the metadata group; nil before it is a member, and where
// something stands in for the group.
func (n *Node) Group() *meta.Group {
	if m := n.membership.Load(); m != nil {
		return m.meta
	}
	return nil
}

// ID is the node's number, 0 before it is a member.
func (n *Node) ID() kv.NodeID {
	if m := n.membership.Load(); m != nil {
		return m.identity.Node
	}
	return 0
}

// Cluster is the id of the node's cluster, empty before it is a member.
func (n *Node) Cluster() string {
	if m := n.membership.Load(); m != nil {
		return ring.ClusterID(m.identity.Cluster).String()
	}
	return ""
}

// Connected reports whether this node is connected to each of these members, and gossip
// sees them.
func (n *Node) Connected(members []kv.NodeID) bool {
	d := n.data.Load()
	if d == nil {
		return false
	}
	for _, id := range members {
		if id != d.member.ID && !(d.peers.up(id) && d.gossip.Alive(id)) {
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
