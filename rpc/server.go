// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

const (
	// keepAlive* are how TCP finds out that the other side is gone: asked after
	// 60 s of silence, closed after two missed answers.
	keepAliveIdle     = 60 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 2

	handshakeTimeout = 5 * time.Second
	// noticesPerSecond and noticesBurst bound what strangers can write to the log.
	noticesPerSecond = 1
	noticesBurst     = 5
	// acceptPause* bound the pause after a failed accept, such as one for want of
	// file descriptors.
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// AuthLimits bounds a connection that has not authenticated.
type AuthLimits struct {
	// Message is the longest message, in bytes, until then. Calls come one by one.
	Message int
	// Timeout is how long the other side may take to authenticate.
	Timeout time.Duration
}

// ServerConfig says how a server treats its connections.
type ServerConfig struct {
	Limits Limits
	// Conns is how many connections may be open; one more is closed at once. An
	// idle connection costs two goroutines and about 12 KiB, and each may have
	// Limits.InFlight calls open, so that a thousand are more than a node can serve
	// at once; the number only bounds what strangers can hold.
	Conns int
	// Held is how many bytes all connections together may hold beside their open calls:
	// long messages that are half read, and answers that nobody has read yet. Each has
	// bounds of its own, but a thousand of them are more than a machine has. Above it the
	// connection that holds most is closed. At least Limits.Message.
	Held int
	// Auth restricts connections until [ServerConn.Lift]. nil: never.
	Auth *AuthLimits
	// AnswerPing answers wire.MethodPeerPing before the handler sees it, also while
	// draining and outside the window. On the client port ping is a method as any.
	AnswerPing bool
	// TLS is the server's side of TLS; nil: plain TCP.
	TLS *tls.Config
}

// DefaultConns is the default of [ServerConfig.Conns].
const DefaultConns = 1024

// DefaultHeld is the default of [ServerConfig.Held].
const DefaultHeld = 512 << 20

// DefaultServerConfig is that of the client port, without authentication and TLS.
func DefaultServerConfig() ServerConfig {
	return ServerConfig{Limits: ClientPortLimits(), Conns: DefaultConns, Held: DefaultHeld}
}

// DefaultPeerServerConfig is that of the peer port, without TLS.
func DefaultPeerServerConfig() ServerConfig {
	return ServerConfig{
		Limits: PeerLimits(), Conns: DefaultConns, Held: DefaultHeld, AnswerPing: true,
	}
}

// Validate returns all that is wrong with c, joined.
func (c ServerConfig) Validate() error {
	errs := []error{c.Limits.Validate()}
	if c.Conns < 1 {
		errs = append(errs, fmt.Errorf("rpc: Conns is %d, must be at least 1", c.Conns))
	}
	if c.Held < max(1, c.Limits.Message) {
		errs = append(errs, fmt.Errorf("rpc: Held is %d, must be at least Message, %d",
			c.Held, c.Limits.Message))
	}
	if a := c.Auth; a != nil && (a.Message < 1 || a.Message > c.Limits.Message || a.Timeout <= 0) {
		errs = append(errs, fmt.Errorf(
			"rpc: Auth is %d bytes and %v, must be 1 to %d bytes and a positive time",
			a.Message, a.Timeout, c.Limits.Message))
	}
	return errors.Join(errs...)
}

// Server answers MessagePack-RPC requests on any number of listeners.
type Server struct {
	// Immutable after New.
	cfg     ServerConfig
	handler Handler
	log     *zap.Logger
	notices *rate.Limiter
	buffers buffers
	held    atomic.Int64 // sum of the connections' counted
	refused refusals

	mu sync.Mutex // guards what follows
	// conns holds the open connections and the listener that each came from.
	conns     map[*ServerConn]net.Listener
	listeners map[net.Listener]struct{}
	draining  bool
	numbers   uint64
	// emptied is closed when the server drains and no connection is left.
	emptied chan struct{}
}

// NewServer returns a server that calls h for each request. It starts nothing.
func NewServer(cfg ServerConfig, h Handler, log *zap.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Server{
		cfg:       cfg,
		handler:   h,
		log:       log,
		notices:   rate.NewLimiter(noticesPerSecond, noticesBurst),
		conns:     make(map[*ServerConn]net.Listener),
		listeners: make(map[net.Listener]struct{}),
		emptied:   make(chan struct{}),
	}, nil
}

// Serve accepts connections until ctx ends or [Server.Shutdown] is called, and
// returns when each of them has ended; then it returns nil. Where ctx ends, they
// are closed at once. It owns the listener and closes it. Calls that are open when
// their connection is closed belong to the handler; answers to them are dropped.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !s.addListener(ln) {
		return ln.Close()
	}
	defer s.removeListener(ln)
	var watcher, conns sync.WaitGroup
	watcher.Go(func() { s.closeAtEnd(ctx, ln) })
	err := s.accept(ctx, &conns, ln)
	if err != nil {
		cancel()
	}
	conns.Wait()
	cancel()
	watcher.Wait()
	return err
}

// accept starts a goroutine for each connection, until there will be no more.
func (s *Server) accept(ctx context.Context, conns *sync.WaitGroup, ln net.Listener) error {
	pause := acceptPauseMin
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = acceptPauseMin
			s.start(ctx, conns, ln, nc)
			continue
		case s.isDraining() || ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("rpc: listener %v was closed by another: %w", ln.Addr(), err)
		}
		s.log.Warn("accept failed", zap.Stringer("addr", ln.Addr()), zap.Error(err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, acceptPauseMax)
	}
}

// closeAtEnd closes the listener and its connections when ctx ends.
func (s *Server) closeAtEnd(ctx context.Context, ln net.Listener) {
	<-ctx.Done()
	_ = ln.Close() // closed already where the server drains
	for _, c := range s.snapshot(ln) {
		c.fail(ErrClosed)
	}
}

// start serves one accepted connection on a goroutine of its own.
func (s *Server) start(ctx context.Context, wg *sync.WaitGroup, ln net.Listener, nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		// A socket that takes no options fails its first read or write.
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{
			Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount,
		})
	}
	remote := zap.Stringer("remote-addr", nc.RemoteAddr())
	if s.cfg.TLS != nil {
		nc = tls.Server(nc, s.cfg.TLS)
	}
	c := newServerConn(s, nc)
	if fault := s.add(ctx, c, ln); fault != "" {
		_ = nc.Close() // it was never used
		if s.notices.Allow() {
			s.log.Info("connection refused", remote, zap.String("reason", fault))
		}
		return
	}
	wg.Go(func() {
		defer s.remove(c)
		if err := handshake(ctx, nc); err != nil {
			c.fail(err)
			s.noteEnd(remote, fmt.Errorf("%w: TLS handshake: %w", ErrProtocol, err))
			return
		}
		c.run(ctx)
		s.noteEnd(remote, c.reason())
	})
}

// handshake shakes hands where the connection is one of TLS.
func handshake(ctx context.Context, nc net.Conn) error {
	t, ok := nc.(interface{ HandshakeContext(context.Context) error })
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	return t.HandshakeContext(ctx)
}

// noteEnd logs why a connection ended: what an operator may have to look at at
// info, as often as the bound allows, the rest at debug.
func (s *Server) noteEnd(remote zap.Field, why error) {
	var foreign *foreignError
	switch {
	case errors.As(why, &foreign):
		s.refused.foreign.Add(1)
		if s.notices.Allow() {
			s.log.Info("foreign connection closed", remote, zap.String("hint", foreign.hint()),
				zap.Error(why))
		}
	case errors.Is(why, ErrSlowConsumer), errors.Is(why, ErrProtocol), isScanError(why),
		errors.Is(why, errNotAuthenticated), errors.Is(why, errHeldTooMuch):
		s.refused.note(why)
		if s.notices.Allow() {
			s.log.Info("connection closed for a fault of the other side", remote, zap.Error(why))
		}
	default:
		s.log.Debug("connection ended", remote, zap.Error(why))
	}
}

// Shutdown drains: it closes the listeners, answers new requests SHUTTING_DOWN,
// and closes each connection when its open calls are answered. Handlers must
// answer their parked calls by themselves. When ctx ends first, what is still open
// is closed at once and ctx's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	emptied := s.beginDrain()
	for _, c := range s.snapshot(nil) {
		c.finish(closingQuiet)
	}
	select {
	case <-emptied:
		return nil
	case <-ctx.Done():
	}
	for _, c := range s.snapshot(nil) {
		c.fail(ErrClosed)
	}
	<-emptied // at once: a handler on the reader's goroutine heeds its ctx
	return ctx.Err()
}
