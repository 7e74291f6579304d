// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/wire"
	"go.uber.org/zap"
)

// PeerConfig says how a node keeps its connections to another.
type PeerConfig struct {
	// Addr is where the other node listens.
	Addr string
	// Conns is how many connections are kept, 1 to 16. One batches best; more help
	// where one core can not keep up with a connection.
	Conns int
	// Dial opens a connection. Bounded by DialTimeout.
	Dial Dialer
	// DialTimeout bounds each step of connecting: dial, TLS handshake, hello.
	DialTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause between attempts to connect.
	BackoffMin, BackoffMax time.Duration
	// TLS is this node's side of TLS; nil: plain TCP.
	TLS *tls.Config
	// Hello speaks first on each connection.
	Hello Hello
	// Client is how each connection behaves.
	Client ClientConfig
}

const maxPeerConns = 16

// DefaultPeerConfig leaves Addr, Dial and Hello to be set.
func DefaultPeerConfig() PeerConfig {
	return PeerConfig{
		Conns:       1,
		DialTimeout: dialTimeout,
		BackoffMin:  50 * time.Millisecond,
		BackoffMax:  5 * time.Second,
		Client:      DefaultPeerClientConfig(),
	}
}

// Validate returns all that is wrong with c, joined.
func (c PeerConfig) Validate() error {
	errs := []error{c.Client.Validate()}
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("rpc: "+format, args...))
		}
	}
	check(c.Addr != "", "peer has no address")
	check(c.Conns >= 1 && c.Conns <= maxPeerConns,
		"peer Conns is %d, must be 1 to %d", c.Conns, maxPeerConns)
	check(c.Dial != nil, "peer has no dialer")
	check(c.Hello != nil, "peer has no hello")
	check(c.DialTimeout > 0, "peer DialTimeout is %v, must be positive", c.DialTimeout)
	check(c.BackoffMin > 0 && c.BackoffMin <= c.BackoffMax,
		"peer backoff is %v to %v, must be positive and in order", c.BackoffMin, c.BackoffMax)
	return errors.Join(errs...)
}

// Peer is another node, as seen from this one: a few connections that are dialed
// again whenever they end. While there is none, calls fail at once.
type Peer struct {
	// Immutable after New.
	cfg PeerConfig
	log *zap.Logger
	// kick ends the pause of a keeper. Size 1 each: a token that is there already
	// says the same.
	kicks []chan struct{}

	mu sync.Mutex // guards what follows
	// rand is for the jitter of the pauses.
	rand *rand.Rand
	// live holds the connections that are up; nil where a keeper has none.
	live []*liveConn
	// turn is which of them has the next call.
	turn int
}

// liveConn is a connection after its hello.
type liveConn struct {
	client  *Client
	version uint16
}

// NewPeer returns a peer that has no connection before [Peer.Run] runs. It owns r.
func NewPeer(cfg PeerConfig, r *rand.Rand, log *zap.Logger) (*Peer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Peer{
		cfg:  cfg,
		log:  log.With(zap.String("peer-addr", cfg.Addr)),
		rand: r,
		live: make([]*liveConn, cfg.Conns),
	}
	for range cfg.Conns {
		p.kicks = append(p.kicks, make(chan struct{}, 1))
	}
	return p, nil
}

// Run keeps the connections until ctx ends. When it returns they are closed, all
// their calls are completed, and it returns nil.
func (p *Peer) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for i := range p.kicks {
		wg.Go(func() { p.keep(ctx, i) })
	}
	wg.Wait()
	return nil
}

// Up reports whether a call would find a connection now.
func (p *Peer) Up() bool {
	_, ok := p.pick()
	return ok
}

// Version is that of a connection that is up; ok is false where there is none.
func (p *Peer) Version() (version uint16, ok bool) {
	l, ok := p.pick()
	if !ok {
		return 0, false
	}
	return l.version, true
}

// Kick dials at once where a keeper is in its pause: to be called when something
// else has heard from the node.
func (p *Peer) Kick() {
	for _, k := range p.kicks {
		signal(k)
	}
}

// AppendParams appends one MessagePack value to dst, as the version has it that
// the connection speaks. It must only append: the connection is locked meanwhile.
type AppendParams func(dst []byte, version uint16) []byte

// Go is [Client.Go] on one of the connections. Where there is none done is called
// at once, with an error that wraps ErrNotSent and ErrDown.
func (p *Peer) Go(method string, params AppendParams, deadline time.Time, done Done) {
	l, ok := p.pick()
	if !ok {
		done(nil, errDown)
		return
	}
	l.client.Go(method, func(dst []byte) []byte {
		return params(dst, l.version)
	}, deadline, done)
}

// Call is [Client.Call] on one of the connections. Where there is none it fails at
// once, with an error that wraps ErrNotSent and ErrDown.
func (p *Peer) Call(ctx context.Context, method string, params AppendParams) ([]byte, error) {
	l, ok := p.pick()
	if !ok {
		return nil, errDown
	}
	return l.client.Call(ctx, method, func(dst []byte) []byte {
		return params(dst, l.version)
	})
}

var errDown = notSent(ErrDown)

// pick returns the connection whose turn it is.
func (p *Peer) pick() (liveConn, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.live {
		p.turn = (p.turn + 1) % len(p.live)
		if l := p.live[p.turn]; l != nil && !isClosed(l.client.Ended()) {
			return *l, true
		}
	}
	return liveConn{}, false
}

// keep holds connection i up until ctx ends.
func (p *Peer) keep(ctx context.Context, i int) {
	b := backoff{shortest: p.cfg.BackoffMin, longest: p.cfg.BackoffMax}
	for ctx.Err() == nil {
		began := time.Now()
		wasUp, err := p.connect(ctx, i)
		if ctx.Err() != nil {
			return
		}
		if wasUp && time.Since(began) > p.cfg.BackoffMax {
			b.reset() // it was worth having
		}
		p.mu.Lock()
		pause := b.next(p.rand)
		p.mu.Unlock()
		p.noteEnd(wasUp, pause, err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-p.kicks[i]:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

func (p *Peer) noteEnd(wasUp bool, pause time.Duration, err error) {
	fields := []zap.Field{zap.Duration("again-in", pause), zap.Error(err)}
	var remote *RemoteError
	switch {
	case wasUp:
		p.log.Info("peer connection lost", fields...)
	case errors.Is(err, ErrIncompatible), errors.As(err, &remote):
		p.log.Warn("peer refused", fields...)
	default:
		p.log.Debug("peer not reached", fields...)
	}
}

// connect opens connection i and serves it until it ends. wasUp says whether it
// came past its hello.
func (p *Peer) connect(ctx context.Context, i int) (wasUp bool, err error) {
	nc, err := p.dial(ctx)
	if err != nil {
		return false, err
	}
	client, err := NewClient(nc, p.cfg.Client, p.log)
	if err != nil {
		_ = nc.Close() // the configuration is the error to tell
		return false, err
	}
	ended := make(chan error, 1) // Run ends once
	go func() { ended <- client.Run(ctx) }()
	version, err := p.hello(ctx, client)
	if err != nil {
		client.Close()
		<-ended
		return false, err
	}
	p.setLive(i, &liveConn{client: client, version: version})
	p.log.Info("peer connected", zap.Uint16("version", version))
	err = <-ended
	p.setLive(i, nil)
	return true, err
}

func (p *Peer) setLive(i int, l *liveConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live[i] = l
}

func (p *Peer) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.DialTimeout)
	defer cancel()
	nc, err := p.cfg.Dial(ctx, p.cfg.Addr)
	if err != nil || p.cfg.TLS == nil {
		return nc, err
	}
	t := tls.Client(nc, p.cfg.TLS)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = nc.Close() // the handshake is the error to tell
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return t, nil
}

func (p *Peer) hello(ctx context.Context, c *Client) (uint16, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.DialTimeout)
	defer cancel()
	result, err := c.Call(ctx, wire.MethodPeerHello, p.cfg.Hello.AppendHello)
	if err != nil {
		return 0, fmt.Errorf("hello: %w", err)
	}
	version, err := p.cfg.Hello.CheckHello(result)
	if err != nil {
		return 0, fmt.Errorf("hello: %w", err)
	}
	return version, nil
}
