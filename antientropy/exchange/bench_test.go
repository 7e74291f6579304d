// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"fmt"
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
	"github.com/dyno-kv/dyno/wire"
)

const (
	benchPartitions = 128
	benchValue      = 1 << 10
)

// benchKeys is how many keys both replicas have: a million, unless -short asks for less.
func benchKeys() int {
	if testing.Short() {
		return 20_000
	}
	return 1_000_000
}

// counted carries calls to a real replica, as bytes, and counts these.
type counted struct {
	to    *replica.Replica
	calls atomic.Int64
	bytes atomic.Int64
}

// frame is about what a call has on the wire beside its method, params and result.
const frame = 2 * (2 + 5)

func carryBytes[Q, R any](
	c *counted, method string, q *Q, done func(R, error), encode func([]byte, *Q) []byte,
	decode func([]byte, *Q) error, do func(*Q, func(R)), encodeReply func([]byte, *R) []byte,
	decodeReply func([]byte, *R) error,
) {
	question := encode(nil, q)
	var came Q
	if err := decode(question, &came); err != nil {
		panic(err)
	}
	do(&came, func(reply R) {
		answer := encodeReply(nil, &reply)
		c.calls.Add(1)
		c.bytes.Add(int64(frame + len(method) + len(question) + len(answer)))
		var back R
		err := decodeReply(answer, &back)
		done(back, err)
	})
}

func (c *counted) TreeSums(
	_ kv.NodeID, q *wire.TreeSumsRequest, _ time.Time, done func(wire.TreeSumsReply, error),
) {
	carryBytes(c, wire.MethodTreeSums, q, done, wire.AppendTreeSumsRequest,
		wire.DecodeTreeSumsRequest,
		func(q *wire.TreeSumsRequest, answer func(wire.TreeSumsReply)) { answer(c.to.TreeSums(q)) },
		wire.AppendTreeSumsReply, wire.DecodeTreeSumsReply)
}

func (c *counted) TreeList(
	_ kv.NodeID, q *wire.TreeListRequest, _ time.Time, done func(wire.TreeListReply, error),
) {
	carryBytes(c, wire.MethodTreeList, q, done, wire.AppendTreeListRequest,
		wire.DecodeTreeListRequest,
		func(q *wire.TreeListRequest, answer func(wire.TreeListReply)) { answer(c.to.TreeEntries(q)) },
		wire.AppendTreeListReply, wire.DecodeTreeListReply)
}

func (c *counted) Read(
	_ kv.NodeID, q *wire.ReadRequest, _ time.Time, done func(wire.ReadReply, error),
) {
	carryBytes(c, wire.MethodRead, q, done, wire.AppendReadRequest, wire.DecodeReadRequest,
		func(q *wire.ReadRequest, answer func(wire.ReadReply)) { answer(c.to.Read(q)) },
		wire.AppendReadReply, wire.DecodeReadReply)
}

func (c *counted) Store(
	_ kv.NodeID, q *wire.StoreRequest, deadline time.Time, done func(wire.StoreReply, error),
) {
	carryBytes(c, wire.MethodStore, q, done, wire.AppendStoreRequest, wire.DecodeStoreRequest,
		func(q *wire.StoreRequest, answer func(wire.StoreReply)) {
			c.to.Store(replica.StoreRequest{StoreRequest: q, Deadline: deadline, Done: answer})
		}, wire.AppendStoreReply, wire.DecodeStoreReply)
}

// watched is an engine that counts how often something is read from it.
type watched struct {
	storage.Engine
	reads *atomic.Int64
}

func (w watched) Get(key []byte, ts uint64) ([]byte, bool, error) {
	w.reads.Add(1)
	return w.Engine.Get(key, ts)
}

func (w watched) Iterate(
	ts uint64, prefix, from []byte, visit func(key, value []byte) bool,
) error {
	w.reads.Add(1)
	return w.Engine.Iterate(ts, prefix, from, visit)
}

// bench is two replicas over stores in memory, and an Exchange of the first.
type bench struct {
	b     *testing.B
	reads atomic.Int64 // of the engines of both
	ring  *ring.Ring
	a, z  *replica.Replica
	net   *counted
	*Exchange
}

func newBench(b *testing.B) *bench {
	b.Helper()
	s := newStageRing(b, benchPartitions)
	x := &bench{b: b, ring: s}
	x.a, x.z = x.replica(nodeA), x.replica(nodeB)
	x.net = &counted{to: x.z}
	cfg := DefaultConfig()
	cfg.Node, cfg.Budget, cfg.Rand = nodeA, &plenty{}, rand.New(rand.NewPCG(1, 2))
	cfg.Ring = func() *ring.Ring { return s }
	cfg.Alive = func(kv.NodeID) bool { return true }
	var err error
	if x.Exchange, err = New(cfg, x.a, x.net, x.a, zap.NewNop()); err != nil {
		b.Fatal(err)
	}
	return x
}

// replica opens and runs a confirmed replica, whose trees are built.
func (x *bench) replica(node kv.NodeID) *replica.Replica {
	x.b.Helper()
	engine := watched{storage.NewMemory(), &x.reads}
	store, err := storage.Open(storage.DefaultConfig(), engine, zap.NewNop())
	if err != nil {
		x.b.Fatal(err)
	}
	r, err := replica.New(replica.Config{
		Node: node, Instance: x.ring.Instance(node), Partitions: benchPartitions,
		Ring: func() *ring.Ring { return x.ring }, Now: time.Now,
		Incarnation: func() uint64 { return uint64(node) },
	}, store, replica.Past{Stop: replica.StopNone}, zap.NewNop())
	if err != nil {
		x.b.Fatal(err)
	}
	r.Confirm(kv.VerdictConfirmed)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = store.Run(ctx) })
	x.b.Cleanup(func() {
		cancel()
		running.Wait()
		_ = store.Close()
	})
	for p := range uint16(benchPartitions) {
		if err := r.RebuildTree(ctx, p); err != nil {
			x.b.Fatal(err)
		}
	}
	return r
}

// put stores keys at a replica, many at a time.
func (x *bench) put(r *replica.Replica, node kv.NodeID, from, to int) {
	x.b.Helper()
	value := make([]byte, benchValue)
	open := make(chan struct{}, 256)
	var failed atomic.Int64
	for i := from; i < to; i++ {
		key := fmt.Appendf(nil, "bench/key-%09d", i)
		p := x.ring.PartitionOf(1, key)
		open <- struct{}{}
		r.Store(replica.StoreRequest{
			StoreRequest: &wire.StoreRequest{
				Target: wire.Target{
					Bucket: 1, Partition: p, Key: key, Placement: x.ring.Placement(p).Version,
					Instance: x.ring.Instance(node),
				},
				Role: kv.RoleOwner, Class: kv.ClassReplicated,
				Object: version(nodeC, uint64(i+1), string(value)),
			},
			Done: func(reply wire.StoreReply) {
				if reply.Code != wire.ReplicaOK {
					failed.Add(1)
				}
				<-open
			},
		})
	}
	for range cap(open) {
		open <- struct{}{}
	}
	if n := failed.Load(); n > 0 {
		x.b.Fatalf("%d keys were not stored", n)
	}
}

// all compares every partition until all are settled, as many at a time as Run does, and
// returns how long that took.
func (x *bench) all() time.Duration {
	x.b.Helper()
	began := time.Now()
	var working sync.WaitGroup
	todo := make(chan uint16, benchPartitions)
	for p := range uint16(benchPartitions) {
		todo <- p
	}
	close(todo)
	for range x.cfg.AtOnce {
		working.Go(func() {
			for p := range todo {
				for tries := 0; ; tries++ {
					outcome, err := x.compare(context.Background(), pair{p, nodeB}, true)
					if outcome.settled() {
						break
					}
					if tries == 100 || outcome != Unfinished {
						x.b.Errorf("partition %d: %v, %v", p, outcome, err)
						break
					}
				}
			}
		})
	}
	working.Wait()
	return time.Since(began)
}

func (x *bench) report(took time.Duration) {
	x.b.ReportMetric(float64(x.net.bytes.Load())/benchPartitions, "wire-B/pair")
	x.b.ReportMetric(float64(x.net.bytes.Load())/(1<<20), "wire-MiB")
	x.b.ReportMetric(float64(x.net.calls.Load()), "calls")
	x.b.ReportMetric(float64(x.reads.Load()), "engine-reads")
	x.b.ReportMetric(took.Seconds(), "s")
}

// forget begins to count anew.
func (x *bench) forget() {
	x.net.bytes.Store(0)
	x.net.calls.Store(0)
	x.reads.Store(0)
}

// BenchmarkInSync is what it costs that nothing differs.
func BenchmarkInSync(b *testing.B) {
	x := newBench(b)
	x.put(x.a, nodeA, 0, benchKeys())
	x.put(x.z, nodeB, 0, benchKeys())
	for b.Loop() {
		x.forget()
		x.report(x.all())
	}
}

// BenchmarkThousandDiffer has 500 keys missing on each side.
func BenchmarkThousandDiffer(b *testing.B) {
	x := newBench(b)
	n := benchKeys()
	x.put(x.a, nodeA, 0, n)
	x.put(x.z, nodeB, 0, n)
	for b.Loop() {
		b.StopTimer()
		x.put(x.a, nodeA, n, n+500)
		x.put(x.z, nodeB, n+500, n+1000)
		n += 1000
		x.forget()
		b.StartTimer()
		x.report(x.all())
	}
}

// BenchmarkFill brings everything to a replica that has nothing.
func BenchmarkFill(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		x := newBench(b)
		x.put(x.z, nodeB, 0, benchKeys())
		b.StartTimer()
		took := x.all()
		x.report(took)
		b.ReportMetric(float64(benchKeys())/took.Seconds(), "keys/s")
		if n := x.Counters().Repaired(); n != uint64(benchKeys()) {
			b.Errorf("%d keys of %d have come", n, benchKeys())
		}
	}
}
