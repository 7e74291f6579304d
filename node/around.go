// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// aroundEvery is how often a node that misses members asks around where they are.
const aroundEvery = time.Second

// finds are members that were found elsewhere than the ring has them.
type finds struct {
	mu sync.Mutex
	// at is replaced, never changed; nil: nobody was found. Guarded by mu.
	at map[kv.NodeID]wire.Addresses
}

// add reports whether any of more is news.
func (f *finds) add(more map[kv.NodeID]wire.Addresses) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := maps.Clone(f.at)
	if all == nil {
		all = make(map[kv.NodeID]wire.Addresses)
	}
	maps.Copy(all, more)
	if maps.Equal(all, f.at) {
		return false
	}
	f.at = all
	return true
}

func (f *finds) of(node kv.NodeID) (wire.Addresses, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, found := f.at[node]
	return at, found
}

// nodes are the members that were found, in order of their numbers.
func (f *finds) nodes() []kv.NodeID {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.at))
}

// askAround finds members that have moved while this node did not run. The ring tells
// where they were, and it is the group that changes the ring: where all of its seats have
// moved at once nobody could find anybody. So whoever was started with addresses to join
// asks there, until gossip sees every member.
func (n *Node) askAround(ctx context.Context) error {
	for {
		select {
		case <-time.After(aroundEvery):
		case <-ctx.Done():
			return nil
		}
		if n.missesNobody() {
			continue
		}
		found := make(map[kv.NodeID]wire.Addresses)
		heard := make(map[kv.NodeID]wire.Addresses)
		for _, addr := range n.cfg.Form.Join {
			if ctx.Err() != nil {
				return nil
			}
			n.askWhere(ctx, addr, found, heard)
		}
		maps.Copy(heard, found)
		found = heard
		if !n.finds.add(found) {
			continue
		}
		for id, at := range found {
			n.log.Info("member found at an address to join", zap.Uint16("node", uint16(id)),
				zap.String("peer", at.Peer))
		}
		if d := n.data.Load(); d != nil {
			if err := d.follow(n.ringOf(), true); err != nil {
				return err
			}
		}
	}
}

// missesNobody reports whether gossip sees every member.
func (n *Node) missesNobody() bool {
	d := n.data.Load()
	if d == nil {
		return false
	}
	for _, m := range n.ringOf().Members() {
		if m.ID != d.member.ID && !d.gossip.Alive(m.ID) {
			return false
		}
	}
	return true
}

// askWhere asks the node at a client address who it is and where it listens, and adds to
// found what the ring does not say. Without a ring it tells where it has found others, too:
// that counts for less than what those say themselves.
func (n *Node) askWhere(
	ctx context.Context, addr string, found, heard map[kv.NodeID]wire.Addresses,
) {
	var told wire.ClusterStatusResult
	b, err := n.askClientPort(ctx, addr, wire.MethodClusterStatus, func(dst []byte) []byte {
		return wire.AppendEmptyRequest(dst, &wire.EmptyRequest{})
	})
	if err == nil {
		err = wire.DecodeClusterStatusResult(b, &told)
	}
	if err != nil || told.Cluster != n.Cluster() {
		return
	}
	for _, m := range told.Members {
		var known ring.Member
		if current := n.ringOf(); current != nil {
			known, _ = current.Member(m.ID)
		}
		switch {
		case m.ID == n.ID() || m.Addresses == addressesOf(known):
		case m.Name == told.Node:
			found[m.ID] = m.Addresses
		case told.RingVersion == 0 && known.ID == 0:
			heard[m.ID] = m.Addresses
		}
	}
}

// where is the newest that this node knows of where a member listens: what gossip hears
// goes before what was found, and that before the ring; but the ring goes first where it had
// news that gossip has yet to hear.
func (d *data) where(m ring.Member) ring.Member {
	if at, found := d.finds.of(m.ID); found {
		m.Client, m.Peer, m.Gossip = at.Client, at.Peer, at.Gossip
	}
	heard, alive := d.gossip.View().Find(m.ID)
	if alive && !d.moves.overtaken(m.ID, heard.Meta.PeerAddr) {
		m.Client, m.Peer, m.Gossip = heard.Meta.ClientAddr, heard.Meta.PeerAddr, heard.Addr
	}
	return m
}
