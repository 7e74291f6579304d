// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

const (
	testCluster    = "0123456789abcdef0123456789abcdef"
	testSeed       = 0x0123456789abcdef
	testPartitions = 8
)

// fake is a cluster of scripted nodes on a network in memory, with one store of all. It
// must be made in a bubble.
type fake struct {
	t     testing.TB
	net   *memnet.Network
	nodes []*fakeNode

	mu      sync.Mutex // guards what follows
	version uint64     // of the ring
	objects map[string]kv.Object
	clock   int64
	limits  wire.Limits
	feats   []string
	cluster string
	log     []seen
	conns   map[string][]net.Conn
	dials   int
	noRing  bool
	noHello string // the error that hello gets
	extra   string // a second bucket
	// script is asked first for each data request; it reports whether it answered.
	script func(n *fakeNode, call *rpc.Call, s seen) bool
	group  *fakeGroup // nil: there is none
}

// seen is a request that came to a node.
type seen struct {
	node    string
	method  string
	at      time.Time
	key     string
	request kv.RequestID
	timeout uint32
	skip    string
	lock    wire.LockAcquireRequest // of lock.acquire; others fill in what they have
}

type fakeNode struct {
	f    *fake
	name string
	addr string
	srv  *rpc.Server
	stop context.CancelFunc
	done chan struct{}
}

// newFake runs nodes n1 to n-count until the test ends.
func newFake(t testing.TB, count int) *fake {
	t.Helper()
	f := &fake{
		t: t, net: memnet.New(1), version: 1, objects: make(map[string]kv.Object),
		limits: wire.DefaultLimits(), cluster: testCluster, conns: make(map[string][]net.Conn),
	}
	for i := range count {
		n := &fakeNode{f: f, name: fmt.Sprintf("n%d", i+1), addr: fmt.Sprintf("n%d:1", i+1)}
		f.nodes = append(f.nodes, n)
		n.start()
	}
	t.Cleanup(func() {
		for _, n := range f.nodes {
			n.kill()
		}
	})
	return f
}

func (n *fakeNode) start() {
	n.f.t.Helper()
	srv, err := rpc.NewServer(rpc.DefaultServerConfig(), rpc.HandlerFunc(n.handle), zap.NewNop())
	if err != nil {
		n.f.t.Fatal(err)
	}
	ln, err := n.f.net.Listen(n.addr)
	if err != nil {
		n.f.t.Fatal(err)
	}
	var ctx context.Context
	ctx, n.stop = context.WithCancel(context.Background())
	n.srv, n.done = srv, make(chan struct{})
	go func() {
		defer close(n.done)
		_ = srv.Serve(ctx, ln) // a killed host's listener fails
	}()
}

// kill does to the node what the end of its process does.
func (n *fakeNode) kill() {
	n.f.net.Kill(n.name)
	n.stop()
	<-n.done
}

// client returns one with the given endpoints (all nodes where there are none).
func (f *fake) client(change func(*Config), endpoints ...string) *Client {
	f.t.Helper()
	cfg := DefaultConfig()
	cfg.Endpoints = endpoints
	if len(endpoints) == 0 {
		for _, n := range f.nodes {
			cfg.Endpoints = append(cfg.Endpoints, n.addr)
		}
	}
	cfg.Dial = f.dial
	cfg.Rand = rand.New(rand.NewPCG(1, 2))
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(c.Close)
	return c
}

func (f *fake) onData(script func(n *fakeNode, call *rpc.Call, s seen) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = script
}

// requests are those that came, of the given method.
func (f *fake) requests(method string) []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.log), func(s seen) bool { return s.method != method })
}

func (f *fake) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = nil
}

// info is the ring: partition p belongs to nodes p, p+1, p+2, modulo their number.
func (f *fake) info() wire.ClusterInfoResult {
	bucket := kv.BuiltinBucket(min(3, len(f.nodes)))
	info := wire.ClusterInfoResult{
		Cluster: f.cluster, RingVersion: f.version, Replicas: uint32(bucket.N),
		Partitions: testPartitions, HashSeed: testSeed, Buckets: []kv.Bucket{bucket},
	}
	if f.extra != "" {
		bucket.ID, bucket.Name = 2, f.extra
		info.Buckets = append(info.Buckets, bucket)
	}
	for i, n := range f.nodes {
		info.Members = append(info.Members, wire.Member{
			ID: kv.NodeID(i + 1), Name: n.name, Addresses: wire.Addresses{Client: n.addr},
		})
	}
	for p := range testPartitions {
		var ids []kv.NodeID
		for i := range int(bucket.N) {
			ids = append(ids, kv.NodeID((p+i)%len(f.nodes)+1))
		}
		info.Preference = append(info.Preference, ids)
	}
	return info
}

// keyOf is a key of which the given node is the first owner.
func (f *fake) keyOf(node int) []byte {
	for i := 0; ; i++ {
		key := fmt.Appendf(nil, "k%d", i)
		p := ring.PartitionOf(ring.Hash(testSeed, kv.DefaultBucket, key), testPartitions)
		if int(p)%len(f.nodes) == node {
			return key
		}
	}
}

func (n *fakeNode) handle(_ context.Context, call *rpc.Call) {
	f := n.f
	s := n.seen(call)
	f.mu.Lock()
	f.log = append(f.log, s)
	script := f.script
	f.mu.Unlock()
	switch s.method {
	case wire.MethodHello, wire.MethodPing, wire.MethodClusterInfo:
	default:
		if script != nil && script(n, call, s) {
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch s.method {
	case wire.MethodHello:
		if f.noHello != "" {
			call.ReplyError(f.noHello)
			return
		}
		hello := wire.HelloResult{
			Proto: 1, Node: n.name, Cluster: f.cluster, Version: "t", Limits: f.limits,
			Features: f.feats, RingVersion: f.version,
		}
		call.Reply(func(dst []byte) []byte { return wire.AppendHelloResult(dst, &hello) })
	case wire.MethodClusterInfo:
		if f.noRing {
			call.ReplyError("NOT_READY: scripted")
			return
		}
		info := f.info()
		call.Reply(func(dst []byte) []byte { return wire.AppendClusterInfoResult(dst, &info) })
	case wire.MethodGet:
		f.answerGet(call)
	case wire.MethodPut:
		f.answerPut(call)
	case wire.MethodDelete:
		f.answerDelete(call)
	default:
		if f.group == nil || !f.group.handle(call, &s, false) {
			call.Reply(wire.AppendEmptyResult)
		}
	}
}

func (n *fakeNode) seen(call *rpc.Call) seen {
	s := seen{node: n.name, method: string(call.Method), at: time.Now()}
	var get wire.GetRequest
	var put wire.PutRequest
	var del wire.DeleteRequest
	var err error
	switch s.method {
	case wire.MethodGet:
		err = wire.DecodeGetRequest(call.Params, &get)
		s.key, s.timeout, s.skip = string(get.Key), get.TimeoutMS, string(get.Skip)
	case wire.MethodPut:
		err = wire.DecodePutRequest(call.Params, &put)
		s.key, s.timeout, s.request = string(put.Key), put.TimeoutMS, put.RequestID
	case wire.MethodDelete:
		err = wire.DecodeDeleteRequest(call.Params, &del)
		s.key, s.timeout, s.request = string(del.Key), del.TimeoutMS, del.RequestID
	default:
		err = s.seeLock(call)
	}
	if err != nil {
		n.f.t.Error(err)
	}
	return s
}

// open reads a context, with the binding of the key.
func (f *fake) open(call *rpc.Call, token, key []byte) (vclock.Context, vclock.Binding, bool) {
	b := vclock.Bind([16]byte{}, 1, key)
	c, err := vclock.OpenToken(token, b)
	if err != nil {
		call.ReplyError(wire.FormatError(wire.CodeInvalid, err.Error()))
	}
	return c, b, err == nil
}

func shown(o kv.Object) []wire.Sibling {
	var list []wire.Sibling
	for _, v := range o.Live(0) {
		list = append(list, wire.Sibling{Value: v.Value, TimestampMS: v.Stamp.UnixMilli()})
	}
	return list
}

func (f *fake) answerGet(call *rpc.Call) {
	var q wire.GetRequest
	_ = wire.DecodeGetRequest(call.Params, &q) // seen has told
	o := f.objects[string(q.Key)]
	_, b, _ := f.open(call, nil, q.Key)
	r := wire.GetResult{
		Siblings: shown(o), RingVersion: f.version, Context: vclock.AppendToken(nil, b, o.Context),
	}
	r.Found = len(r.Siblings) > 0
	call.Reply(func(dst []byte) []byte { return wire.AppendGetResult(dst, &r) })
}

func (f *fake) write(key []byte, seen vclock.Context, kind kv.Kind, value []byte) kv.Object {
	f.clock++
	actor, err := vclock.NewActor(1, 1)
	if err != nil {
		f.t.Error(err)
	}
	v := kv.Version{
		Dot:  vclock.Dot{Actor: actor, Counter: uint64(f.clock)},
		Kind: kind, Value: slices.Clone(value), Stamp: kv.StampAt(f.clock),
	}.Sealed()
	o, err := f.objects[string(key)].Put(v, seen)
	if err != nil {
		f.t.Error(err)
	}
	f.objects[string(key)] = o
	return o
}

func (f *fake) answerPut(call *rpc.Call) {
	var q wire.PutRequest
	_ = wire.DecodePutRequest(call.Params, &q) // seen has told
	seen, b, ok := f.open(call, q.Context, q.Key)
	if !ok {
		return
	}
	o := f.write(q.Key, seen, kv.KindValue, q.Value)
	dot := o.Versions[len(o.Versions)-1].Dot
	r := wire.PutResult{SiblingCount: len(o.Versions)}
	r.Context = vclock.AppendToken(nil, b, o.WriterContext(seen, dot))
	if q.ReturnSiblings {
		r.Siblings, r.Context = shown(o), vclock.AppendToken(nil, b, o.Context)
	}
	call.Reply(func(dst []byte) []byte { return wire.AppendPutResult(dst, &r) })
}

func (f *fake) answerDelete(call *rpc.Call) {
	var q wire.DeleteRequest
	_ = wire.DecodeDeleteRequest(call.Params, &q) // seen has told
	seen, b, ok := f.open(call, q.Context, q.Key)
	if !ok {
		return
	}
	if len(q.Context) == 0 {
		seen = f.objects[string(q.Key)].Context
	}
	f.write(q.Key, seen, kv.KindTombstone, nil)
	r := wire.DeleteResult{Context: vclock.AppendToken(nil, b, seen)}
	call.Reply(func(dst []byte) []byte { return wire.AppendDeleteResult(dst, &r) })
}

// dial is the clients' dialer. It keeps the connections, for hangUp.
func (f *fake) dial(ctx context.Context, addr string) (net.Conn, error) {
	nc, err := f.net.Dial(ctx, "c", addr)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials++
	if err == nil {
		f.conns[addr] = append(f.conns[addr], nc)
	}
	return nc, err
}

// hangUp ends the connections to a node, but not the node.
func (f *fake) hangUp(n *fakeNode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, nc := range f.conns[n.addr] {
		_ = nc.Close() // twice does not matter
	}
	delete(f.conns, n.addr)
}
