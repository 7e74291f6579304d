// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"
)

const (
	// dialPatience is how long a dial waits whose context has no deadline.
	dialPatience = 30 * time.Second
	// The ports of dialers: firstPort and those that follow, for each pair of hosts.
	// They begin again after the last; they are names only.
	firstPort, portCount = 40_000, 25_000
)

// Dialer returns a function that dials from a host, in the shape that package rpc
// takes.
func (n *Network) Dialer(from string) func(ctx context.Context, addr string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		return n.Dial(ctx, from, addr)
	}
}

// Dial connects host from with address to, which takes one round trip. While a
// link between them is cut it waits, as a lost SYN is sent again; where nobody
// listens it is refused.
func (n *Network) Dial(ctx context.Context, from, to string) (net.Conn, error) {
	return n.Host(from).Dial(ctx, to)
}

// dialing is a connection that is not yet there.
type dialing struct {
	*Host
	to          string
	there, back *link
	// numberThere and numberBack name it on its links.
	numberThere, numberBack uint64
	delay                   time.Duration
}

// Dial is like the network's, and ends where the host is killed.
func (h *Host) Dial(ctx context.Context, to string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	d := h.begin(to)
	timer := time.NewTimer(d.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, opError("dial", to, timeoutOf(ctx))
	}
	for first := true; ; first = false {
		c, w, err := d.connect(first)
		if err != nil {
			return nil, opError("dial", to, err)
		}
		if c != nil {
			return c, nil
		}
		select {
		case <-w.link:
		case <-w.own:
		case <-ctx.Done():
			return nil, opError("dial", to, timeoutOf(ctx))
		}
	}
}

// begin numbers the connection on both links and draws how long the dial takes.
func (h *Host) begin(to string) *dialing {
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stats.Dials++
	d := &dialing{
		Host: h, to: to, there: n.link(h.name, host(to)), back: n.link(host(to), h.name),
	}
	d.there.conns++
	d.numberThere = d.there.conns
	d.back.conns++
	d.numberBack = d.back.conns
	d.delay = d.there.handshake(d.numberThere) + d.back.handshake(d.numberBack)
	return d
}

// handshake is how long the first message of a connection takes.
func (l *link) handshake(number uint64) time.Duration {
	d := l.draw(number, 0)
	if d.slow {
		l.n.stats.Slowed++
	}
	if d.losses > 0 {
		l.n.stats.Stalls++
		d.delay += l.faults.stall(d.losses)
	}
	return d.delay
}

// connect makes both ends where they can reach each other now; else it returns
// what to wait for.
func (d *dialing) connect(first bool) (*conn, waiting, error) {
	n := d.n
	n.mu.Lock()
	defer n.mu.Unlock()
	blocked := d.there
	if !d.there.holds() {
		blocked = d.back // whose host's kernel answers even where it is paused
	}
	switch {
	case n.lives[d.name] != d.life:
		return nil, waiting{}, net.ErrClosed
	case d.there.holds() || d.back.cut:
		if first {
			n.stats.DialsHeld++
		}
		return nil, waiting{link: blocked.changed.next()}, nil
	}
	l := n.listeners[d.to]
	if l == nil {
		return nil, waiting{}, syscall.ECONNREFUSED
	}
	if len(l.waiting) == backlog {
		return nil, waiting{link: d.there.changed.next(), own: l.arrived.next()}, nil
	}
	port := firstPort + (d.numberThere-1)%portCount
	local := Addr(fmt.Sprintf("%s:%d", d.name, port))
	dialed, accepted := d.ends(local, Addr(d.to))
	l.waiting = append(l.waiting, accepted)
	l.arrived.all()
	return dialed, waiting{}, nil
}

func (d *dialing) ends(local, remote Addr) (dialed, accepted *conn) {
	n, shared := d.n, &cable{}
	out := &stream{n: n, link: d.there, number: d.numberThere, from: local, to: remote}
	in := &stream{n: n, link: d.back, number: d.numberBack, from: remote, to: local}
	for _, s := range []*stream{out, in} {
		s.cable = shared
		s.link.open = append(s.link.open, s)
	}
	dialed = &conn{n: n, in: in, out: out, local: local, remote: remote}
	accepted = &conn{n: n, in: out, out: in, local: remote, remote: local}
	return dialed, accepted
}
