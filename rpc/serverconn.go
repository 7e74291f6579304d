// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// ServerConn is one connection that a server accepted.
type ServerConn struct {
	*link
	srv    *Server
	reader *reader
	chunks assembler
	// number orders the connections of a server; set once, when it is taken in.
	number uint64

	// restricted holds until the other side has authenticated, where it must.
	restricted atomic.Bool
	// state is what the handler attached.
	state atomic.Pointer[any]

	// Guarded by link.mu.
	//
	// open holds the msgids of the calls that are not answered.
	open map[uint64]struct{}
	// window counts the calls that hold back the reader, parked those that do not.
	// Invariant: window + parked >= len(open); a call leaves open before its answer
	// is added, and the count after it.
	window, parked int
	// reading is the length of the reader's buffer; counted is what the server's sum has
	// of this connection.
	reading, counted int
}

func newServerConn(srv *Server, nc net.Conn) *ServerConn {
	l := srv.cfg.Limits
	c := &ServerConn{
		link:   newLink(nc, l),
		srv:    srv,
		chunks: assembler{limits: l.scan()},
		open:   make(map[uint64]struct{}),
	}
	c.reader = newReader(nc, l, c.flushed)
	c.reader.resized = c.bufferIs
	c.quiet = func() bool { return c.window+c.parked == 0 }
	if a := srv.cfg.Auth; a != nil {
		c.restricted.Store(true)
		c.reader.scan.Limits.Bytes = a.Message
	}
	return c
}

// RemoteAddr is the address of the other side.
func (c *ServerConn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// Done is closed when the connection has ended.
func (c *ServerConn) Done() <-chan struct{} { return c.done }

// Break ends the connection at once, as a network that fails does: what is open on it is
// not answered any more.
func (c *ServerConn) Break(cause error) { c.fail(cause) }

// Restricted reports whether the other side has yet to authenticate: always false
// where the server has no [AuthLimits]. The handler must refuse what is not free
// then; this package only keeps the limits small.
func (c *ServerConn) Restricted() bool { return c.restricted.Load() }

// Lift ends the restriction. To be called before the answer that tells so.
func (c *ServerConn) Lift() { c.restricted.Store(false) }

// SetState attaches a value to the connection, such as who authenticated.
func (c *ServerConn) SetState(v any) { c.state.Store(&v) }

// State returns what was attached last; nil where nothing was.
func (c *ServerConn) State() any {
	if p := c.state.Load(); p != nil {
		return *p
	}
	return nil
}

// Notify sends a notification. It never waits. It must not be used towards a
// client that did not ask for this kind in hello. appendParams as in [Call.Reply].
// It fails with ErrBusy where Limits.Unsent bytes wait already, with ErrTooLong,
// or with ErrClosed.
func (c *ServerConn) Notify(method string, appendParams func(dst []byte) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cause != nil || c.closing != closingNot:
		return ErrClosed
	case c.out.unsent >= c.srv.cfg.Limits.Unsent:
		return ErrBusy
	}
	_, err := c.out.add(func(dst []byte) []byte {
		return appendValue(wire.AppendNotificationHeader(dst, method), appendParams, emptyArray)
	})
	signal(c.wake)
	return err
}

// run serves the connection until it ends, and waits for its writer.
func (c *ServerConn) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if a := c.srv.cfg.Auth; a != nil {
		t := time.AfterFunc(a.Timeout, func() {
			if c.Restricted() {
				c.fail(errNotAuthenticated)
			}
		})
		defer t.Stop()
	}
	var writer sync.WaitGroup
	writer.Go(c.writeLoop)
	c.fail(c.read(ctx))
	writer.Wait()
	c.count() // it holds nothing any more
}

var errNotAuthenticated = errors.New("rpc: the other side did not authenticate in time")

// read handles messages until the connection ends, and returns why it does.
func (c *ServerConn) read(ctx context.Context) error {
	for {
		if !c.Restricted() {
			c.reader.scan.Limits.Bytes = c.srv.cfg.Limits.Message
		}
		msg, err := c.reader.next()
		if err != nil {
			return c.readFault(err)
		}
		if err := c.message(ctx, msg, false); err != nil {
			return err
		}
	}
}

// readFault ends a connection from which no further message can be read.
func (c *ServerConn) readFault(err error) error {
	switch {
	case errors.Is(err, errStopped):
		c.reader.discard()
		return ErrClosed
	case isClosed(c.flushed): // the deadline that the writer set, or the end
		return ErrClosed
	case isScanError(err):
		id, ok := wire.PeekID(c.reader.rest())
		return c.refuse(id, ok, err)
	default:
		return err
	}
}

// message handles one message. owned says that the caller has no use for it after.
func (c *ServerConn) message(ctx context.Context, msg []byte, owned bool) error {
	h, err := wire.ParseHeader(msg)
	if err != nil {
		return c.refuse(h.MsgID, h.HasID && h.Type == wire.TypeRequest, err)
	}
	switch h.Type {
	case wire.TypeRequest:
		return c.request(ctx, h, msg, owned)
	case wire.TypeNotification:
		if owned || c.srv.cfg.Limits.Chunk == 0 || string(h.Method) != wire.MethodChunk {
			return nil // unknown notifications are ignored
		}
		return c.chunk(ctx, h)
	default: // this side asks nothing, so nothing can be answered
		return c.refuse(0, false, fmt.Errorf("%w: a response, but nothing was asked", ErrProtocol))
	}
}

func (c *ServerConn) chunk(ctx context.Context, h wire.Header) error {
	piece, err := wire.ParseChunk(h.Params)
	if err == nil && c.Restricted() {
		err = fmt.Errorf("%w: chunks before authentication", ErrProtocol)
	}
	if err != nil {
		return c.refuse(0, false, err)
	}
	msg, err := c.chunks.add(piece)
	if err != nil {
		return c.refuse(0, false, err)
	}
	if msg == nil {
		return nil
	}
	return c.message(ctx, msg, true)
}

func (c *ServerConn) request(ctx context.Context, h wire.Header, msg []byte, owned bool) error {
	if c.srv.cfg.AnswerPing && string(h.Method) == wire.MethodPeerPing {
		if err := c.awaitOutbox(); err != nil {
			return err
		}
		c.send(func(dst []byte) []byte {
			return wire.AppendPeerPing(wire.AppendResponseHeader(dst, h.MsgID))
		})
		return nil
	}
	switch err := c.admit(h.MsgID); {
	case errors.Is(err, errDraining):
		c.send(func(dst []byte) []byte {
			return wire.AppendErrorResponse(dst, h.MsgID, textDraining)
		})
		return nil
	case errors.Is(err, ErrProtocol):
		return c.refuse(h.MsgID, true, err)
	case err != nil:
		return err
	}
	call := &Call{conn: c, id: h.MsgID, Method: h.Method, Params: h.Params}
	if !owned {
		// Params end where the message does, and follow the method: their places
		// in the copy are known from its end.
		call.buf = c.srv.buffers.copyOf(msg)
		params := len(msg) - len(h.Params)
		call.Params = call.buf.b[params:]
		call.Method = call.buf.b[params-len(h.Method) : params]
	}
	c.srv.handler.Handle(ctx, call)
	return nil
}

// refuse answers a fault of the other side where it can be addressed, closes the
// connection when that is written, and returns the fault for the log.
func (c *ServerConn) refuse(id uint64, hasID bool, fault error) error {
	if hasID {
		code := wire.CodeInvalid
		if errors.Is(fault, wire.ErrTooLong) || errors.Is(fault, wire.ErrCount) ||
			errors.Is(fault, wire.ErrDepth) {
			code = wire.CodeTooLarge
		}
		c.send(func(dst []byte) []byte {
			return wire.AppendErrorResponse(dst, id, wire.FormatError(code, fault.Error()))
		})
	}
	c.finish(closingFlushed)
	select {
	case <-c.flushed:
	case <-c.done:
	}
	c.reader.discard()
	return fault
}
