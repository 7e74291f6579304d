// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// aroundEvery is how often a node that misses members asks around where they are.
const aroundEvery = 2 * time.Second

// askAround finds members that have moved while this node did not run. The ring tells
// where they were, and it is the group that changes the ring: where all of its seats have
// moved at once nobody could find anybody. So whoever was started with addresses to join
// asks there, until gossip sees every member.
func (n *Node) askAround(ctx context.Context, d *data) error {
	for {
		select {
		case <-time.After(aroundEvery):
		case <-ctx.Done():
			return nil
		}
		if n.missesNobody(d) {
			continue
		}
		found := make(map[kv.NodeID]wire.Addresses)
		for _, addr := range n.cfg.Form.Join {
			if ctx.Err() != nil {
				return nil
			}
			if id, at, ok := n.askWhere(ctx, d, addr); ok {
				found[id] = at
			}
		}
		if err := n.noteFound(d, found); err != nil {
			return err
		}
	}
}

// missesNobody reports whether gossip sees every member.
func (n *Node) missesNobody(d *data) bool {
	for _, m := range n.ringOf().Members() {
		if m.ID != d.member.ID && !d.gossip.Alive(m.ID) {
			return false
		}
	}
	return true
}

// askWhere asks the node at a client address who it is and where it listens.
func (n *Node) askWhere(ctx context.Context, d *data, addr string) (
	id kv.NodeID, at wire.Addresses, ok bool,
) {
	var told wire.ClusterStatusResult
	b, err := n.askClientPort(ctx, addr, wire.MethodClusterStatus, func(dst []byte) []byte {
		return wire.AppendEmptyRequest(dst, &wire.EmptyRequest{})
	})
	if err == nil {
		err = wire.DecodeClusterStatusResult(b, &told)
	}
	if err != nil || told.Cluster != n.Cluster() {
		return 0, wire.Addresses{}, false
	}
	for _, m := range told.Members {
		if m.Name == told.Node && m.ID != d.member.ID {
			return m.ID, m.Addresses, true
		}
	}
	return 0, wire.Addresses{}, false
}

// noteFound has members looked for where they were found.
func (n *Node) noteFound(d *data, found map[kv.NodeID]wire.Addresses) error {
	d.mu.Lock()
	changed := false
	for id, at := range found {
		if d.found[id] != at {
			changed = true
			n.log.Info("member found at the address to join", zap.Uint16("node", uint16(id)),
				zap.String("peer", at.Peer))
		}
	}
	if changed {
		all := maps.Clone(d.found)
		if all == nil {
			all = make(map[kv.NodeID]wire.Addresses)
		}
		maps.Copy(all, found)
		d.found = all
	}
	d.mu.Unlock()
	if !changed {
		return nil
	}
	return d.follow(n.ringOf(), true)
}

// where is the newest that this node knows of where a member listens: what gossip hears
// goes before what was found, and that before the ring.
func (d *data) where(m ring.Member) ring.Member {
	d.mu.Lock()
	at, found := d.found[m.ID]
	d.mu.Unlock()
	if found {
		m.Client, m.Peer, m.Gossip = at.Client, at.Peer, at.Gossip
	}
	if heard, alive := d.gossip.View().Find(m.ID); alive {
		m.Client, m.Peer, m.Gossip = heard.Meta.ClientAddr, heard.Meta.PeerAddr, heard.Addr
	}
	return m
}
