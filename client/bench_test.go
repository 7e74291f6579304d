// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// loopback is a client of a node on a real socket that answers each request with the same
// bytes.
func loopback(b *testing.B) *Client {
	b.Helper()
	answers := map[string][]byte{
		wire.MethodHello: wire.AppendHelloResult(nil, &wire.HelloResult{
			Proto: 1, Node: "n1", Cluster: testCluster, Limits: wire.DefaultLimits(),
		}),
		wire.MethodGet: wire.AppendGetResult(nil, &wire.GetResult{
			Found: true, Siblings: []wire.Sibling{{Value: make([]byte, 100), TimestampMS: 1}},
			Context: make([]byte, 30),
		}),
		wire.MethodPut: wire.AppendPutResult(nil, &wire.PutResult{
			SiblingCount: 1, Context: make([]byte, 30),
		}),
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	f := &fake{nodes: []*fakeNode{{name: "n1", addr: ln.Addr().String()}}, cluster: testCluster}
	info := f.info()
	answers[wire.MethodClusterInfo] = wire.AppendClusterInfoResult(nil, &info)
	handle := func(_ context.Context, call *rpc.Call) {
		call.Reply(func(dst []byte) []byte { return append(dst, answers[string(call.Method)]...) })
	}
	srv, err := rpc.NewServer(rpc.DefaultServerConfig(), rpc.HandlerFunc(handle), zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, ln) }()
	cfg := DefaultConfig()
	cfg.Endpoints = []string{ln.Addr().String()}
	c, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		c.Close()
		stop()
		if err := <-served; err != nil {
			b.Error(err)
		}
	})
	return c
}

// benchmark runs op on many goroutines, as a load generator does. Allocations are those of
// both sides; the answering one has two per request.
func benchmark(b *testing.B, op func(*Bucket, []byte) error) {
	bucket := loopback(b).Bucket("default")
	if err := op(bucket, []byte("first")); err != nil {
		b.Fatal(err)
	}
	var failed atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(p *testing.PB) {
		key := []byte("key-of-a-usual-length")
		for p.Next() {
			if op(bucket, key) != nil {
				failed.Add(1)
			}
		}
	})
	if n := failed.Load(); n != 0 {
		b.Errorf("%d requests failed", n)
	}
}

func BenchmarkGet(b *testing.B) {
	benchmark(b, func(bucket *Bucket, key []byte) error {
		_, err := bucket.Get(context.Background(), key)
		return err
	})
}

func BenchmarkPut(b *testing.B) {
	value := make([]byte, 100)
	benchmark(b, func(bucket *Bucket, key []byte) error {
		_, err := bucket.Put(context.Background(), key, value, WithContext(key), WithW(Quorum))
		return err
	})
}

// BenchmarkRPC is the floor: the same exchange on a connection of the client.
func BenchmarkRPC(b *testing.B) {
	benchmark(b, func(bucket *Bucket, key []byte) error {
		l := bucket.client.endpoints[0].conns[0].up()
		if l == nil {
			_, err := bucket.Get(context.Background(), key)
			return err
		}
		_, err := l.rpc.Call(context.Background(), wire.MethodGet, func(dst []byte) []byte {
			return wire.AppendGetRequest(dst, &wire.GetRequest{Key: key})
		})
		return err
	})
}
