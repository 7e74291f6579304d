// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"net"
	"syscall"
)

// backlog is how many connections wait to be accepted.
const backlog = 128

// listener is an open address. Guarded by the network's mutex but for n and addr.
type listener struct {
	n    *Network
	addr string

	waiting []*conn
	// arrived wakes those who accept, and those who found the backlog full.
	arrived wake
	closed  bool
}

// Accept waits for a connection, until the listener is closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, arrived, err := l.tryAccept()
		if err != nil {
			return nil, opError("accept", l.addr, err)
		}
		if c != nil {
			return c, nil
		}
		<-arrived
	}
}

func (l *listener) tryAccept() (*conn, <-chan struct{}, error) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if l.closed {
		return nil, nil, net.ErrClosed
	}
	if len(l.waiting) == 0 || l.n.paused[host(l.addr)] {
		return nil, l.arrived.next(), nil
	}
	c := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	l.arrived.all()
	l.n.deliver(KindConnect, string(c.remote), l.addr, nil)
	return c, nil, nil
}

// Close closes the address; connections that nobody accepted are reset.
func (l *listener) Close() error {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if l.closed {
		return opError("close", l.addr, net.ErrClosed)
	}
	l.n.closeListener(l)
	return nil
}

func (l *listener) Addr() net.Addr { return Addr(l.addr) }

func (n *Network) closeListener(l *listener) {
	l.closed = true
	delete(n.listeners, l.addr)
	for _, c := range l.waiting {
		c.closed = true
		c.out.abort(syscall.ECONNRESET)
		c.in.readerGone()
	}
	l.waiting = nil
	l.arrived.all()
}
