// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	partitions = 8
	nodes      = 4
)

// bubble runs a test in a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// net is a cluster of four replicas with three slots for each partition.
type net struct {
	t     testing.TB
	ring  atomic.Pointer[ring.Ring]
	nodes map[kv.NodeID]*node

	mu sync.Mutex
	// Guarded by mu.
	down map[kv.NodeID]bool // out of reach, and known to be
	// meet answers in the place of a node, where it returns true.
	meet func(to kv.NodeID, req *wire.StoreRequest, done func(wire.StoreReply, error)) bool
	sent map[kv.NodeID]int
	most int // sends under way at the same time
	open int
}

// node is one of them.
type node struct {
	*replica.Replica
	net    *net
	id     kv.NodeID
	engine *storage.Memory
	store  *storage.Store
	points *fail.Set
	log    *zap.Logger
	tuned  func(*Config)
	budget Budget // nil: free
	sink   trace.Sink
	stop   func() error

	deliverer *Deliverer
	halt      func()
}

func newNet(t testing.TB) *net {
	t.Helper()
	n := &net{
		t: t, nodes: make(map[kv.NodeID]*node), down: make(map[kv.NodeID]bool),
		sent: make(map[kv.NodeID]int),
	}
	var members []ring.Member
	for id := kv.NodeID(1); id <= nodes; id++ {
		members = append(members, ring.Member{
			ID: id, Name: fmt.Sprintf("n%d", id), Weight: 1, Instance: 7,
			Client: fmt.Sprintf("h%d:1", id), Peer: fmt.Sprintf("h%d:2", id),
			Gossip: fmt.Sprintf("h%d:3", id),
		})
	}
	state, err := ring.Form(ring.ClusterID{1, 2, 3}, 3, partitions, members, 5)
	if err != nil {
		t.Fatal(err)
	}
	n.change(func(s *ring.State) { *s = state })
	for id := kv.NodeID(1); id <= nodes; id++ {
		n.nodes[id] = &node{
			net: n, id: id, engine: storage.NewMemory(), points: fail.NewSet(), log: zap.NewNop(),
		}
		n.nodes[id].open(replica.StopNone)
	}
	return n
}

// change makes another ring.
func (n *net) change(change func(*ring.State)) {
	n.t.Helper()
	var state ring.State
	if r := n.ring.Load(); r != nil {
		state = r.State()
	}
	change(&state)
	next, err := ring.New(state)
	if err != nil {
		n.t.Fatal(err)
	}
	n.ring.Store(next)
}

// open begins a life of a node's store.
func (m *node) open(stop replica.Stop) {
	t := m.net.t
	t.Helper()
	cfg := storage.DefaultConfig()
	cfg.Shards, cfg.CacheBytes, cfg.Points = 2, 1<<20, m.points
	store, err := storage.Open(cfg, m.engine, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	m.store = store
	random := rand.New(rand.NewPCG(uint64(m.id), rand.Uint64()))
	var mu sync.Mutex
	m.Replica, err = replica.New(replica.Config{
		Node: m.id, Instance: 7, Partitions: partitions, Ring: m.net.ring.Load, Now: time.Now,
		Incarnation: func() uint64 {
			mu.Lock()
			defer mu.Unlock()
			return random.Uint64N(vclock.MaxIncarnation) + 1
		},
		Points: m.points, Trace: trace.New(uint16(m.id), m.sink),
	}, store, replica.Past{Stop: stop}, m.log)
	if err != nil {
		t.Fatal(err)
	}
	m.Confirm(kv.VerdictConfirmed)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- store.Run(ctx) }()
	m.stop = sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-ended, store.Close())
	})
	t.Cleanup(func() { _ = m.stop() })
}

// restart ends the node by power loss and begins its next life, without a deliverer.
func (m *node) restart() {
	m.net.t.Helper()
	engine := m.engine.Crash(nil)
	m.undeliver()
	_ = m.stop() // a crashed engine fails
	m.engine = engine
	m.open(replica.StopPowerLoss)
}

// deliver starts the node's deliverer.
func (m *node) deliver() *Deliverer {
	m.net.t.Helper()
	cfg := DefaultConfig()
	cfg.Node, cfg.Ring, cfg.Rand = m.id, m.net.ring.Load, rand.New(rand.NewPCG(uint64(m.id), 3))
	cfg.Alive = m.net.alive
	if m.tuned != nil {
		m.tuned(&cfg)
	}
	var budget Budget = free{}
	if m.budget != nil {
		budget = m.budget
	}
	d, err := New(cfg, m, m.net, budget, m.log)
	if err != nil {
		m.net.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	m.deliverer = d
	m.halt = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			m.net.t.Errorf("deliverer: %v", err)
		}
	})
	m.net.t.Cleanup(m.undeliver)
	return d
}

func (m *node) undeliver() {
	if m.halt != nil {
		m.halt()
	}
}

// free is a budget without a bound.
type free struct{}

func (free) Take(ctx context.Context, _ int) error { return ctx.Err() }

func (n *net) alive(id kv.NodeID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.down[id]
}

// fell and rose say that a node can not be reached, and that it can be again.
func (n *net) fell(id kv.NodeID) { n.setDown(id, true) }
func (n *net) rose(id kv.NodeID) {
	n.setDown(id, false)
	for _, m := range n.nodes {
		if m.deliverer != nil {
			m.deliverer.Wake()
		}
	}
}

func (n *net) setDown(id kv.NodeID, down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down[id] = down
}

// Store implements Peers: answers come from goroutines of their own.
func (n *net) Store(
	to kv.NodeID, req *wire.StoreRequest, deadline time.Time, done func(wire.StoreReply, error),
) {
	n.mu.Lock()
	n.sent[to]++
	n.open++
	n.most = max(n.most, n.open)
	down, meet := n.down[to], n.meet
	n.mu.Unlock()
	end := func(reply wire.StoreReply, err error) {
		n.mu.Lock()
		n.open--
		n.mu.Unlock()
		done(reply, err)
	}
	if down {
		end(wire.StoreReply{}, errors.New("out of reach"))
		return
	}
	if meet != nil && meet(to, req, end) {
		return
	}
	go n.nodes[to].Store(replica.StoreRequest{
		StoreRequest: req, Deadline: deadline,
		Done: func(reply wire.StoreReply) { end(reply, nil) },
	})
}

func (n *net) sends(to kv.NodeID) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent[to]
}

// meeting sets who answers in the place of nodes.
func (n *net) meeting(
	meet func(kv.NodeID, *wire.StoreRequest, func(wire.StoreReply, error)) bool,
) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.meet = meet
}

// fallbackOf is a key whose only fallback is the given node, and its slots' owners.
func (n *net) keyOf(fallback kv.NodeID, i int) (key string, owners []kv.NodeID) {
	r := n.ring.Load()
	for k := 0; ; k++ {
		key = fmt.Sprintf("key-%05d", k)
		p := r.PartitionOf(1, []byte(key))
		if _, in := r.SlotOf(p, fallback); in {
			continue
		}
		if i--; i >= 0 {
			continue
		}
		for _, slot := range r.Placement(p).Slots {
			owners = append(owners, slot.Owner)
		}
		return key, owners
	}
}

// written is an object with one version.
func written(writer vclock.Actor, value string) kv.Object {
	v := kv.Version{
		Dot:  vclock.Dot{Actor: writer<<48 | 9, Counter: 1},
		Kind: kv.KindValue, Value: []byte(value), Stamp: kv.StampAt(1000),
	}
	o, err := kv.Object{}.Put(v.Sealed(), vclock.Context{})
	if err != nil {
		panic(err)
	}
	return o
}

// hint has a node keep an object for a slot.
func (m *node) hint(key string, slot uint8, o kv.Object) {
	m.net.t.Helper()
	r := m.net.ring.Load()
	p := r.PartitionOf(1, []byte(key))
	done := make(chan wire.StoreReply, 1)
	m.Store(replica.StoreRequest{
		StoreRequest: &wire.StoreRequest{
			Target: wire.Target{
				Bucket: 1, Partition: p, Key: []byte(key), Slot: slot,
				Placement: r.Placement(p).Version, Instance: 7, RemainingMS: 1000,
			},
			Role: kv.RoleFallback, Class: kv.ClassClientWrite, Object: o,
		},
		Done: func(reply wire.StoreReply) { done <- reply },
	})
	if reply := <-done; reply.Code != wire.ReplicaOK {
		m.net.t.Fatalf("hint of %s: %+v", key, reply)
	}
}

// values are what a node holds of a key as its own.
func (m *node) values(key string) (values []string) {
	m.net.t.Helper()
	p := m.net.ring.Load().PartitionOf(1, []byte(key))
	c, err := m.store.Read(p, 1, []byte(key), storage.ModeFull)
	if err != nil {
		m.net.t.Fatal(err)
	}
	for _, v := range c.Object.Versions {
		values = append(values, string(v.Value))
	}
	return values
}

// kept is how many hints and markers a node has.
func (m *node) kept() (n int) {
	for _, c := range m.HintStatus().Cells {
		n += c.Hints + c.Markers
	}
	return n
}

// eventually waits in fake time.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func position() (p storage.Position) { return p }

// failPlan lets a point pass some times, and then runs fn once.
func failPlan(skip int, fn func()) fail.Plan {
	return fail.Plan{Skip: skip, Times: 1, Hook: func() error { fn(); return nil }}
}
