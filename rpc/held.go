// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"cmp"
	"errors"
	"slices"
)

// errHeldTooMuch ends the connection that holds most when all together hold too much.
var errHeldTooMuch = errors.New("rpc: the connections hold too many bytes, and this one the most")

// held is what a connection holds of the server's memory beside its open calls: the
// buffer of a long message that is being read, and answers that wait to be written. What
// every busy connection has, up to readBuffer, counts as nothing, so that short messages
// are not slowed down by counting. The caller holds mu.
func (c *ServerConn) held() int {
	n := c.reading + c.out.unsent
	if n <= readBuffer || c.cause != nil { // one that has ended lets go of all
		return 0
	}
	return n
}

// count brings the server's sum up to date. That of answers which were written since is
// too high until then; shed counts again before it believes it.
func (c *ServerConn) count() {
	c.mu.Lock()
	n := c.held()
	more := n - c.counted
	c.counted = n
	c.mu.Unlock()
	if more != 0 && c.srv.held.Add(int64(more)) > int64(c.srv.cfg.Held) && more > 0 {
		c.srv.shed()
	}
}

// bufferIs takes note of the length of the reader's buffer.
func (c *ServerConn) bufferIs(n int) {
	c.mu.Lock()
	c.reading = n
	c.mu.Unlock()
	c.count()
}

// shed ends connections, those that hold most first, until the rest holds no more than
// it may.
func (s *Server) shed() {
	type holder struct {
		conn *ServerConn
		held int
	}
	var holders []holder
	total := 0
	for _, c := range s.snapshot(nil) {
		c.mu.Lock()
		n := c.held()
		s.held.Add(int64(n - c.counted))
		c.counted = n
		c.mu.Unlock()
		total += n
		holders = append(holders, holder{c, n})
	}
	slices.SortStableFunc(holders, func(a, b holder) int { return cmp.Compare(b.held, a.held) })
	for _, h := range holders {
		if total <= s.cfg.Held {
			return
		}
		h.conn.fail(errHeldTooMuch)
		h.conn.count()
		total -= h.held
	}
}
