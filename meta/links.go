// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/rpc"
)

const (
	// linkPatience is how long a call waits for a connection that is being dialed; then
	// another member is asked.
	linkPatience = 500 * time.Millisecond
	// linkPoll is how often it looks meanwhile. A connection is dialed seldom, so that this
	// costs less than having everybody told.
	linkPoll = 10 * time.Millisecond
	// linkIdle is how long a connection is kept that nobody calls.
	linkIdle = 2 * time.Minute
	// linkLook is how long an address is taken for the present one.
	linkLook = 200 * time.Millisecond
	// maxLinks bounds them: seats are few, and a member whose view is pulled, or who is to bear
	// witness, is called once. Above it the one goes that was not used for longest.
	maxLinks = 64
)

// caller calls a member and waits for its answer. What was surely not sent fails with an
// error that wraps rpc.ErrNotSent.
type caller interface {
	call(ctx context.Context, node kv.NodeID, method string, params rpc.AppendParams,
	) ([]byte, error)
}

// links are the connections that the services of this package call members over. They
// are apart from those of raft messages, which must not wait behind a snapshot, and from
// those of the data.
type links struct {
	// Immutable after newLinks.
	dial    rpc.Dialer
	hello   func(kv.NodeID) rpc.Hello
	address func(kv.NodeID) string
	log     *zap.Logger

	mu     sync.Mutex // guards what follows
	rand   *rand.Rand
	byNode map[kv.NodeID]*link
	life   context.Context // of run; nil while it does not run
	lives  sync.WaitGroup
}

// link is the connection to one member.
type link struct {
	addr   string
	peer   *rpc.Peer
	stop   context.CancelFunc
	used   time.Time
	looked time.Time // when the address was looked up last
}

func newLinks(
	dial rpc.Dialer, hello func(kv.NodeID) rpc.Hello, address func(kv.NodeID) string,
	r *rand.Rand, log *zap.Logger,
) *links {
	return &links{
		dial: dial, hello: hello, address: address, rand: r, log: log,
		byNode: make(map[kv.NodeID]*link),
	}
}

// run keeps the connections until ctx ends; when it returns they are closed. Calls fail
// while it does not run.
func (l *links) run(ctx context.Context) error {
	l.mu.Lock()
	l.life = ctx
	l.mu.Unlock()
	ticker := time.NewTicker(linkIdle / 2)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case now := <-ticker.C:
			l.dropIdle(now)
		}
	}
	l.mu.Lock()
	l.life = nil
	clear(l.byNode)
	l.mu.Unlock()
	l.lives.Wait()
	return nil
}

func (l *links) dropIdle(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, node := range slices.Sorted(maps.Keys(l.byNode)) {
		if k := l.byNode[node]; now.Sub(k.used) > linkIdle {
			k.stop()
			delete(l.byNode, node)
		}
	}
}

// dropOldest ends the connection that was not used for longest. l.mu is held.
func (l *links) dropOldest() {
	var oldest kv.NodeID
	for node, k := range l.byNode {
		age := l.byNode[oldest]
		if age == nil || k.used.Before(age.used) || k.used.Equal(age.used) && node < oldest {
			oldest = node
		}
	}
	l.byNode[oldest].stop()
	delete(l.byNode, oldest)
}

// call implements caller. Where there is no connection yet it waits for one, a little.
func (l *links) call(
	ctx context.Context, node kv.NodeID, method string, params rpc.AppendParams,
) ([]byte, error) {
	peer, err := l.peer(node)
	if err != nil {
		return nil, err
	}
	if err := awaitUp(ctx, peer); err != nil {
		return nil, err
	}
	return peer.Call(ctx, method, params)
}

// awaitUp waits for a connection.
func awaitUp(ctx context.Context, peer *rpc.Peer) error {
	if peer.Up() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, linkPatience)
	defer cancel()
	ticker := time.NewTicker(linkPoll)
	defer ticker.Stop()
	for !peer.Up() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", rpc.ErrNotSent, rpc.ErrDown)
		}
	}
	return nil
}

// peer returns the connection to a member, which it begins where there is none, or where
// the member has another address now.
func (l *links) peer(node kv.NodeID) (*rpc.Peer, error) {
	now := time.Now()
	if peer := l.fresh(node, now); peer != nil {
		return peer, nil
	}
	addr := l.address(node) // not with l.mu held: it asks the machine
	if addr == "" {
		return nil, fmt.Errorf("%w: meta: member %d has no known address", rpc.ErrNotSent, node)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.life == nil || l.life.Err() != nil {
		return nil, fmt.Errorf("%w: %w", rpc.ErrNotSent, rpc.ErrClosed)
	}
	k := l.byNode[node]
	if k != nil && k.addr != addr {
		k.stop()
		delete(l.byNode, node)
		k = nil
	}
	if k == nil {
		if len(l.byNode) >= maxLinks {
			l.dropOldest()
		}
		var err error
		if k, err = l.begin(node, addr); err != nil {
			return nil, err
		}
		l.byNode[node] = k
	}
	k.used, k.looked = now, now
	return k.peer, nil
}

// fresh returns the connection to a member whose address was looked up a moment ago.
func (l *links) fresh(node kv.NodeID, now time.Time) *rpc.Peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.byNode[node]
	if k == nil || now.Sub(k.looked) > linkLook {
		return nil
	}
	k.used = now
	return k.peer
}

// begin starts to keep a connection. l.mu is held.
func (l *links) begin(node kv.NodeID, addr string) (*link, error) {
	cfg := rpc.DefaultPeerConfig()
	cfg.Addr, cfg.Dial, cfg.Hello = addr, l.dial, l.hello(node)
	cfg.BackoffMax = time.Second // a seat that comes back is wanted at once
	peer, err := rpc.NewPeer(cfg, rand.New(rand.NewPCG(l.rand.Uint64(), l.rand.Uint64())), l.log)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", rpc.ErrNotSent, err)
	}
	ctx, stop := context.WithCancel(l.life)
	l.lives.Go(func() { _ = peer.Run(ctx) }) // it returns nil
	return &link{addr: addr, peer: peer, stop: stop}, nil
}
