// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// piece is how much of a stream is read at once, and inFlight how many pieces wait.
	piece    = 16 << 10
	inFlight = 64
	// connectTime is how long the process of a host has to accept.
	connectTime = 5 * time.Second
)

// accept takes the connections to one port of a host, until the listener is closed.
func (n *proxies) accept(host int, port uint16, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		n.wg.Go(func() { n.serve(host, port, c.(*net.TCPConn)) })
	}
}

// serve passes a connection on. One that can not be is reset: whoever made it has been told
// that it stands.
func (n *proxies) serve(host int, port uint16, c *net.TCPConn) {
	ctx, cancel := context.WithCancel(n.life)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { reset(c) })
	defer stop()
	defer reset(c) // which does nothing to one that was closed
	from := n.origin(c.RemoteAddr().(*net.TCPAddr).AddrPort())
	there, back := n.between(from, host), n.between(host, from)
	if !there.await(ctx) || !back.await(ctx) { // both ways are needed to connect
		return
	}
	d := net.Dialer{Timeout: connectTime}
	to := netip.AddrPortFrom(n.Listen(host), port)
	far, err := d.DialContext(ctx, "tcp4", to.String())
	if err != nil {
		return
	}
	other := far.(*net.TCPConn)
	stopOther := context.AfterFunc(ctx, func() { reset(other) })
	defer stopOther()
	defer reset(other)
	var both sync.WaitGroup
	both.Go(func() { n.pipe(ctx, cancel, c, other, there) })
	both.Go(func() { n.pipe(ctx, cancel, other, c, back) })
	both.Wait()
	if ctx.Err() == nil { // both sides have said all
		_ = c.Close()
		_ = other.Close()
	}
}

// reset ends a connection so that the other side is told so. One that is closed stays so.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// part is some of a stream, and when it may go on.
type part struct {
	at time.Duration
	b  []byte
}

// pipe passes on what one side says, until it has said all; abort ends both directions.
func (n *proxies) pipe(
	ctx context.Context, abort context.CancelFunc, from, to *net.TCPConn, w *wire,
) {
	parts := make(chan part, inFlight)
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() {
		defer close(parts)
		n.readParts(ctx, abort, from, w, parts)
	})
	for p := range parts {
		if !sleep(ctx, p.at-n.now()) || !w.await(ctx) {
			continue // the connection has ended
		}
		if _, err := to.Write(p.b); err != nil {
			abort()
		}
	}
	if ctx.Err() == nil {
		_ = to.CloseWrite()
	}
}

func (n *proxies) readParts(
	ctx context.Context, abort context.CancelFunc, from *net.TCPConn, w *wire, parts chan<- part,
) {
	for {
		b := make([]byte, piece)
		size, err := from.Read(b)
		if size > 0 {
			at, ends := w.turn(n.now(), size)
			if ends {
				abort()
				return
			}
			select {
			case parts <- part{at, b[:size]}:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				abort()
			}
			return
		}
	}
}

// sleep waits; false: ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
