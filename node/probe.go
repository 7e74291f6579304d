// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// probe pings, every now and then, the connected members of which gossip believes that
// they are down, and those that let a hasty call go by. Nobody sends requests to a member
// that seems down: without pings one that has lost its gossip alone would never again be
// seen to answer, and requests would be refused that it could serve.
func (p *peers) probe(ctx context.Context, alive func(kv.NodeID) bool) error {
	every := time.NewTicker(probeEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		for node, connections := range p.questionable(alive) {
			began := time.Now()
			// Its end may come after this loop's: it is the connection's.
			connections.Go(wire.MethodPeerPing,
				func(dst []byte, _ uint16) []byte { return wire.AppendPeerPing(dst) },
				began.Add(probeEvery),
				func(_ []byte, err error) { _ = p.judge(node, err, began) }) // it feeds liveness
		}
	}
}

// questionable are the connected members that must show that they live.
func (p *peers) questionable(alive func(kv.NodeID) bool) map[kv.NodeID]*rpc.Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := make(map[kv.NodeID]*rpc.Peer)
	for id, known := range p.byNode {
		if known.rpc.Up() && (known.doubted || !alive(id)) {
			found[id] = known.rpc
		}
		known.doubted = false
	}
	return found
}

// doubt has a member pinged.
func (p *peers) doubt(node kv.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.byNode[node]; known != nil {
		known.doubted = true
	}
}
