// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// The stage has three owners of every partition: node 1 is the coordinator, nodes 2 and
// 3 are scripted. Nodes 4 and 5 own nothing: they are the fallbacks, in this order.
const (
	nodeA kv.NodeID = 1 + iota
	nodeB
	nodeC
	nodeD
	nodeE
)

var (
	errLost    = errors.New("connection lost")
	errNotSent = fmt.Errorf("%w: no connection", ErrNotSent)
)

func newRing(t testing.TB, members int) *ring.Ring {
	t.Helper()
	var list []ring.Member
	for id := range members {
		list = append(list, ring.Member{
			ID: kv.NodeID(id + 1), Name: string(rune('A' + id)), Weight: 1,
			Instance: kv.Instance(100 + id + 1), Client: fmt.Sprintf("h%d:1", id),
			Peer: fmt.Sprintf("h%d:2", id), Gossip: fmt.Sprintf("h%d:3", id),
		})
	}
	state, err := ring.Form(ring.ClusterID{1}, 3, 4, list[:3], 5)
	if err != nil {
		t.Fatal(err)
	}
	state.Members = list
	r, err := ring.New(state)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// instanceOf is the instance that the stage's ring has for a node.
func instanceOf(node kv.NodeID) kv.Instance { return kv.Instance(100) + kv.Instance(node) }

// standing is what a confirmed owner states.
func standing(node kv.NodeID) wire.Standing {
	return wire.Standing{
		Role: kv.RoleOwner, Placement: 5, Instance: instanceOf(node), Confirmed: true,
	}
}

// stage is a coordinator whose replicas are played by the test.
type stage struct {
	t    testing.TB
	ring *ring.Ring
	c    *Coordinator

	mu    sync.Mutex
	down  map[kv.NodeID]bool
	calls []*call
	sends []*call // all calls, also those that the test has forgotten
	// auto, where it is set for a node, answers its calls at once.
	auto map[kv.NodeID]func(*call)

	// What the local replica does; each has a default.
	mint      func(*replica.MintRequest)
	localRead func(*wire.ReadRequest) wire.ReadReply
	localScan func(*wire.ScanRequest) wire.ScanReply
	stores    []replica.StoreRequest // copies for this node
	storeCode wire.ReplicaCode       // the answer to them
	onStored  func()                 // after one was answered
	marks     []marked
	onMark    func() // before a marker is kept
	ready     bool
	minted    uint64 // dots issued by the default mint
}

func newStage(t testing.TB, change ...func(*Config)) *stage {
	t.Helper()
	s := &stage{
		t: t, ring: newRing(t, 5), down: make(map[kv.NodeID]bool), ready: true,
		storeCode: wire.ReplicaOK,
		auto:      make(map[kv.NodeID]func(*call)),
	}
	cfg := DefaultConfig()
	cfg.Node, cfg.Now = nodeA, time.Now
	cfg.Ring = func() *ring.Ring { return s.ring }
	cfg.Alive = func(node kv.NodeID) bool { return !s.down[node] }
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if s.c, err = New(cfg, (*stageLocal)(s), (*stagePeers)(s), zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	s.mint = func(req *replica.MintRequest) {
		m := s.issue(req)
		req.Minted(m)
		req.Done(m)
	}
	s.localRead = func(*wire.ReadRequest) wire.ReadReply {
		return wire.ReadReply{Standing: standing(nodeA), Code: wire.ReplicaOK}
	}
	t.Cleanup(s.hangUp)
	return s
}

// hangUp ends what is still under way at the end of a test, as deadlines do.
func (s *stage) hangUp() {
	s.mu.Lock()
	s.auto = nil
	s.mu.Unlock()
	for n := 0; ; n++ {
		synctest.Wait()
		s.mu.Lock()
		if n >= len(s.sends) {
			s.mu.Unlock()
			break
		}
		c := s.sends[n]
		s.mu.Unlock()
		c.fail(errLost)
	}
	if err := s.c.Drain(context.Background()); err != nil {
		s.t.Error(err)
	}
}

// traced lets a sink hear of the coordinator.
func traced(sink trace.Sink) func(*Config) {
	return func(c *Config) { c.Trace = trace.New(uint16(nodeA), sink) }
}

// issue is a mint over an object that holds nothing.
func (s *stage) issue(req *replica.MintRequest) replica.MintReply {
	s.minted++
	v := kv.Version{
		Dot: dot(nodeA, s.minted), Kind: req.Kind, Value: req.Value, ExpiresAt: req.ExpiresAt,
		Request: req.Request,
	}
	o, err := kv.Object{}.Put(v.Sealed(), req.Seen)
	if err != nil {
		s.t.Error(err)
	}
	return replica.MintReply{
		Standing: standing(nodeA), Code: wire.ReplicaOK, Object: o, Dot: v.Dot,
	}
}

func dot(node kv.NodeID, counter uint64) vclock.Dot {
	return vclock.Dot{Actor: vclock.Actor(uint64(node)<<48 | 1), Counter: counter}
}

// version is a copy that holds one value, over what seen covers.
func version(node kv.NodeID, counter uint64, value string, seen ...vclock.Dot) kv.Object {
	v := kv.Version{Dot: dot(node, counter), Kind: kv.KindValue, Value: []byte(value)}
	o, err := kv.Object{}.Put(v.Sealed(), vclock.ContextOf(seen...))
	if err != nil {
		panic(err)
	}
	return o
}

func tombstone(node kv.NodeID, counter uint64, seen ...vclock.Dot) kv.Object {
	v := kv.Version{Dot: dot(node, counter), Kind: kv.KindTombstone}
	o, err := kv.Object{}.Put(v.Sealed(), vclock.ContextOf(seen...))
	if err != nil {
		panic(err)
	}
	return o
}

func (s *stage) sent(c *call) {
	c.answersOnce()
	s.mu.Lock()
	s.calls, s.sends = append(s.calls, c), append(s.sends, c)
	answer := s.auto[c.node]
	s.mu.Unlock()
	if answer != nil {
		answer(c)
	}
}

// to returns the n-th call of a node, after everything has come to rest.
func (s *stage) to(node kv.NodeID, n int) *call {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.node != node {
			continue
		}
		if n == 0 {
			return c
		}
		n--
	}
	s.t.Fatalf("node %d was not called that often", node)
	return nil
}

// count is how many calls a node was sent.
func (s *stage) count(node kv.NodeID) (n int) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.node == node {
			n++
		}
	}
	return n
}

// local lets this node's copy be o.
func (s *stage) local(o kv.Object) {
	s.localRead = func(req *wire.ReadRequest) wire.ReadReply {
		copied := o
		if req.Mode == wire.ReadBare {
			copied = o.WithoutValues()
		}
		return wire.ReadReply{Standing: standing(nodeA), Code: wire.ReplicaOK, Object: copied}
	}
}

// holding lets a peer hold o and take every copy.
func (s *stage) holding(node kv.NodeID, o kv.Object) {
	s.auto[node] = func(c *call) {
		if c.onRead != nil {
			c.show(o)
		} else {
			c.stored(wire.ReplicaOK)
		}
	}
}

// copies are the objects that a node was sent to store.
func (s *stage) copies(node kv.NodeID) (list []*wire.StoreRequest) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.node == node && c.store != nil {
			list = append(list, c.store)
		}
	}
	if node == s.c.cfg.Node {
		for _, r := range s.stores {
			list = append(list, r.StoreRequest)
		}
	}
	return list
}

type stageLocal stage

func (s *stageLocal) Mint(req *replica.MintRequest)             { s.mint(req) }
func (s *stageLocal) Read(req *wire.ReadRequest) wire.ReadReply { return s.localRead(req) }
func (s *stageLocal) Scan(req *wire.ScanRequest) wire.ScanReply { return s.localScan(req) }
func (s *stageLocal) Status() replica.Status                    { return replica.Status{Ready: s.ready} }
func (s *stageLocal) Store(req replica.StoreRequest) {
	s.mu.Lock()
	s.stores = append(s.stores, req)
	s.mu.Unlock()
	at := standing(s.c.cfg.Node)
	at.Role = req.Role
	req.Done(wire.StoreReply{Standing: at, Code: s.storeCode})
	if s.onStored != nil {
		s.onStored()
	}
}

// marked is a marker that this node was told to keep.
type marked struct {
	slot  uint8
	key   string
	lacks string
}

func (s *stageLocal) Mark(
	_ uint16, slot uint8, _ kv.BucketID, key []byte, lacks vclock.Context, done func(bool),
) {
	if s.onMark != nil {
		s.onMark()
	}
	s.mu.Lock()
	s.marks = append(s.marks, marked{slot, string(key), lacks.String()})
	s.mu.Unlock()
	done(true)
}

type stagePeers stage

func (s *stagePeers) Store(
	n kv.NodeID, r *wire.StoreRequest, deadline time.Time, done func(wire.StoreReply, error),
) {
	(*stage)(s).sent(&call{node: n, deadline: deadline, store: r, onStore: done})
}

func (s *stagePeers) Read(
	n kv.NodeID, r *wire.ReadRequest, deadline time.Time, done func(wire.ReadReply, error),
) {
	(*stage)(s).sent(&call{node: n, deadline: deadline, read: r, onRead: done})
}

func (s *stagePeers) Scan(
	n kv.NodeID, r *wire.ScanRequest, deadline time.Time, done func(wire.ScanReply, error),
) {
	(*stage)(s).sent(&call{node: n, deadline: deadline, scan: r, onScan: done})
}

func (s *stagePeers) Forward(
	n kv.NodeID, r *wire.ForwardRequest, deadline time.Time, done func(wire.ForwardReply, error),
) {
	(*stage)(s).sent(&call{node: n, deadline: deadline, forward: r, onForward: done})
}

// bucket is the built-in bucket of three replicas, but that nobody stands in for them.
func bucket() kv.Bucket {
	b := sloppy()
	b.Sloppy = false
	return b
}

// sloppy is the built-in bucket of three replicas.
func sloppy() kv.Bucket { return kv.BuiltinBucket(3) }

// within is a context with the default deadline of clients.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// begun runs f beside the test.
type begun[T any] struct {
	result chan outcome[T]
	got    *outcome[T]
}

type outcome[T any] struct {
	value T
	err   error
}

func begin[T any](f func() (T, error)) *begun[T] {
	b := &begun[T]{result: make(chan outcome[T], 1)}
	go func() {
		value, err := f()
		b.result <- outcome[T]{value, err}
	}()
	return b
}

// over reports whether it has ended, after everything has come to rest.
func (b *begun[T]) over() bool {
	synctest.Wait()
	return b.got != nil || len(b.result) > 0
}

func (b *begun[T]) wait() (T, error) {
	if b.got == nil {
		got := <-b.result
		b.got = &got
	}
	return b.got.value, b.got.err
}

// codeIn is the code of an error of the coordinator, "" of none.
func codeIn(err error) wire.Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return wire.Code(fmt.Sprintf("not an *Error: %v", err))
	}
	return ""
}
