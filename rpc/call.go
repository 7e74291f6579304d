// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"sync/atomic"
)

// Handler answers the requests of a server's connections.
type Handler interface {
	// Handle is called on the goroutine that reads the connection: as long as it
	// runs, no further request of that connection is read. It may answer before it
	// returns, which is cheapest, or hand the call to a goroutine that its room
	// owns. Each call must be answered exactly once, also after ctx has ended,
	// which it does when the connection is gone. The deadline of a request is in
	// its params, which only the handler can read; ctx carries none.
	Handle(ctx context.Context, call *Call)
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(ctx context.Context, call *Call)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, call *Call) { f(ctx, call) }

// Call is one request that waits for its answer. Method and Params alias a buffer
// that is recycled by the answer: they are valid until Reply or ReplyError
// returns, and what is kept longer must be copied before.
type Call struct {
	// Method is the name that was called, at most wire.MaxMethod bytes.
	Method []byte
	// Params is one raw MessagePack value that has passed the scan.
	Params []byte

	conn     *ServerConn
	id       uint64
	buf      *buffer
	parked   bool // guarded by the link's mu
	answered atomic.Bool
}

// Conn is the connection that the call came from.
func (c *Call) Conn() *ServerConn { return c.conn }

// Reply answers with the one MessagePack value that appendResult appends to its
// argument. It never waits, and may be called from any goroutine. appendResult is
// called before Reply returns, with the connection locked: it must only append;
// nil stands for the value nil.
// Where the result is longer than the limit, TOO_LARGE is answered instead. A
// second answer is ignored; so is one whose connection is gone.
func (c *Call) Reply(appendResult func(dst []byte) []byte) {
	if c.answered.Swap(true) {
		return
	}
	c.conn.answer(c, appendResult)
	c.release()
}

// ReplyError answers with an error, `CODE: human text`. As [Call.Reply] otherwise.
func (c *Call) ReplyError(text string) {
	if c.answered.Swap(true) {
		return
	}
	c.conn.answerError(c, text)
	c.release()
}

// Park takes the call out of the connection's window, for a wait that must not
// keep other requests from being read, like that for a lock. It reports false,
// and changes nothing, where Limits.Parked calls are parked already.
func (c *Call) Park() bool { return c.conn.park(c) }

func (c *Call) release() {
	if c.buf != nil {
		c.conn.srv.buffers.put(c.buf)
		c.buf = nil
	}
}
