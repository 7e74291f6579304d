// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
)

// cpuTime is what this process has used, in user and kernel mode.
func cpuTime(tb testing.TB) time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// echo answers with the params.
func echo(_ context.Context, call *Call) {
	call.Reply(func(dst []byte) []byte { return append(dst, call.Params...) })
}

// startTCP serves h on a loopback socket and returns a client of it.
func startTCP(tb testing.TB, h HandlerFunc) *Client {
	tb.Helper()
	srv, err := NewServer(DefaultPeerServerConfig(), h, zap.NewNop())
	if err != nil {
		tb.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() {
		if err := srv.Serve(ctx, ln); err != nil {
			tb.Error(err)
		}
	})
	var d net.Dialer
	c, stop, err := Dial(ctx, func(ctx context.Context, addr string) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", addr)
	}, ln.Addr().String(), DefaultPeerClientConfig(), zap.NewNop())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		stop()
		cancel()
		served.Wait()
	})
	return c
}

// value is a params of 1 KiB: an array of one bin.
func value() []byte {
	v := append([]byte{0x91, 0xc5, 0x04, 0x00}, make([]byte, 1024)...)
	return v
}

// BenchmarkEcho is one call with 1 KiB both ways over loopback TCP, client and
// server in this process, through the scan and the header code.
// BenchmarkEcho calls, BenchmarkEchoGo uses completions instead of goroutines.
func BenchmarkEcho(b *testing.B) {
	for _, inFlight := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("inflight=%d", inFlight), func(b *testing.B) {
			benchEcho(b, inFlight, echo)
		})
	}
	b.Run("handler=goroutine/inflight=64", func(b *testing.B) {
		benchEcho(b, 64, func(ctx context.Context, call *Call) { go echo(ctx, call) })
	})
}

func benchEcho(b *testing.B, inFlight int, h HandlerFunc) {
	c := startTCP(b, h)
	params := value()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	began := cpuTime(b)
	for range inFlight {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				_, err := c.Call(ctx, "echo", func(dst []byte) []byte { return append(dst, params...) })
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-began)/1e3/float64(b.N), "cpu-µs/op")
}

func BenchmarkEchoGo(b *testing.B) {
	for _, inFlight := range []int{64, 256} {
		b.Run(fmt.Sprintf("inflight=%d", inFlight), func(b *testing.B) {
			c := startTCP(b, echo)
			params := value()
			window := make(chan struct{}, inFlight)
			done := func(_ []byte, err error) {
				if err != nil {
					b.Error(err)
				}
				<-window
			}
			b.ReportAllocs()
			b.ResetTimer()
			began := cpuTime(b)
			for range b.N {
				window <- struct{}{}
				c.Go("echo", func(dst []byte) []byte { return append(dst, params...) },
					time.Now().Add(time.Minute), done)
			}
			for range inFlight {
				window <- struct{}{}
			}
			b.StopTimer()
			b.ReportMetric(float64(cpuTime(b)-began)/1e3/float64(b.N), "cpu-µs/op")
		})
	}
}
