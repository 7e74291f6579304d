// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// The benchmarks count what a request costs three nodes and the bare client of package
// rpc together, which allocates twice for a call. -benchmem shows allocations.

func BenchmarkPut1KiB(b *testing.B) {
	client := benchCluster(b)
	value := make([]byte, 1024)
	var n atomic.Uint64
	b.ReportAllocs()
	b.ResetTimer()
	inParallel(b, func() error {
		key := fmt.Appendf(nil, "key-%d", n.Add(1))
		_, err := client.Call(context.Background(), wire.MethodPut, func(dst []byte) []byte {
			return wire.AppendPutRequest(dst, &wire.PutRequest{Key: key, Value: value})
		})
		return err
	})
}

// Each client overwrites a key of its own, whose versions the nodes remember.
func BenchmarkOverwrite1KiB(b *testing.B) {
	client := benchCluster(b)
	value := make([]byte, 1024)
	var n atomic.Uint64
	b.ReportAllocs()
	b.ResetTimer()
	b.SetParallelism(clients)
	b.RunParallel(func(pb *testing.PB) {
		key, seen := fmt.Appendf(nil, "key-%d", n.Add(1)), []byte(nil)
		for pb.Next() {
			answer, err := client.Call(context.Background(), wire.MethodPut, func(dst []byte) []byte {
				req := wire.PutRequest{Key: key, Value: value}
				req.Context = seen
				return wire.AppendPutRequest(dst, &req)
			})
			var done wire.PutResult
			if err == nil {
				err = wire.DecodePutResult(answer, &done)
			}
			if err != nil {
				b.Error(err)
				return
			}
			seen = done.Context
		}
	})
	b.StopTimer()
}

func BenchmarkGet1KiB(b *testing.B) {
	client := benchCluster(b)
	const keys = 1000
	for i := range keys {
		key := fmt.Appendf(nil, "key-%d", i)
		if _, err := client.Call(context.Background(), wire.MethodPut, func(dst []byte) []byte {
			return wire.AppendPutRequest(dst, &wire.PutRequest{Key: key, Value: make([]byte, 1024)})
		}); err != nil {
			b.Fatal(err)
		}
	}
	var n atomic.Uint64
	b.ReportAllocs()
	b.ResetTimer()
	inParallel(b, func() error {
		key := fmt.Appendf(nil, "key-%d", n.Add(1)%keys)
		_, err := client.Call(context.Background(), wire.MethodGet, func(dst []byte) []byte {
			return wire.AppendGetRequest(dst, &wire.GetRequest{Key: key})
		})
		return err
	})
}

// clients is how many goroutines call, for each processor that the run uses.
const clients = 32

// inParallel calls do b.N times, by many goroutines.
func inParallel(b *testing.B, do func() error) {
	b.SetParallelism(clients)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := do(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
}

func benchCluster(b *testing.B) *rpc.Client {
	b.Helper()
	cluster, err := Open(b.Context(), testConfig(b.TempDir()), zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- cluster.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	wait, done := context.WithTimeout(ctx, patience)
	defer done()
	if _, err := cluster.Ready(wait); err != nil {
		b.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", cluster.Members()[0].Client, 5*time.Second)
	if err != nil {
		b.Fatal(err)
	}
	client, err := rpc.NewClient(conn, rpc.DefaultClientConfig(), zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = client.Run(context.Background())
	}()
	b.Cleanup(func() {
		client.Close()
		<-closed
	})
	return client
}
