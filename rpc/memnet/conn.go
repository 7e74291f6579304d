// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"net"
	"os"
	"syscall"
	"time"
)

// maxSegment is how much of a Write meets one draw of the faults.
const maxSegment = 32 << 10

// conn is one end of a connection.
type conn struct {
	// Immutable.
	n             *Network
	in, out       *stream
	local, remote Addr

	// What follows is guarded by the network's mutex.
	closed          bool
	readBy, writeBy time.Time
	// moved wakes this end's reader and writer when a deadline was set, or it was
	// closed.
	moved wake
}

var (
	_ net.Conn                        = (*conn)(nil)
	_ interface{ CloseWrite() error } = (*conn)(nil)
)

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// Read waits for the bytes' own time, the deadline, or a change.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, w, err := c.tryRead(p)
		if n > 0 || err != nil {
			return n, c.wrap("read", err)
		}
		w.wait()
	}
}

func (c *conn) tryRead(p []byte) (int, waiting, error) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	now := time.Now()
	switch {
	case c.closed || c.in.gone:
		return 0, waiting{}, net.ErrClosed
	case past(c.readBy, now):
		return 0, waiting{}, os.ErrDeadlineExceeded
	}
	var at time.Time
	if !c.in.link.toPaused {
		n, then, err := c.in.get(p, now)
		if n > 0 || err != nil {
			return n, waiting{}, err
		}
		at = then
	}
	return 0, c.waiting(c.in, earlier(at, c.readBy)), nil
}

// Write puts the bytes on the wire, and waits while that is full.
func (c *conn) Write(p []byte) (int, error) {
	total := 0
	for {
		n, w, err := c.tryWrite(p[total:])
		total += n
		if total == len(p) || err != nil {
			return total, c.wrap("write", err)
		}
		if n == 0 {
			w.wait()
		}
	}
}

func (c *conn) tryWrite(p []byte) (int, waiting, error) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	switch {
	case c.closed:
		return 0, waiting{}, net.ErrClosed
	case past(c.writeBy, time.Now()):
		return 0, waiting{}, os.ErrDeadlineExceeded
	case c.out.broken != nil:
		return 0, waiting{}, c.out.broken
	case c.out.ended:
		return 0, waiting{}, syscall.EPIPE
	case c.out.gone && !c.in.link.holds():
		return 0, waiting{}, syscall.EPIPE
	}
	n := min(len(p), maxSegment, c.out.room())
	if n > 0 {
		if err := c.out.put(append([]byte(nil), p[:n]...)); err != nil {
			return 0, waiting{}, err
		}
		return n, waiting{}, nil
	}
	return 0, c.waiting(c.out, c.writeBy), nil
}

// waiting is for a change of a stream, of the link that brings news of the other
// end, or of this end itself.
func (c *conn) waiting(s *stream, until time.Time) waiting {
	return waiting{
		stream: s.changed.next(), link: c.in.link.changed.next(), own: c.moved.next(),
		until: until,
	}
}

// CloseWrite tells the other side that no more bytes come.
func (c *conn) CloseWrite() error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.closed {
		return c.wrap("close", net.ErrClosed)
	}
	c.out.end()
	return nil
}

// Close ends both directions. As with TCP, bytes that nobody has read, or that are
// still to arrive, turn the end into a reset, which destroys what is under way.
func (c *conn) Close() error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.closed {
		return c.wrap("close", net.ErrClosed)
	}
	c.closed = true
	if c.in.size > 0 {
		c.out.abort(syscall.ECONNRESET)
	} else {
		c.out.end()
	}
	c.in.readerGone()
	c.moved.all()
	return nil
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, &c.readBy, &c.writeBy) }

// SetReadDeadline ends reads that wait beyond t; zero: never.
func (c *conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.readBy) }

// SetWriteDeadline ends writes that wait beyond t; zero: never.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writeBy) }

func (c *conn) setDeadlines(t time.Time, which ...*time.Time) error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.closed {
		return c.wrap("set", net.ErrClosed)
	}
	for _, d := range which {
		*d = t
	}
	c.moved.all()
	return nil
}

func (c *conn) wrap(op string, err error) error {
	switch err {
	case nil:
		return nil
	case os.ErrDeadlineExceeded, net.ErrClosed, syscall.EPIPE, syscall.ECONNRESET:
		return &net.OpError{Op: op, Net: "mem", Source: c.local, Addr: c.remote, Err: err}
	default:
		return err // io.EOF is told as it is
	}
}

// waiting is what a blocked end waits for, without the network's mutex.
type waiting struct {
	stream, link, own <-chan struct{}
	// until is when there is something to do anyway; zero: never.
	until time.Time
}

func (w waiting) wait() {
	var timer <-chan time.Time
	if !w.until.IsZero() {
		t := time.NewTimer(time.Until(w.until))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-w.stream:
	case <-w.link:
	case <-w.own:
	case <-timer:
	}
}

func past(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// earlier is the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
