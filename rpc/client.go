// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/wire"
	"go.uber.org/zap"
)

// ClientConfig says how the calling end of a connection behaves.
type ClientConfig struct {
	// Limits of this end. Parked, Idle mean nothing here.
	Limits Limits
	// CallTimeout is how long a call may take whose context has no deadline.
	CallTimeout time.Duration
	// PingAfter is how long the other side may be silent before it is pinged. After
	// two pings without answer, each given as long, the connection is closed. 0:
	// never.
	PingAfter time.Duration
	// PingMethod is what is called then, without params: an answer of any kind, an
	// error included, is a sign of life.
	PingMethod string
}

// DefaultClientConfig is that of a client of the client port. The window is that
// of the server; a client that wants more opens another connection.
func DefaultClientConfig() ClientConfig {
	return ClientConfig{
		Limits:      ClientPortLimits(),
		CallTimeout: 10 * time.Second,
		PingAfter:   60 * time.Second,
		PingMethod:  wire.MethodPing,
	}
}

// DefaultPeerClientConfig is that of a node towards another.
func DefaultPeerClientConfig() ClientConfig {
	c := DefaultClientConfig()
	c.Limits = PeerLimits()
	c.PingMethod = wire.MethodPeerPing
	return c
}

// Validate returns all that is wrong with c, joined.
func (c ClientConfig) Validate() error {
	errs := []error{c.Limits.Validate()}
	if c.CallTimeout <= 0 {
		errs = append(errs, fmt.Errorf("rpc: CallTimeout is %v, must be positive", c.CallTimeout))
	}
	if c.PingAfter < 0 {
		errs = append(errs, fmt.Errorf("rpc: PingAfter is %v, must not be negative", c.PingAfter))
	}
	if c.PingAfter > 0 && c.PingMethod == "" {
		errs = append(errs, errors.New("rpc: PingAfter is set, but no PingMethod"))
	}
	return errors.Join(errs...)
}

// Done is told how a call went: the result, or an error that wraps ErrNotSent or
// ErrUnanswered, or is a *[RemoteError]. result is one raw MessagePack value and
// valid until Done returns. Done must not wait: it holds up the connection.
type Done func(result []byte, err error)

// Client is the calling end of one connection. Calls run side by side; answers
// come in any order, and so may the other side see the calls.
type Client struct {
	*link
	cfg    ClientConfig
	log    *zap.Logger
	reader *reader
	chunks assembler
	// sooner tells the watcher that a deadline before the armed one came. Size 1: a
	// token that is there already says the same.
	sooner chan struct{}

	// What follows is guarded by link.mu.

	calls pendingCalls
	// armed is when the watcher will look next; zero: not before it is told.
	armed time.Time
	// heard is how many messages have come, for the pings.
	heard uint64
	// waiters are idle ones of [Client.Call].
	waiters []*waiter
}

// maxIdleWaiters bounds what a burst of calls leaves behind.
const maxIdleWaiters = 256

// NewClient returns a client on nc, which it owns from here on. It starts nothing:
// calls are sent while [Client.Run] runs.
func NewClient(nc net.Conn, cfg ClientConfig, log *zap.Logger) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Client{
		link:   newLink(nc, cfg.Limits),
		cfg:    cfg,
		log:    log,
		chunks: assembler{limits: cfg.Limits.scan()},
		sooner: make(chan struct{}, 1),
		calls:  newPendingCalls(),
	}
	limits := cfg.Limits
	limits.Idle = 0 // silence of the other side is what pings are for
	c.reader = newReader(nc, limits, c.flushed)
	return c, nil
}

// Run serves the connection until ctx ends, [Client.Close] is called or the
// connection fails, and returns why. When it returns every call has been
// completed, each later one fails with ErrNotSent, and no goroutine is left.
func (c *Client) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(c.writeLoop)
	wg.Go(func() { c.watch(ctx) })
	c.fail(c.read())
	wg.Wait()
	c.abandonAll()
	return c.reason()
}

// Close ends the connection at once. It does not wait for Run.
func (c *Client) Close() { c.fail(ErrClosed) }

// Ended is closed when the connection has ended.
func (c *Client) Ended() <-chan struct{} { return c.done }

// read completes calls until the connection ends, and returns why it does.
func (c *Client) read() error {
	for {
		msg, err := c.reader.next()
		if err == nil {
			err = c.message(msg)
		}
		if errors.Is(err, io.EOF) {
			return ErrHungUp
		}
		if err != nil {
			return err
		}
	}
}

func (c *Client) message(msg []byte) error {
	h, err := wire.ParseHeader(msg)
	if err != nil {
		return err
	}
	switch h.Type {
	case wire.TypeResponse:
		c.complete(h)
		return nil
	case wire.TypeNotification:
		if c.cfg.Limits.Chunk == 0 || string(h.Method) != wire.MethodChunk {
			return nil
		}
		piece, err := wire.ParseChunk(h.Params)
		if err != nil {
			return err
		}
		whole, err := c.chunks.add(piece)
		if whole == nil {
			c.countHeard()
			return err
		}
		if h, err = wire.ParseHeader(whole); err != nil {
			return err
		}
		if h.Type == wire.TypeResponse {
			c.complete(h)
		}
		return nil
	default:
		return fmt.Errorf("%w: a request, but this side answers none", ErrProtocol)
	}
}

func (c *Client) countHeard() {
	c.mu.Lock()
	c.heard++
	c.mu.Unlock()
}

// complete tells the call that a response belongs to. Where there is none it was
// given up: its late answer is dropped.
func (c *Client) complete(h wire.Header) {
	c.mu.Lock()
	c.heard++
	done := c.calls.remove(h.MsgID)
	c.mu.Unlock()
	switch {
	case done == nil:
	case h.Error != nil:
		done(nil, &RemoteError{Text: string(h.Error)})
	default:
		done(h.Result, nil)
	}
}

// abandonAll completes the calls that were open when the connection ended.
func (c *Client) abandonAll() {
	c.mu.Lock()
	cause := c.cause
	var lost, unsent []Done
	for _, p := range c.calls.takeAll() {
		if c.out.mayBeSent(p.place) {
			lost = append(lost, p.done)
		} else {
			unsent = append(unsent, p.done)
		}
	}
	c.mu.Unlock()
	errLost, errUnsent := unanswered(cause), notSent(cause)
	for _, done := range lost {
		done(nil, errLost)
	}
	for _, done := range unsent {
		done(nil, errUnsent)
	}
}

// Dial connects to addr and runs the client on a goroutine of its own until ctx
// ends or the returned function is called, which closes the connection and waits.
// ctx bounds the whole life, not only the dialing; that may take dialTimeout.
func Dial(ctx context.Context, dial Dialer, addr string, cfg ClientConfig, log *zap.Logger,
) (c *Client, stop func(), err error) {
	dctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nc, err := dial(dctx, addr)
	if err != nil {
		return nil, nil, fmt.Errorf("rpc: dial %s: %w", addr, err)
	}
	c, err = NewClient(nc, cfg, log)
	if err != nil {
		_ = nc.Close() // the configuration is the error to tell
		return nil, nil, err
	}
	var run sync.WaitGroup
	run.Go(func() {
		c.log.Debug("connection ended", zap.String("addr", addr), zap.Error(c.Run(ctx)))
	})
	return c, func() { c.Close(); run.Wait() }, nil
}

// dialTimeout bounds one attempt to connect.
const dialTimeout = 5 * time.Second

// Dialer opens a connection; it is how sockets come in from outside.
type Dialer func(ctx context.Context, addr string) (net.Conn, error)
