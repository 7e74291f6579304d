// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	nodeA = kv.NodeID(1) // who exchanges
	nodeB = kv.NodeID(2)
	nodeC = kv.NodeID(3)

	testPartitions = 2
)

var errLost = errors.New("lost")

// fakePeers carries calls to replicas, each way for a while.
type fakePeers struct {
	replicas map[kv.NodeID]*fakeReplica
	delay    time.Duration

	mu   sync.Mutex // guards what follows
	sent int
	// lose says what is lost of the n-th call, from 1: the question, the answer, or nothing.
	lose func(n int) (question, answer bool)
	dead map[kv.NodeID]bool
}

func carry[Q, R any](
	p *fakePeers, node kv.NodeID, q Q, deadline time.Time, done func(R, error), do func(Q) R,
) {
	p.mu.Lock()
	p.sent++
	question, answer := false, false
	if p.lose != nil {
		question, answer = p.lose(p.sent)
	}
	question = question || p.dead[node]
	p.mu.Unlock()
	lost := func() {
		time.AfterFunc(time.Until(deadline), func() {
			var none R
			done(none, errLost)
		})
	}
	if question {
		lost()
		return
	}
	time.AfterFunc(p.delay, func() {
		reply := do(q)
		if answer {
			lost()
			return
		}
		time.AfterFunc(p.delay, func() { done(reply, nil) })
	})
}

func (p *fakePeers) TreeSums(
	node kv.NodeID, q *wire.TreeSumsRequest, deadline time.Time, done func(wire.TreeSumsReply, error),
) {
	carry(p, node, q, deadline, done, p.replicas[node].TreeSums)
}

func (p *fakePeers) TreeList(
	node kv.NodeID, q *wire.TreeListRequest, deadline time.Time, done func(wire.TreeListReply, error),
) {
	carry(p, node, q, deadline, done, p.replicas[node].TreeEntries)
}

func (p *fakePeers) Read(
	node kv.NodeID, q *wire.ReadRequest, deadline time.Time, done func(wire.ReadReply, error),
) {
	carry(p, node, q, deadline, done, p.replicas[node].Read)
}

func (p *fakePeers) Store(
	node kv.NodeID, q *wire.StoreRequest, deadline time.Time, done func(wire.StoreReply, error),
) {
	carry(p, node, q, deadline, done, func(q *wire.StoreRequest) wire.StoreReply {
		return p.replicas[node].store(q, false)
	})
}

// plenty is a budget that grants all, and counts it.
type plenty struct {
	mu    sync.Mutex
	bytes int // guarded by mu
}

func (b *plenty) Take(ctx context.Context, bytes int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes += bytes
	return ctx.Err()
}

// stage is an Exchange of node A, and what it stands on.
type stage struct {
	*Exchange
	t       *testing.T
	cfg     Config
	a, b, c *fakeReplica
	peers   *fakePeers
	budget  *plenty
}

// bubble runs a test in fake time.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// newStageRing is a ring of three members that own every partition.
func newStageRing(t testing.TB, partitions int) *ring.Ring {
	t.Helper()
	var members []ring.Member
	for _, id := range []kv.NodeID{nodeA, nodeB, nodeC} {
		members = append(members, ring.Member{
			ID: id, Name: fmt.Sprintf("n%d", id), Weight: 1, Instance: kv.Instance(id),
			Client: fmt.Sprintf("10.0.0.%d:1", id), Peer: fmt.Sprintf("10.0.0.%d:2", id),
			Gossip: fmt.Sprintf("10.0.0.%d:3", id),
		})
	}
	state, err := ring.Form(ring.ClusterID{1}, 3, partitions, members, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ring.New(state)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// newStage is three owners of two partitions; change may be nil. Nothing runs yet.
func newStage(t *testing.T, change func(*Config)) *stage {
	t.Helper()
	r := newStageRing(t, testPartitions)
	s := &stage{t: t, budget: &plenty{}}
	s.a, s.b, s.c = newFakeReplica(r, nodeA), newFakeReplica(r, nodeB), newFakeReplica(r, nodeC)
	s.peers = &fakePeers{
		replicas: map[kv.NodeID]*fakeReplica{nodeA: s.a, nodeB: s.b, nodeC: s.c},
		delay:    time.Millisecond, dead: make(map[kv.NodeID]bool),
	}
	s.cfg = DefaultConfig()
	s.cfg.Node, s.cfg.Budget, s.cfg.Rand = nodeA, s.budget, rand.New(rand.NewPCG(1, 2))
	s.cfg.Ring = func() *ring.Ring { return r }
	s.cfg.Alive = func(kv.NodeID) bool { return true }
	if change != nil {
		change(&s.cfg)
	}
	var err error
	if s.Exchange, err = New(s.cfg, s.a, s.peers, s.a, zaptest.NewLogger(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs the Exchange until the end of the test.
func (s *stage) run() {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
		time.Sleep(time.Hour) // what was lost ends by its deadline
	})
}

// once compares one pair, as Run does.
func (s *stage) once(partition uint16, node kv.NodeID) (Outcome, error) {
	return s.compare(s.t.Context(), pair{partition, node}, true)
}

// both compares both partitions with a node, until they are settled.
func (s *stage) both(node kv.NodeID) {
	s.t.Helper()
	for p := range uint16(testPartitions) {
		for try := 0; ; try++ {
			outcome, err := s.once(p, node)
			if outcome.settled() {
				break
			}
			if try == 20 {
				s.t.Fatalf("partition %d is not settled: %v, %v", p, outcome, err)
			}
		}
	}
}

// version is an object of one version.
func version(node kv.NodeID, counter uint64, value string) kv.Object {
	dot := vclock.Dot{Actor: vclock.Actor(node)<<48 | 7, Counter: counter}
	v := kv.Version{
		Dot: dot, Kind: kv.KindValue, Value: []byte(value), Stamp: kv.Stamp(counter),
	}
	return kv.Object{Context: vclock.ContextOf(dot), Versions: []kv.Version{v.Sealed()}}
}

func keyOf(i int) []byte { return fmt.Appendf(nil, "key-%05d", i) }

// equal demands that two replicas hold the same, and that their trees say so.
func (s *stage) equal(x, y *fakeReplica) {
	s.t.Helper()
	if !maps.Equal(x.holds(), y.holds()) {
		s.t.Errorf("node %d holds %d keys, node %d %d, and not the same",
			x.node, len(x.holds()), y.node, len(y.holds()))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	y.mu.Lock()
	defer y.mu.Unlock()
	for p := range x.trees {
		if !x.trees[p].Equal(y.trees[p]) {
			s.t.Errorf("the trees of partition %d differ", p)
		}
	}
}
