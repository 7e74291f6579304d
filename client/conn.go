// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// conn is one of the connections that a node may have. A keeper opens it, and serves it
// until it ends; then the next request opens it again, and where that fails, bringBack.
type conn struct {
	node *node
	// live is the connection after its hello; it may have ended a moment ago.
	live atomic.Pointer[link]

	// What follows is guarded by the node's mu.

	opening *opening // nil where no keeper is opening it
	// refused is why the last attempt to open it failed, since when, and until when no
	// other is made: by the background, see open for requests.
	refused error
	since   time.Time
	until   time.Time
	fails   int // attempts in a row that failed
	briefs  int // connections in a row that did not last
}

// opening is an attempt to connect. link and err are set when done is closed.
type opening struct {
	conn  *conn
	began time.Time
	done  chan struct{}
	link  *link
	err   error
}

// link is a connection that is up.
type link struct {
	node     *node
	rpc      *rpc.Client
	limits   wire.Limits
	features []string
	// window has a token for each request under way. Its size is what the node reads
	// from one connection: beyond it a request waits here, where it can still go
	// elsewhere.
	window chan struct{}
	// parked has one for each request that the node keeps outside of that window.
	parked chan struct{}
}

// maxParked is how many requests a node keeps outside of a connection's window.
const maxParked = 10_000

// spareCalls is how many calls beside the window a connection takes: pings.
const spareCalls = 4

// up is the connection, where it is up.
func (s *conn) up() *link {
	l := s.live.Load()
	if l == nil {
		return nil
	}
	select {
	case <-l.rpc.Ended():
		return nil
	default:
		return l
	}
}

// open begins to connect, or joins the attempt that is under way. Where the last one
// failed a moment ago it returns why. A node that is out of reach is asked where there is
// nobody else: then it is worth another attempt before the background's pause is over.
func (s *conn) open() (*opening, error) {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	if s.opening != nil {
		return s.opening, nil
	}
	now := time.Now()
	urgent := s.node.unreached.Load() && now.Sub(s.since) >= redialUrgent
	if s.refused != nil && now.Before(s.until) && !urgent {
		return nil, s.refused
	}
	o := &opening{conn: s, began: now, done: make(chan struct{})}
	if !s.node.client.start(func() { s.keep(o) }) {
		return nil, ErrClosed
	}
	s.opening = o
	return o, nil
}

// keep opens the connection and serves it until it ends.
func (s *conn) keep(o *opening) {
	c := s.node.client
	nc, err := c.dial(c.life, s.node.addr)
	if err != nil {
		s.settle(o, nil, fmt.Errorf("connect to %s: %w", s.node.addr, err))
		return
	}
	client, err := rpc.NewClient(nc, rpcConfig(), c.log)
	if err != nil {
		_ = nc.Close() // the configuration is the error to tell
		s.settle(o, nil, err)
		return
	}
	var l *link // set before Run returns, if at all
	client.Go(wire.MethodHello, c.appendHello, time.Now().Add(c.cfg.DialTimeout),
		func(result []byte, err error) {
			l, err = s.greeted(client, result, err)
			if err != nil {
				client.Close()
			}
			s.settle(o, l, err)
			if s.node.retired.Load() {
				client.Close() // while it was opened
			}
		})
	began := time.Now()
	err = client.Run(c.life)
	s.ended(l, began, err)
}

// greeted reads the answer to hello.
func (s *conn) greeted(client *rpc.Client, result []byte, err error) (*link, error) {
	var hello wire.HelloResult
	if err == nil {
		err = wire.DecodeHelloResult(result, &hello)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: hello: %w", s.node.addr, err)
	}
	c := s.node.client
	if hello.Cluster != "" {
		c.cluster.CompareAndSwap(nil, &hello.Cluster)
		if first := c.cluster.Load(); *first != hello.Cluster {
			return nil, fmt.Errorf("connect to %s: it belongs to cluster %s, but this client "+
				"is connected to %s; make another for another cluster", s.node.addr,
				hello.Cluster, *first)
		}
	}
	s.node.told.Store(&hello.Node)
	c.learn(hello.RingVersion, s.node)
	limits := limitsOr(hello.Limits, wire.DefaultLimits())
	return &link{
		node: s.node, rpc: client, limits: limits, features: hello.Features,
		window: make(chan struct{}, min(limits.InFlight, wire.MaxInFlight)),
		parked: make(chan struct{}, maxParked),
	}, nil
}

// limitsOr is l, with the limits of def where l has none.
func limitsOr(l, def wire.Limits) wire.Limits {
	or := func(l *uint32, def uint32) {
		if *l == 0 {
			*l = def
		}
	}
	or(&l.Message, def.Message)
	or(&l.Value, def.Value)
	or(&l.Key, def.Key)
	or(&l.Bucket, def.Bucket)
	or(&l.Context, def.Context)
	or(&l.Depth, def.Depth)
	or(&l.List, def.List)
	or(&l.InFlight, def.InFlight)
	return l
}

// settle ends an attempt to connect, and tells those who wait for it.
func (s *conn) settle(o *opening, l *link, err error) {
	if err != nil {
		s.refuse(&s.fails, 0, err)
		s.node.client.log.Debug("node not reached", zap.String("addr", s.node.addr), zap.Error(err))
	} else {
		s.node.client.log.Debug("node connected", zap.String("addr", s.node.addr))
	}
	s.node.mu.Lock()
	s.opening = nil
	s.node.unreached.Store(err != nil)
	if err == nil {
		s.refused, s.fails = nil, 0
		s.live.Store(l)
	}
	s.node.mu.Unlock()
	o.link, o.err = l, err
	close(o.done)
	if err != nil {
		s.node.seek()
	}
}

// refuse keeps others from connecting for a while, that grows with the count. The first
// few times in a row are free.
func (s *conn) refuse(count *int, free int, err error) {
	s.node.mu.Lock()
	n := *count
	*count++
	s.node.mu.Unlock()
	if n < free {
		return
	}
	pause := s.node.client.pause(n-free, redialMin, redialMax)
	s.node.mu.Lock()
	s.refused, s.since = err, time.Now()
	s.until = s.since.Add(pause)
	s.node.mu.Unlock()
}

const (
	// redialMin and redialMax bound the pause between attempts to connect, doubled.
	redialMin = 20 * time.Millisecond
	redialMax = 2 * time.Second
	// redialUrgent is the longest pause where requests have nobody else to ask.
	redialUrgent = 250 * time.Millisecond
)

// ended takes note that the connection is gone. One that lasted is opened again at once,
// and so is the first that did not: the request that it lost has to come back to the same
// node, if that is still there.
func (s *conn) ended(l *link, began time.Time, err error) {
	c := s.node.client
	if l == nil || c.life.Err() != nil {
		return // it never came up, or the client closes it
	}
	s.live.CompareAndSwap(l, nil) // another keeper may have opened it again
	c.log.Debug("connection ended", zap.String("addr", s.node.addr), zap.Error(err))
	if time.Since(began) < redialMax {
		s.refuse(&s.briefs, 1, fmt.Errorf("connect to %s: it ended: %w", s.node.addr, err))
		return
	}
	s.node.mu.Lock()
	s.briefs = 0
	s.node.mu.Unlock()
}

// windowOf is the window that a request belongs to.
func (l *link) windowOf(q *call) chan struct{} {
	if q.parks {
		return l.parked
	}
	return l.window
}

// enter waits until the window has room, and takes some: a token, which the caller takes
// out again. The request was not sent where it fails.
func (l *link) enter(ctx context.Context, window chan struct{}, at time.Time) error {
	select {
	case window <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case window <- struct{}{}:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: the connection's window is full", rpc.ErrBusy)
	case <-l.rpc.Ended():
		return rpc.ErrHungUp
	case <-ctx.Done():
		return ctx.Err()
	}
}

func rpcConfig() rpc.ClientConfig {
	cfg := rpc.DefaultClientConfig()
	cfg.Limits.InFlight = wire.MaxInFlight + maxParked + spareCalls
	return cfg
}

// dial opens a connection, with TLS where that is on.
func (c *Client) dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	nc, err := c.cfg.Dial(ctx, addr)
	if err != nil || c.cfg.TLS == nil {
		return nc, err
	}
	cfg := c.cfg.TLS
	if cfg.ServerName == "" && !cfg.InsecureSkipVerify {
		cfg = cfg.Clone()
		cfg.ServerName, _, _ = net.SplitHostPort(addr) // an address without port was not dialed
	}
	t := tls.Client(nc, cfg)
	ctx, cancel = context.WithTimeout(c.life, c.cfg.DialTimeout)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		_ = nc.Close() // the handshake is the error to tell
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return t, nil
}

func (c *Client) appendHello(dst []byte) []byte {
	return wire.AppendHelloRequest(dst, &wire.HelloRequest{
		Client: c.cfg.Name, Version: libraryVersion, Proto: []uint32{wire.ProtoVersion},
	})
}

// libraryVersion is told to nodes, for their logs.
const libraryVersion = "1"
