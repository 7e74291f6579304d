// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

// pullAfter is how long a newer ring may be known to others before it is pulled: mostly
// the group's log brings it sooner.
const pullAfter = 500 * time.Millisecond

// pulls fetches views from members that know newer ones, for a member that the group's
// log does not reach.
type pulls struct {
	group *Group
	heard chan struct{} // size 1: something was heard

	mu   sync.Mutex // guards what follows
	from kv.NodeID
	// version is the highest that was heard of since the last pull.
	version uint64
}

func newPulls(g *Group) *pulls { return &pulls{group: g, heard: make(chan struct{}, 1)} }

// Hear says that a member knows the ring of a version. Where that is newer than View's,
// and stays so for a moment, Run pulls the view from that member. It never waits.
func (g *Group) Hear(version uint64, from kv.NodeID) {
	p := g.pulls
	if version <= g.version() || from == g.cfg.Node {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if version > p.version {
		p.version, p.from = version, from
		signal(p.heard)
	}
}

// version is that of View, 0 without one.
func (g *Group) version() uint64 {
	if v := g.View(); v != nil {
		return v.Version
	}
	return 0
}

// run pulls what was heard of. A pull that fails is forgotten: gossip tells again.
func (p *pulls) run(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-p.heard:
		}
		if !sleep(ctx, pullAfter) {
			return nil
		}
		p.mu.Lock()
		version, from := p.version, p.from
		p.version = 0
		p.mu.Unlock()
		if version <= p.group.version() {
			continue
		}
		if err := p.pull(ctx, from); err != nil {
			p.group.log.Debug("view not pulled", zap.Uint16("peer-id", uint16(from)),
				zap.Uint64("ring-version", version), zap.Error(err))
		}
	}
	return nil
}

// pull asks a member for its view.
func (p *pulls) pull(ctx context.Context, from kv.NodeID) error {
	g := p.group
	ctx, cancel := context.WithTimeout(ctx, g.cfg.CallTimeout)
	defer cancel()
	request := wire.MetaViewRequest{Version: g.version()}
	answer, err := g.caller.call(ctx, from, wire.MethodMetaView,
		func(dst []byte, _ uint16) []byte { return wire.AppendMetaViewRequest(dst, &request) })
	if err != nil {
		return err
	}
	var reply wire.MetaViewReply
	if err := wire.DecodeMetaViewReply(answer, &reply); err != nil || len(reply.View) == 0 {
		return err
	}
	view, err := state.DecodeView(reply.View)
	if err != nil {
		return err
	}
	if view.Cluster != g.cfg.Cluster {
		return fmt.Errorf("meta: member %d has a view of cluster %s", from, view.Cluster)
	}
	g.views.offer(view)
	return nil
}

// serveView answers a member that asks for a view.
func (g *Group) serveView(q *wire.MetaViewRequest) wire.MetaViewReply {
	v := g.View()
	if v == nil {
		return wire.MetaViewReply{}
	}
	reply := wire.MetaViewReply{Version: v.Version}
	if v.Version > q.Version {
		reply.View = state.AppendView(nil, v)
	}
	return reply
}
