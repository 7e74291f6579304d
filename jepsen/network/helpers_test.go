// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers what connections send with the same, until the test ends.
func echo(t testing.TB, l net.Listener) {
	ended := make(chan struct{})
	conns := make(chan net.Conn, 100)
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
		for close(conns); ; {
			c, ok := <-conns
			if !ok {
				return
			}
			_ = c.Close()
		}
	})
}

func dial(t testing.TB, n Network, k int, addr string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := n.Dial(ctx, k, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// roundTrip sends a byte and waits for it to come back.
func roundTrip(c net.Conn, within time.Duration) (time.Duration, error) {
	began := time.Now()
	if err := c.SetDeadline(began.Add(within)); err != nil {
		return 0, err
	}
	b := []byte{1}
	if _, err := c.Write(b); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(c, b)
	return time.Since(began), err
}

func set(t testing.TB, n Network, from, to int, r Rule) {
	t.Helper()
	if err := n.Set(from, to, r); err != nil {
		t.Fatal(err)
	}
}
