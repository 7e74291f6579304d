// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Config bounds what the port takes in.
type Config struct {
	// HeadTimeout is how long a request's head may take, MaxHead how long it may be.
	HeadTimeout time.Duration
	MaxHead     int
	// AnswerTimeout is how long an answer may take, ProfileTimeout a profile: what is asked
	// to run for longer is refused.
	AnswerTimeout, ProfileTimeout time.Duration
	// IdleTimeout closes a connection on which nobody asks anything.
	IdleTimeout time.Duration
	// Conns is how many connections may be open; one more is closed at once.
	Conns int
	// EndTimeout is how long answers that are under way may still take when the node ends.
	EndTimeout time.Duration
}

// DefaultConfig has room for a few scrapers, probes, and somebody who looks for a fault.
func DefaultConfig() Config {
	return Config{
		HeadTimeout: 5 * time.Second, MaxHead: 16 << 10, AnswerTimeout: 10 * time.Second,
		ProfileTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, Conns: 64,
		EndTimeout: time.Second,
	}
}

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var faults []error
	if c.HeadTimeout <= 0 || c.AnswerTimeout <= 0 || c.IdleTimeout <= 0 || c.EndTimeout <= 0 ||
		c.ProfileTimeout < c.AnswerTimeout {
		faults = append(faults, fmt.Errorf("admin: times for a head %v, an answer %v, a profile %v, "+
			"between requests %v and to end %v must be above 0, a profile's not the shortest",
			c.HeadTimeout, c.AnswerTimeout, c.ProfileTimeout, c.IdleTimeout, c.EndTimeout))
	}
	if c.MaxHead < 1 || c.Conns < 1 {
		faults = append(faults, fmt.Errorf("admin: %d bytes of a head and %d connections must be "+
			"at least 1", c.MaxHead, c.Conns))
	}
	return errors.Join(faults...)
}

// Check is something that must be so for a node to serve.
type Check struct {
	Name  string
	Fault string // why it is not so; "" where it is
}

// Parts are what the server tells of.
type Parts struct {
	// Ready lists what must be so. It must be quick.
	Ready func() []Check
	// Metrics answers /metrics.
	Metrics http.Handler
}

// Server is the admin port of a node.
type Server struct {
	// Immutable after New.
	cfg     Config
	parts   Parts
	log     *zap.Logger
	handler http.Handler
}

// New returns a server. It starts nothing.
func New(cfg Config, parts Parts, log *zap.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, parts: parts, log: log}
	s.handler = s.routes()
	return s, nil
}

// Serve answers on ln until ctx ends. It owns ln.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	// A request outlives ctx by EndTimeout at most.
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var conns sync.WaitGroup
	h := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: s.cfg.HeadTimeout, ReadTimeout: s.cfg.HeadTimeout,
		WriteTimeout: s.cfg.ProfileTimeout, IdleTimeout: s.cfg.IdleTimeout,
		MaxHeaderBytes: s.cfg.MaxHead,
		BaseContext:    func(net.Listener) context.Context { return life },
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				conns.Done()
			}
		},
	}
	// What net/http has to say is of single strangers.
	h.ErrorLog, _ = zap.NewStdLogAt(s.log, zap.DebugLevel) // fails for unknown levels only
	ended := make(chan error, 1)                           // the one result of Serve
	go func() { ended <- h.Serve(&limited{Listener: ln, most: s.cfg.Conns}) }()
	var err error
	select {
	case err = <-ended:
		err = fmt.Errorf("admin: %w", err)
		cut()
		_ = h.Close() // the port is gone already
	case <-ctx.Done():
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.EndTimeout)
		if h.Shutdown(bound) != nil {
			cut()
			_ = h.Close() // what Shutdown has left
		}
		cancel()
		<-ended
	}
	conns.Wait()
	return err
}

// limited closes connections at once that are too many.
type limited struct {
	net.Listener
	most int

	mu   sync.Mutex // guards open; never held over a wait
	open int
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.enter() {
			return &counted{Conn: c, leave: sync.OnceFunc(l.leave)}, nil
		}
		_ = c.Close() // it was never used
	}
}

func (l *limited) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.most {
		return false
	}
	l.open++
	return true
}

func (l *limited) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
}

// counted is a connection that is counted until it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
