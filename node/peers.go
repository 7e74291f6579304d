// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/antientropy/exchange"
	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// peers keeps a connection to every other member and carries the coordinator's
// requests over it.
type peers struct {
	// Immutable after newPeers.
	self     wire.PeerHello
	dial     rpc.Dialer
	liveness *gossip.Liveness
	log      *zap.Logger
	changed  chan struct{} // capacity 1: there is a newer ring

	mu     sync.Mutex // guards what follows
	rand   *rand.Rand
	byNode map[kv.NodeID]*peer
}

const (
	// probeEvery is how often members are pinged whose liveness is in doubt.
	probeEvery = time.Second
	// patience is how long a call must have waited for its silence to tell of the member:
	// else a client that gives its requests a millisecond each could make every member seem
	// down, for all other clients too.
	patience = 500 * time.Millisecond
)

// peer is one member and the connections to it.
type peer struct {
	addr string
	rpc  *rpc.Peer
	stop context.CancelFunc // nil before its Run
	// doubted: a call to it ended without an answer, sooner than patience.
	doubted bool
}

var (
	_ coordinator.Peers = (*peers)(nil)
	_ exchange.Peers    = (*peers)(nil)
)

func newPeers(
	self wire.PeerHello, dial rpc.Dialer, liveness *gossip.Liveness, r *rand.Rand, log *zap.Logger,
) *peers {
	return &peers{
		self: self, dial: dial, liveness: liveness, log: log, rand: r,
		changed: make(chan struct{}, 1), byNode: make(map[kv.NodeID]*peer),
	}
}

// follow makes the set of peers that of a ring's members; run then connects to them. A
// member whose address changed gets new connections.
func (p *peers) follow(members []ring.Member) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	present := make(map[kv.NodeID]bool, len(members))
	for _, m := range members {
		present[m.ID] = true
		if m.ID == p.self.Node {
			continue
		}
		if known := p.byNode[m.ID]; known != nil {
			if known.addr == m.Peer {
				continue
			}
			if known.stop != nil {
				known.stop()
			}
		}
		cfg := rpc.DefaultPeerConfig()
		cfg.Addr, cfg.Dial, cfg.Hello = m.Peer, p.dial, &hello{self: p.self, node: m.ID}
		source := rand.New(rand.NewPCG(p.rand.Uint64(), p.rand.Uint64()))
		connections, err := rpc.NewPeer(cfg, source, p.log.With(zap.String("peer-name", m.Name)))
		if err != nil {
			return fmt.Errorf("node: peer %s: %w", m.Name, err)
		}
		p.byNode[m.ID] = &peer{addr: m.Peer, rpc: connections}
	}
	for id, known := range p.byNode {
		if !present[id] {
			if known.stop != nil {
				known.stop()
			}
			delete(p.byNode, id)
		}
	}
	select {
	case p.changed <- struct{}{}:
	default: // run has yet to see the change before, and will see this one with it
	}
	return nil
}

// run keeps the connections up until ctx ends; then all of them are closed.
func (p *peers) run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		for _, start := range p.startable(ctx) {
			running.Go(start)
		}
		select {
		case <-p.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// startable returns what runs the peers that do not run yet.
func (p *peers) startable(ctx context.Context) []func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var starts []func()
	for _, known := range p.byNode {
		if known.stop != nil {
			continue
		}
		var own context.Context
		own, known.stop = context.WithCancel(ctx)
		connections := known.rpc
		starts = append(starts, func() { _ = connections.Run(own) }) // always nil
	}
	return starts
}

// kick dials members again that gossip has heard of and that are not connected.
func (p *peers) kick(alive func(kv.NodeID) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, known := range p.byNode {
		if alive(id) && !known.rpc.Up() {
			known.rpc.Kick()
		}
	}
}

// up reports whether a member is connected.
func (p *peers) up(node kv.NodeID) bool {
	connections := p.find(node)
	return connections != nil && connections.Up()
}

func (p *peers) find(node kv.NodeID) *rpc.Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.byNode[node]; known != nil {
		return known.rpc
	}
	return nil
}

// ask sends one request and hears what became of it, for liveness too.
func ask[R any](
	p *peers, node kv.NodeID, method string, deadline time.Time, params rpc.AppendParams,
	decode func([]byte, *R) error, done func(R, error),
) {
	connections := p.find(node)
	if connections == nil {
		var none R
		done(none, fmt.Errorf("%w: no such member", coordinator.ErrNotSent))
		return
	}
	began := time.Now()
	connections.Go(method, params, deadline, func(result []byte, err error) {
		var reply R
		if err = p.judge(node, err, began); err == nil {
			err = decode(result, &reply)
		}
		done(reply, err)
	})
}

// judge feeds liveness with the end of a call that began then, and tells the coordinator
// what it must know of an error.
func (p *peers) judge(node kv.NodeID, err error, began time.Time) error {
	now := time.Now()
	if err == nil {
		p.liveness.Succeeded(node, now)
		return nil
	}
	var answered *rpc.RemoteError
	switch {
	case errors.As(err, &answered):
		p.liveness.Succeeded(node, now)
		return did(answered)
	case errors.Is(err, rpc.ErrBusy):
		return fmt.Errorf("%w: %w", coordinator.ErrNotSent, err)
	case errors.Is(err, rpc.ErrDown):
		// Nothing was asked: that there is no connection is known without it, and it shall
		// not count against the member once there is one.
	case errors.Is(err, context.DeadlineExceeded) && now.Sub(began) < patience:
		p.doubt(node)
	default:
		p.liveness.Failed(node, now)
	}
	if errors.Is(err, rpc.ErrNotSent) {
		return fmt.Errorf("%w: %w", coordinator.ErrNotSent, err)
	}
	return err
}

// did tells whether a peer that answered with an error may have done something. Where its
// server refused the call before any work, that is as if it had not been sent.
func did(answered *rpc.RemoteError) error {
	switch code, _ := wire.ParseError(answered.Text); code {
	case wire.CodeShuttingDown, wire.CodeOverloaded, wire.CodeUnknownMethod, wire.CodeInvalid,
		wire.CodeNotReady:
		return fmt.Errorf("%w: %w", coordinator.ErrNotSent, answered)
	default:
		return answered
	}
}

// Store implements coordinator.Peers.
func (p *peers) Store(
	node kv.NodeID, req *wire.StoreRequest, deadline time.Time, done func(wire.StoreReply, error),
) {
	ask(p, node, wire.MethodStore, deadline,
		func(dst []byte, _ uint16) []byte { return wire.AppendStoreRequest(dst, req) },
		wire.DecodeStoreReply, done)
}

// Read implements coordinator.Peers.
func (p *peers) Read(
	node kv.NodeID, req *wire.ReadRequest, deadline time.Time, done func(wire.ReadReply, error),
) {
	ask(p, node, wire.MethodRead, deadline,
		func(dst []byte, _ uint16) []byte { return wire.AppendReadRequest(dst, req) },
		func(result []byte, reply *wire.ReadReply) error {
			return wire.DecodeReadReply(clone(result), reply)
		}, done)
}

// Scan implements coordinator.Peers.
func (p *peers) Scan(
	node kv.NodeID, req *wire.ScanRequest, deadline time.Time, done func(wire.ScanReply, error),
) {
	ask(p, node, wire.MethodScan, deadline,
		func(dst []byte, _ uint16) []byte { return wire.AppendScanRequest(dst, req) },
		func(result []byte, reply *wire.ScanReply) error {
			return wire.DecodeScanReply(clone(result), reply)
		}, done)
}

// Purge implements exchange.PurgePeers.
func (p *peers) Purge(
	node kv.NodeID, method string, req *wire.PurgeRequest, deadline time.Time,
	done func(wire.PurgeReply, error),
) {
	ask(p, node, method, deadline,
		func(dst []byte, _ uint16) []byte { return wire.AppendPurgeRequest(dst, req) },
		wire.DecodePurgeReply, done)
}

// TreeSums implements exchange.Peers.
func (p *peers) TreeSums(
	node kv.NodeID, req *wire.TreeSumsRequest, deadline time.Time,
	done func(wire.TreeSumsReply, error),
) {
	ask(p, node, wire.MethodTreeSums, deadline,
		func(dst []byte, _ uint16) []byte { return wire.AppendTreeSumsRequest(dst, req) },
		wire.DecodeTreeSumsReply, done)
}

// TreeList implements exchange.Peers.
func (p *peers) TreeList(
	node kv.NodeID, req *wire.TreeListRequest, deadline time.Time,
	done func(wire.TreeListReply, error),
) {
	ask(p, node, wire.MethodTreeList, deadline,
		func(dst []byte, _ uint16) []byte { return wire.AppendTreeListRequest(dst, req) },
		func(result []byte, reply *wire.TreeListReply) error {
			return wire.DecodeTreeListReply(clone(result), reply)
		}, done)
}

// Forward implements coordinator.Peers.
func (p *peers) Forward(
	node kv.NodeID, req *wire.ForwardRequest, deadline time.Time,
	done func(wire.ForwardReply, error),
) {
	ask(p, node, wire.MethodForward, deadline,
		func(dst []byte, _ uint16) []byte { return wire.AppendForwardRequest(dst, req) },
		func(result []byte, reply *wire.ForwardReply) error {
			return wire.DecodeForwardReply(clone(result), reply)
		}, done)
}

// clone takes a result out of the connection's buffer, which is used again: what was
// decoded of it aliases it.
func clone(result []byte) []byte { return append(make([]byte, 0, len(result)), result...) }

// hello is how this node introduces itself to one other.
type hello struct {
	self wire.PeerHello
	node kv.NodeID // who must answer
}

// AppendHello implements rpc.Hello.
func (h *hello) AppendHello(dst []byte) []byte { return wire.AppendPeerHello(dst, &h.self) }

// CheckHello implements rpc.Hello.
func (h *hello) CheckHello(result []byte) (uint16, error) {
	var answer wire.PeerHello
	if err := wire.DecodePeerHello(result, &answer); err != nil {
		return 0, err
	}
	switch {
	case answer.Cluster != h.self.Cluster:
		return 0, errors.New("node: the other side belongs to another cluster")
	case answer.Node != h.node:
		return 0, fmt.Errorf("node: expected member %d, found %d", h.node, answer.Node)
	}
	return rpc.Negotiate(
		rpc.Versions{Min: wire.PeerVersionMin, Max: wire.PeerVersionMax},
		rpc.Versions{
			Min: uint16(min(answer.Min, math.MaxUint16)), Max: uint16(min(answer.Max, math.MaxUint16)),
		},
	)
}
