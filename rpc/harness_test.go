// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/wire"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// rig is a server on host "s" of a network in memory. It must be made in a bubble.
type rig struct {
	t      testing.TB
	net    *memnet.Network
	srv    *Server
	logs   *observer.ObservedLogs
	stop   func()
	served sync.WaitGroup
	killed atomic.Bool
}

const serverAddr = "s:1"

func newRig(t testing.TB, cfg ServerConfig, h HandlerFunc) *rig {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	srv, err := NewServer(cfg, h, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, net: memnet.New(1), srv: srv, logs: logs}
	r.serve()
	t.Cleanup(func() {
		r.stop()
		r.served.Wait()
	})
	return r
}

func (r *rig) serve() {
	r.t.Helper()
	ln, err := r.net.Listen(serverAddr)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.served.Go(func() {
		if err := r.srv.Serve(ctx, ln); err != nil && !r.killed.Load() {
			r.t.Error(err)
		}
	})
}

// kill does to the server's host what the end of its process does.
func (r *rig) kill() {
	r.killed.Store(true)
	r.net.Kill("s")
}

// client runs a client on host "c" until the test ends.
func (r *rig) client(cfg ClientConfig) *Client {
	r.t.Helper()
	c, stop, err := Dial(context.Background(), r.net.Dialer("c"), serverAddr, cfg, zap.NewNop())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(stop)
	return c
}

// raw is a connection that speaks bytes.
type raw struct {
	t    testing.TB
	nc   net.Conn
	scan wire.Scanner
	buf  []byte
}

func (r *rig) raw() *raw {
	r.t.Helper()
	nc, err := r.net.Dial(context.Background(), "c", serverAddr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	return &raw{t: r.t, nc: nc}
}

func (c *raw) write(b []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

func (c *raw) request(id uint64, method string) {
	c.t.Helper()
	c.write(append(wire.AppendRequestHeader(nil, id, method), 0x90))
}

// response reads one message, for a minute of the bubble's time.
func (c *raw) response() wire.Header {
	c.t.Helper()
	h, err := c.tryResponse(time.Minute)
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	return h
}

func (c *raw) tryResponse(d time.Duration) (wire.Header, error) {
	c.t.Helper()
	_ = c.nc.SetReadDeadline(time.Now().Add(d))
	for {
		n, done, err := c.scan.Scan(c.buf)
		if err != nil {
			c.t.Fatalf("the server sent what the scan refuses: %v", err)
		}
		if done {
			msg := c.buf[:n]
			c.buf = c.buf[n:]
			h, err := wire.ParseHeader(msg)
			if err != nil {
				c.t.Fatalf("the server sent %x: %v", msg, err)
			}
			return h, nil
		}
		piece := make([]byte, 64<<10)
		n, err = c.nc.Read(piece)
		c.buf = append(c.buf, piece[:n]...)
		if n == 0 {
			return wire.Header{}, err
		}
	}
}

// wantError reads a response that carries an error with this id and code.
func (c *raw) wantError(id uint64, code string) {
	c.t.Helper()
	h := c.response()
	e := RemoteError{Text: string(h.Error)}
	if h.Type != wire.TypeResponse || h.MsgID != id || e.Code() != code {
		c.t.Fatalf("%v id=%d error=%q, want a response to %d with %s", h.Type, h.MsgID, h.Error, id, code)
	}
}

// wantEnd reads the end of the connection.
func (c *raw) wantEnd() {
	c.t.Helper()
	if h, err := c.tryResponse(time.Minute); err != io.EOF {
		c.t.Fatalf("%+v, %v, want the end of the connection", h, err)
	}
}

// testConfig is the client port's, with smaller numbers.
func testConfig() ServerConfig {
	cfg := DefaultServerConfig()
	cfg.Limits.InFlight = 4
	cfg.Limits.Parked = 8
	cfg.Limits.Message = 64 << 10
	cfg.Limits.Unsent = 256 << 10
	return cfg
}

// text appends a string value.
func text(s string) func([]byte) []byte {
	return func(dst []byte) []byte {
		dst = append(dst, 0xda, byte(len(s)>>8), byte(len(s)))
		return append(dst, s...)
	}
}
