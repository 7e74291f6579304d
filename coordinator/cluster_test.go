// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// cluster is real replicas in one bubble, each with its coordinator, on a network that
// delays, drops and fails as its fate says.
type cluster struct {
	t    testing.TB
	ring *ring.Ring

	mu    sync.Mutex // guards what follows
	rng   *rand.Rand
	hosts map[kv.NodeID]*host
	fate  func(rng *rand.Rand) fate
	bases map[vclock.Dot]vclock.Context // what each write was based on
	wrote map[vclock.Dot]kv.RequestID   // for which request
	cut   map[kv.NodeID]bool            // whom nobody reaches, and who reaches nobody
	blind bool                          // everybody seems alive, whoever is
	loads map[uint64]*errand            // forwarded writes under way

	gone atomic.Uint32 // a bucket that the group has deleted
}

// fate is what becomes of one message and of its answer.
type fate struct {
	notSent, dropped, answerLost bool
	delay                        time.Duration
}

// host is one member; its store changes with every restart.
type host struct {
	*cluster
	node  kv.NodeID
	coord *Coordinator
	skew  atomic.Int64 // of its clock

	// Guarded by the cluster's mu.
	life   *replica.Replica // nil while it is down
	engine *storage.Memory
	end    func() error
}

// newCluster has three owners of everything, who believe in each other.
func newCluster(t testing.TB, seed uint64) *cluster {
	c := newClusterOn(t, seed, newRing(t, 3))
	c.blind = true
	return c
}

func newClusterOn(t testing.TB, seed uint64, on *ring.Ring) *cluster {
	c := &cluster{
		t: t, ring: on, loads: make(map[uint64]*errand),
		wrote: make(map[vclock.Dot]kv.RequestID), rng: rand.New(rand.NewPCG(seed, 3)),
		hosts: make(map[kv.NodeID]*host), bases: make(map[vclock.Dot]vclock.Context),
		fate: func(*rand.Rand) fate { return fate{} }, cut: make(map[kv.NodeID]bool),
	}
	for _, member := range on.State().Members {
		node := member.ID
		h := &host{cluster: c, node: node, engine: storage.NewMemory()}
		c.hosts[node] = h
		cfg := DefaultConfig()
		cfg.Node, cfg.Now, cfg.SendTimeout = node, h.now, time.Second
		cfg.Ring = func() *ring.Ring { return c.ring }
		cfg.Alive = c.alive
		var err error
		if h.coord, err = New(cfg, h, links{h}, zap.NewNop()); err != nil {
			t.Fatal(err)
		}
		h.start(replica.Past{Stop: replica.StopNone})
	}
	t.Cleanup(func() {
		for _, h := range c.hosts {
			_ = h.coord.Drain(context.Background()) // bounded: each send has a deadline
			h.stop()
		}
	})
	return c
}

// alive is everybody's opinion.
func (c *cluster) alive(node kv.NodeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blind || (c.hosts[node].life != nil && !c.cut[node])
}

// start begins a life of the host's store.
func (h *host) start(past replica.Past) {
	h.t.Helper()
	cfg := storage.DefaultConfig()
	cfg.Shards, cfg.CacheBytes = 1, 1<<20
	store, err := storage.Open(cfg, h.engine, zap.NewNop())
	if err != nil {
		h.t.Fatal(err)
	}
	life, err := replica.New(replica.Config{
		Node: h.node, Instance: instanceOf(h.node), Partitions: h.ring.Partitions(),
		Ring: func() *ring.Ring { return h.ring }, Now: h.now, Incarnation: h.incarnation,
		Deleted: func(b kv.BucketID) bool { return uint32(b) == h.gone.Load() },
	}, store, past, zap.NewNop())
	if err != nil {
		h.t.Fatal(err)
	}
	err = store.Journal(func(e wire.JournalEntry) error { life.Recall(e); return nil })
	if err != nil {
		h.t.Fatal(err)
	}
	life.Confirm(kv.VerdictConfirmed)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- store.Run(ctx) }()
	if err := life.CountHints(ctx); err != nil {
		h.t.Error(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.engine.SetSyncTime(time.Duration(h.rng.IntN(4)) * time.Millisecond)
	h.life = life
	h.end = func() error {
		cancel()
		return errors.Join(<-ended, store.Close())
	}
}

func (h *host) now() time.Time { return time.Now().Add(time.Duration(h.skew.Load())) }

func (h *host) incarnation() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rng.Uint64N(vclock.MaxIncarnation) + 1
}

func (h *host) stop() {
	h.mu.Lock()
	end := h.end
	h.life, h.end = nil, nil
	h.mu.Unlock()
	if end != nil {
		_ = end() // a crashed engine fails
	}
}

// crash takes the power away for a while; what was not synced is gone.
func (h *host) crash(down time.Duration) {
	h.mu.Lock()
	h.engine = h.engine.Crash(h.rng)
	h.mu.Unlock()
	h.stop()
	time.Sleep(down)
	h.start(replica.Past{Stop: replica.StopPowerLoss})
}

func (h *host) present() *replica.Replica {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.life
}

// absent is what a host states whose store is closed.
func (h *host) absent() wire.Standing {
	return wire.Standing{Role: kv.RoleNotReady, Instance: instanceOf(h.node)}
}

// The host is its coordinator's Local.

func (h *host) Mint(req *replica.MintRequest) {
	life := h.present()
	if life == nil {
		req.Done(replica.MintReply{Standing: h.absent(), Code: wire.ReplicaShuttingDown})
		return
	}
	watched, minted := *req, req.Minted
	watched.Minted = func(m replica.MintReply) {
		if !m.Repeat {
			h.mu.Lock()
			h.bases[m.Dot], h.wrote[m.Dot] = req.Seen, req.Request
			h.mu.Unlock()
		}
		minted(m)
	}
	life.Mint(&watched)
}

func (h *host) Store(req replica.StoreRequest) {
	if life := h.present(); life != nil {
		life.Store(req)
		return
	}
	req.Done(wire.StoreReply{Standing: h.absent(), Code: wire.ReplicaShuttingDown})
}

func (h *host) Read(req *wire.ReadRequest) wire.ReadReply {
	if life := h.present(); life != nil {
		return life.Read(req)
	}
	return wire.ReadReply{Standing: h.absent(), Code: wire.ReplicaShuttingDown}
}

func (h *host) Scan(req *wire.ScanRequest) wire.ScanReply {
	if life := h.present(); life != nil {
		return life.Scan(req)
	}
	return wire.ScanReply{Standing: h.absent(), Code: wire.ReplicaShuttingDown}
}

func (h *host) Mark(
	partition uint16, slot uint8, bucket kv.BucketID, key []byte, lacks vclock.Context,
	done func(bool),
) {
	if life := h.present(); life != nil {
		life.Mark(partition, slot, bucket, key, lacks, done)
		return
	}
	done(false)
}

func (h *host) Status() replica.Status {
	if life := h.present(); life != nil {
		return life.Status()
	}
	return replica.Status{}
}

// links is the same host as its coordinator's Peers: one message to another host, and one
// answer. Either may be late, or lost, which the sender learns at its deadline only.
type links struct{ *host }

func carry[Q, A any](
	h *host, to kv.NodeID, req Q, deadline time.Time, work func(*host, Q, func(A)),
	done func(A, error),
) {
	h.mu.Lock()
	f, target := h.cluster.fate(h.rng), h.hosts[to]
	f.notSent = f.notSent || h.cut[h.node] || h.cut[to]
	h.mu.Unlock()
	var none A
	if f.notSent || target.present() == nil {
		done(none, errNotSent)
		return
	}
	answered := make(chan A, 1) // one answer ever comes
	if !f.dropped {
		time.AfterFunc(f.delay, func() {
			work(target, req, func(a A) {
				if !f.answerLost {
					answered <- a
				}
			})
		})
	}
	go func() {
		late := time.NewTimer(time.Until(deadline))
		defer late.Stop()
		select {
		case a := <-answered:
			time.Sleep(f.delay)
			done(a, nil)
		case <-late.C:
			done(none, context.DeadlineExceeded)
		}
	}()
}

func (l links) Store(
	to kv.NodeID, r *wire.StoreRequest, deadline time.Time, done func(wire.StoreReply, error),
) {
	// As on a wire: the receiver has bytes of its own.
	copied, encoded := &wire.StoreRequest{}, wire.AppendStoreRequest(nil, r)
	if err := wire.DecodeStoreRequest(encoded, copied); err != nil {
		l.t.Errorf("a store request that can not be read: %v", err)
	}
	carry(l.host, to, copied, deadline, func(h *host, r *wire.StoreRequest, a func(wire.StoreReply)) {
		h.Store(replica.StoreRequest{StoreRequest: r, Done: a})
	}, done)
}

func (l links) Read(
	to kv.NodeID, r *wire.ReadRequest, deadline time.Time, done func(wire.ReadReply, error),
) {
	carry(l.host, to, r, deadline, func(h *host, r *wire.ReadRequest, answer func(wire.ReadReply)) {
		reply := h.Read(r)
		var copied wire.ReadReply
		if err := wire.DecodeReadReply(wire.AppendReadReply(nil, &reply), &copied); err != nil {
			l.t.Errorf("a read reply that can not be read: %v", err)
		}
		answer(copied)
	}, done)
}

func (l links) Scan(
	to kv.NodeID, r *wire.ScanRequest, deadline time.Time, done func(wire.ScanReply, error),
) {
	carry(l.host, to, r, deadline, func(h *host, r *wire.ScanRequest, answer func(wire.ScanReply)) {
		answer(h.Scan(r))
	}, done)
}

func (l links) Forward(
	to kv.NodeID, r *wire.ForwardRequest, deadline time.Time, done func(wire.ForwardReply, error),
) {
	carry(l.host, to, r, deadline, (*host).coordinate, done)
}

// weather is a network that delays everything a little and loses some of it.
func weather(rng *rand.Rand) fate {
	f := fate{delay: time.Duration(rng.IntN(8)) * time.Millisecond}
	switch n := rng.IntN(100); {
	case n < 4:
		f.dropped = true
	case n < 8:
		f.answerLost = true
	case n < 11:
		f.notSent = true
	case n < 15:
		f.delay += time.Duration(rng.IntN(900)) * time.Millisecond
	}
	return f
}

// overwritten reports whether some write that o knows of was based on d.
func (c *cluster) overwritten(o kv.Object, d vclock.Dot) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for writer, base := range c.bases {
		if base.Contains(d) && o.Context.Contains(writer) {
			return true
		}
	}
	return false
}

// lost reports whether nothing is left of a write, and nobody has overwritten it: neither
// the dot that was acknowledged, nor that of a twin, which another coordinator gave the
// same request and which may be the one that stays (TRAPS C10).
func (c *cluster) lost(o kv.Object, d vclock.Dot) bool {
	c.mu.Lock()
	request := c.wrote[d]
	twins := []vclock.Dot{d}
	for other, of := range c.wrote {
		if of == request && !request.IsZero() {
			twins = append(twins, other)
		}
	}
	c.mu.Unlock()
	for _, twin := range twins {
		if _, there := o.Find(twin); there || c.overwritten(o, twin) {
			return false
		}
	}
	return true
}

// healthy reports what must never be counted.
func (c *cluster) healthy() {
	c.t.Helper()
	for node, h := range c.hosts {
		life := h.present()
		if life == nil {
			continue
		}
		if life.Rollbacks() != 0 || life.Collisions() != 0 || life.Unreadable() != 0 {
			c.t.Errorf("node %d: %d rollbacks, %d collisions, %d unreadable", node,
				life.Rollbacks(), life.Collisions(), life.Unreadable())
		}
	}
}
