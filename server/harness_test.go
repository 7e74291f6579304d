// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// copyOfKeys is a replica in memory: what the coordinator takes for its own, and what
// peers may ask. It keeps what it is given, as the store does.
type copyOfKeys struct {
	mu      sync.Mutex
	objects map[string]kv.Object
	holds   func(partition uint16, key string) bool
	counter uint64
	stuck   bool     // writes are not answered before release
	waiting []func() // their answers
	code    wire.ReplicaCode
}

var (
	_ coordinator.Local = (*copyOfKeys)(nil)
	_ Replica           = (*copyOfKeys)(nil)
)

const ownInstance = 11

func (c *copyOfKeys) standing() wire.Standing {
	return wire.Standing{Role: kv.RoleOwner, Placement: 1, Instance: ownInstance, Confirmed: true}
}

func dotOf(n uint64) vclock.Dot {
	actor, _ := vclock.NewActor(1, 7) // both in range
	return vclock.Dot{Actor: actor, Counter: n}
}

func (c *copyOfKeys) Mint(req *replica.MintRequest) {
	c.mu.Lock()
	reply := replica.MintReply{Standing: c.standing(), Code: c.code}
	reply.Role = req.Role
	if c.code != wire.ReplicaOK {
		c.mu.Unlock()
		req.Done(reply)
		return
	}
	c.counter++
	version := kv.Version{
		Dot: dotOf(c.counter), Kind: req.Kind, Value: req.Value, ExpiresAt: req.ExpiresAt,
		Stamp: req.After.Next(time.Now().UnixMilli()),
	}
	object, err := c.objects[string(req.Key)].Put(version.Sealed(), req.Seen)
	if err != nil {
		c.mu.Unlock()
		reply.Code, reply.Err, reply.Detail = wire.ReplicaRefused, err, err.Error()
		req.Done(reply)
		return
	}
	c.objects[string(req.Key)] = object
	reply.Object, reply.Dot = object, version.Dot
	done := func() { req.Done(reply) }
	if c.stuck {
		c.waiting, done = append(c.waiting, done), func() {}
	}
	c.mu.Unlock()
	req.Minted(reply)
	done()
}

// stick holds up writes; release lets them go.
func (c *copyOfKeys) stick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck = true
}

func (c *copyOfKeys) release() {
	c.mu.Lock()
	waiting := c.waiting
	c.waiting, c.stuck = nil, false
	c.mu.Unlock()
	for _, done := range waiting {
		done()
	}
}

func (c *copyOfKeys) Store(req replica.StoreRequest) {
	c.mu.Lock()
	key := string(req.Key)
	c.objects[key] = kv.Merge(c.objects[key], req.Object)
	c.mu.Unlock()
	req.Done(wire.StoreReply{Standing: c.standing(), Code: wire.ReplicaOK})
}

func (c *copyOfKeys) Read(req *wire.ReadRequest) wire.ReadReply {
	return wire.ReadReply{
		Standing: c.standing(), Code: wire.ReplicaOK, Object: c.object(string(req.Key)),
	}
}

func (c *copyOfKeys) Fence(_ context.Context, req *wire.FenceRequest) wire.FenceReply {
	return wire.FenceReply{Instance: req.Instance, Code: wire.ReplicaOK}
}

func (c *copyOfKeys) Scan(req *wire.ScanRequest) wire.ScanReply {
	c.mu.Lock()
	defer c.mu.Unlock()
	reply := wire.ScanReply{Standing: c.standing(), Code: wire.ReplicaOK}
	var keys []string
	for key := range c.objects {
		if key > string(req.Key) && c.holds(req.Partition, key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if reply.More = len(keys) > int(req.Limit); reply.More {
		keys = keys[:req.Limit]
	}
	for _, key := range keys {
		reply.Entries = append(reply.Entries, wire.ScanEntry{
			Key: []byte(key), Object: c.objects[key],
		})
	}
	return reply
}

func (c *copyOfKeys) Status() replica.Status { return replica.Status{Ready: true, Confirmed: true} }

func (c *copyOfKeys) object(key string) kv.Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.objects[key]
}

// put gives a key so many siblings of a size, at once.
func (c *copyOfKeys) put(key string, siblings, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var object kv.Object
	for range siblings {
		c.counter++
		version := kv.Version{
			Dot: dotOf(c.counter), Kind: kv.KindValue, Value: make([]byte, size),
			Stamp: kv.Stamp(0).Next(time.Now().UnixMilli()),
		}
		var err error
		if object, err = object.Put(version.Sealed(), vclock.Context{}); err != nil {
			panic(fmt.Sprintf("the test asks for too much: %v", err))
		}
	}
	c.objects[key] = object
}

// otherNodes are members that only take forwarded writes.
type otherNodes struct {
	mu        sync.Mutex
	forwarded []wire.ForwardRequest
	late      bool // they do not answer before their time is over
	down      bool // they are not reached
	answer    wire.ForwardReply
}

var errNoNetwork = errors.New("the other members are not there")

func (o *otherNodes) Store(
	_ kv.NodeID, _ *wire.StoreRequest, _ time.Time, done func(wire.StoreReply, error),
) {
	done(wire.StoreReply{}, errNoNetwork)
}

func (o *otherNodes) Read(
	_ kv.NodeID, _ *wire.ReadRequest, _ time.Time, done func(wire.ReadReply, error),
) {
	done(wire.ReadReply{}, errNoNetwork)
}

func (o *otherNodes) Scan(
	_ kv.NodeID, _ *wire.ScanRequest, _ time.Time, done func(wire.ScanReply, error),
) {
	done(wire.ScanReply{}, errNoNetwork)
}

func (o *otherNodes) Forward(
	_ kv.NodeID, req *wire.ForwardRequest, deadline time.Time,
	done func(wire.ForwardReply, error),
) {
	o.mu.Lock()
	o.forwarded = append(o.forwarded, *req) // lent until done is called
	answer, late, down := o.answer, o.late, o.down
	o.mu.Unlock()
	if down {
		done(wire.ForwardReply{}, fmt.Errorf("%w: %w", coordinator.ErrNotSent, errNoNetwork))
		return
	}
	if late {
		time.AfterFunc(time.Until(deadline)+time.Second, func() {
			done(wire.ForwardReply{}, context.DeadlineExceeded)
		})
		return
	}
	done(answer, nil)
}

// world is what the server tells of the cluster.
type world struct {
	ring    *ring.Ring
	buckets []kv.Bucket
}

func (w *world) Ring() *ring.Ring     { return w.ring }
func (w *world) Missing() string      { return "3 nodes needed, 1 registered" }
func (w *world) Buckets() []kv.Bucket { return w.buckets }

func (w *world) Bucket(name string) (kv.Bucket, bool) {
	i := slices.IndexFunc(w.buckets, func(b kv.Bucket) bool { return b.Name == name })
	if i < 0 {
		return kv.Bucket{}, false
	}
	return w.buckets[i], true
}

func (w *world) Work() *wire.WorkStatus { return &wire.WorkStatus{Hints: 7, Counted: true} }

func (w *world) Status() wire.ClusterStatusResult {
	return wire.ClusterStatusResult{Node: "n1", Cluster: w.ring.Cluster().String(), RingVersion: 1}
}

func (w *world) Identity() wire.PeerHello {
	return wire.PeerHello{
		Min: wire.PeerVersionMin, Max: wire.PeerVersionMax, Cluster: w.ring.Cluster(), Node: 1,
		Instance: ownInstance,
	}
}

// fixture is a server whose replica and peers are fakes.
type fixture struct {
	t      testing.TB
	server *Server
	keys   *copyOfKeys
	others *otherNodes
	world  *world
	logs   *observer.ObservedLogs
	net    *memnet.Network
	group  *soleGroup // nil where the shape is not grouped
	// repairs is nil where the shape has none.
	repairs *fakeRepairs
}

// shape is what tests vary.
type shape struct {
	members, replicas, partitions int
	change                        func(*Config)
	control                       Control
	forming                       bool // it has no data to serve yet
	grouped                       bool // it is a member of a soleGroup
	repairs                       bool // it has fakeRepairs
	hints                         bool // it has fakeHints
}

func newFixture(t testing.TB, s shape) *fixture {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	f := &fixture{
		t: t, keys: &copyOfKeys{objects: make(map[string]kv.Object), code: wire.ReplicaOK},
		others: &otherNodes{}, logs: logs, net: memnet.New(1),
	}
	var members []ring.Member
	for i := 1; i <= max(1, s.members); i++ {
		members = append(members, ring.Member{
			ID: kv.NodeID(i), Name: fmt.Sprintf("n%d", i), Weight: 1, Instance: kv.Instance(10 + i),
			Client: fmt.Sprintf("n%d:1", i), Peer: fmt.Sprintf("n%d:2", i),
			Gossip: fmt.Sprintf("n%d:3", i),
		})
	}
	replicas := max(1, s.replicas)
	state, err := ring.Form(ring.ClusterID{1, 2, 3}, replicas, max(1, s.partitions), members, 1)
	must(t, err)
	current, err := ring.New(state)
	must(t, err)
	f.world = &world{ring: current, buckets: []kv.Bucket{kv.BuiltinBucket(replicas)}}
	f.keys.holds = func(partition uint16, key string) bool {
		return f.server.partitionOf(f.world.buckets[0], []byte(key)) == partition
	}
	cfg := coordinator.DefaultConfig()
	cfg.Node, cfg.Ring, cfg.Now = 1, f.world.Ring, time.Now
	cfg.Alive = func(kv.NodeID) bool { return true }
	carrier, err := coordinator.New(cfg, f.keys, f.others, zap.NewNop())
	must(t, err)
	own := DefaultConfig()
	if s.change != nil {
		s.change(&own)
	}
	f.server, err = New(own, Parts{
		Cluster: f.world, Control: s.control, Grouped: s.grouped, Repairing: s.repairs,
		Hinting: s.hints, Now: time.Now,
	}, zap.New(core))
	must(t, err)
	t.Cleanup(f.server.Wait)
	if s.grouped {
		f.group = newSoleGroup(t)
		f.server.ServeGroup(f.group)
	}
	if !s.forming {
		f.repairs = &fakeRepairs{ended: make(chan struct{})}
		d := Data{Coordinator: carrier, Replica: f.keys, Repairs: f.repairs}
		if s.hints {
			d.Hints = &fakeHints{now: time.Now}
		}
		f.server.ServeData(d)
	}
	return f
}

// inBubble runs a test of a server that serves both of its ports in a bubble.
func inBubble(t *testing.T, s shape, test func(t *testing.T, f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, s)
		ctx, cancel := context.WithCancel(context.Background())
		clients, err := f.net.Listen("n1:1")
		must(t, err)
		peers, err := f.net.Listen("n1:2")
		must(t, err)
		var ports sync.WaitGroup
		ports.Go(func() { must(t, f.server.ServeClients(ctx, clients)) })
		ports.Go(func() { must(t, f.server.ServePeers(ctx, peers)) })
		t.Cleanup(func() {
			cancel()
			ports.Wait()
			f.keys.release()
			f.server.Wait()
		})
		test(t, f)
	})
}

// client connects to the client port, until the test ends.
func (f *fixture) client() *rpc.Client { return f.dial("n1:1", rpc.DefaultClientConfig()) }

// peer connects to the peer port and says hello, unless it is nil.
func (f *fixture) peer(hello *wire.PeerHello) *rpc.Client {
	f.t.Helper()
	c := f.dial("n1:2", rpc.DefaultPeerClientConfig())
	if hello != nil {
		_, err := c.Call(context.Background(), wire.MethodPeerHello, func(dst []byte) []byte {
			return wire.AppendPeerHello(dst, hello)
		})
		must(f.t, err)
	}
	return c
}

func (f *fixture) dial(addr string, cfg rpc.ClientConfig) *rpc.Client {
	f.t.Helper()
	c, stop, err := rpc.Dial(context.Background(), f.net.Dialer("c"), addr, cfg, zap.NewNop())
	must(f.t, err)
	f.t.Cleanup(stop)
	return c
}

// hello is that of another member.
func (f *fixture) hello() *wire.PeerHello {
	h := f.world.Identity()
	h.Node, h.Instance = 2, 12
	return &h
}

// call calls a method with raw params.
func call(c *rpc.Client, method string, params []byte) ([]byte, error) {
	return c.Call(context.Background(), method, func(dst []byte) []byte {
		return append(dst, params...)
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
