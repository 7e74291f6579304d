// SPDX-License-Identifier: Apache-2.0

package network

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// connect connects a client with a node, whose side of the connection it returns as well.
func connect(tb testing.TB, n *spaces) (client, server net.Conn) {
	tb.Helper()
	addr := net.JoinHostPort(n.Addr(0).String(), testPort)
	var l net.Listener
	if err := n.spaces[0].do(func() (err error) {
		l, err = net.Listen("tcp4", addr)
		return err
	}); err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	client = dial(tb, n, 0, addr)
	server, err := l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = server.Close() })
	return client, server
}

// BenchmarkSwitchThroughput sends in one direction over a healthy link.
func BenchmarkSwitchThroughput(b *testing.B) {
	for _, mode := range []Mode{ModeSwitch, ModeVeth} {
		b.Run(string(mode), func(b *testing.B) {
			n := testNetwork(b, mode, 1, 1)
			client, server := connect(b, n)
			chunk := make([]byte, 1<<20)
			b.SetBytes(int64(len(chunk)))
			done := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, server)
				done <- err
			}()
			for b.Loop() {
				if _, err := client.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			if err := client.Close(); err != nil {
				b.Fatal(err)
			}
			if err := <-done; err != nil { // all of it has arrived
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkSwitchDelay sends a byte there and back; one way is delayed. It reports by how
// much the round trip takes longer than that.
func BenchmarkSwitchDelay(b *testing.B) {
	for _, mode := range []Mode{ModeSwitch, ModeVeth} {
		for _, delay := range []time.Duration{0, 50 * time.Millisecond} {
			b.Run(string(mode)+"/"+delay.String(), func(b *testing.B) {
				n := testNetwork(b, mode, 1, 1)
				c := dial(b, n, 0, serve(b, n, 0))
				set(b, n, 1, 0, Rule{Delay: delay})
				var late []time.Duration
				for b.Loop() {
					took, err := roundTrip(c, 5*time.Second)
					if err != nil {
						b.Fatal(err)
					}
					late = append(late, took-delay)
				}
				slices.Sort(late)
				at := func(q float64) float64 {
					return float64(late[int(q*float64(len(late)-1))].Microseconds())
				}
				b.ReportMetric(at(0.5), "late-p50-µs")
				b.ReportMetric(at(0.99), "late-p99-µs")
				b.ReportMetric(at(1), "late-max-µs")
			})
		}
	}
}
