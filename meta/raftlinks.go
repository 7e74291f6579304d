// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// maxRaftLinks bounds the connections to other seats, those of raft ids that are gone
	// included until they are idle.
	maxRaftLinks = 64
	// raftLinkIdle is how long a connection is kept that no seat of the configuration has
	// and that nothing was sent over.
	raftLinkIdle = time.Minute
)

// raftLinks carries messages of raft to other seats, over connections of their own: one
// to each, so that they keep their order.
type raftLinks struct {
	// Immutable after newRaftLinks.
	env  *engineEnv
	cfg  *EngineConfig
	gate *gate
	log  *zap.Logger
	// tell hands the loop what happened; it waits until the loop takes it or ctx ends.
	tell func(context.Context, event)
	// examine judges what another seat shows.
	examine func(context.Context, *wire.MetaHello) (wire.MetaHello, error)
	// lostSome has a token when lost is not empty.
	lostSome chan struct{}

	mu     sync.Mutex // guards what follows
	life   context.Context
	lives  sync.WaitGroup
	byRaft map[state.RaftID]*raftLink
	lost   map[state.RaftID]bool // messages to them have been lost
	self   identity
	hash   wire.StateHash // goes with every message; none unless this member leads
}

// identity is what a seat shows of itself in hello.
type identity struct {
	raft  state.RaftID
	opens []kv.Open
	term  uint64
}

func newRaftLinks(
	env *engineEnv, cfg *EngineConfig, g *gate, tell func(context.Context, event), log *zap.Logger,
) *raftLinks {
	return &raftLinks{
		env: env, cfg: cfg, gate: g, tell: tell, log: log, lostSome: make(chan struct{}, 1),
		byRaft: make(map[state.RaftID]*raftLink), lost: make(map[state.RaftID]bool),
	}
}

// open lets links be made until close; ctx ends them.
func (l *raftLinks) open(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.life = ctx
}

// close waits until all connections are closed. The context of open has ended.
func (l *raftLinks) close() {
	l.mu.Lock()
	l.life = nil
	l.mu.Unlock()
	l.lives.Wait()
}

// become sets what this member shows of itself. With another raft id all links end.
func (l *raftLinks) become(self identity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if self.raft != l.self.raft {
		for _, id := range slices.Sorted(maps.Keys(l.byRaft)) {
			l.byRaft[id].stop()
		}
		clear(l.byRaft)
		clear(l.lost)
		l.hash = wire.StateHash{}
	}
	l.self = self
}

// showTerm sets the term that a hello tells, once it is durable.
func (l *raftLinks) showTerm(term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.self.term = term
}

// showHash sets the hash of the state that goes with all messages; none ends that.
func (l *raftLinks) showHash(h wire.StateHash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hash = h
}

// follow keeps a link to each of these seats and lets idle others go.
func (l *raftLinks) follow(seats []state.RaftID, now time.Time) {
	for _, id := range l.linked() {
		addr := l.env.address(id.Node())
		l.mu.Lock()
		link := l.byRaft[id]
		gone := !slices.Contains(seats, id) && link != nil && now.Sub(link.used) > raftLinkIdle
		if link != nil && (gone || link.addr != addr) {
			link.stop()
			delete(l.byRaft, id)
		}
		l.mu.Unlock()
	}
	for _, id := range seats {
		l.link(id)
	}
}

// linked returns the raft ids that there are links to, in order.
func (l *raftLinks) linked() []state.RaftID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.byRaft))
}

// link returns the link to a seat, which it begins where there is none; nil where there
// can be none.
func (l *raftLinks) link(id state.RaftID) *raftLink {
	addr := l.env.address(id.Node())
	l.mu.Lock()
	defer l.mu.Unlock()
	if link := l.byRaft[id]; link != nil {
		return link
	}
	if addr == "" || id == 0 || id == l.self.raft || l.self.raft == 0 || l.life == nil ||
		l.life.Err() != nil || len(l.byRaft) >= maxRaftLinks {
		return nil
	}
	link, err := l.begin(id, addr)
	if err != nil {
		l.log.Warn("no connection to a seat", zap.Stringer("raft-id", id), zap.Error(err))
		return nil
	}
	l.byRaft[id] = link
	return link
}

// begin makes a link. l.mu is held.
func (l *raftLinks) begin(id state.RaftID, addr string) (*raftLink, error) {
	cfg := rpc.DefaultPeerConfig()
	cfg.Addr, cfg.Dial, cfg.Hello, cfg.Conns = addr, l.env.dial, l.env.hello(id.Node()), 1
	cfg.BackoffMax = time.Second // a seat that comes back is wanted at once
	source := rand.New(rand.NewPCG(l.env.rand.Uint64(), l.env.rand.Uint64()))
	peer, err := rpc.NewPeer(cfg, source, l.log.With(zap.Stringer("raft-id", id)))
	if err != nil {
		return nil, err
	}
	link := &raftLink{
		links: l, id: id, addr: addr, peer: peer, used: time.Now(),
		wake: make(chan struct{}, 1), window: make(chan struct{}, linkWindow),
	}
	var ctx context.Context
	ctx, link.stop = context.WithCancel(l.life)
	l.lives.Go(func() { _ = peer.Run(ctx) }) // it returns nil
	l.lives.Go(func() { link.run(ctx) })
	return link, nil
}

// send hands over messages to one seat, in order. It never waits; where they can not be
// sent the loop is told.
func (l *raftLinks) send(to state.RaftID, messages [][]byte) {
	link := l.link(to)
	if link == nil || !link.put(messages) {
		l.drop(to)
	}
}

// drop notes that messages to a seat were lost.
func (l *raftLinks) drop(to state.RaftID) {
	l.mu.Lock()
	l.lost[to] = true
	l.mu.Unlock()
	select {
	case l.lostSome <- struct{}{}:
	default: // the loop has yet to look, and will see this one too
	}
}

// takeLost returns the seats to which messages were lost, in order.
func (l *raftLinks) takeLost() []state.RaftID {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := slices.Sorted(maps.Keys(l.lost))
	clear(l.lost)
	return ids
}

// showing returns what this member shows of itself now.
func (l *raftLinks) showing() (identity, wire.StateHash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.self, l.hash
}
