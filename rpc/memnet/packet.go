// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// maxPacket is the longest packet, as with UDP over IPv4.
	maxPacket = 65_507
	// packetQueue is how many packets a socket holds that nobody reads.
	packetQueue = 1024
)

// packet is under way, or has arrived at, when at is past.
type packet struct {
	at    time.Time
	from  string
	bytes []byte
}

// packetConn is a packet socket. Guarded by the network's mutex but for n, addr.
type packetConn struct {
	n    *Network
	addr string

	// queue holds what is under way to it, the earliest first.
	queue   []packet
	changed wake
	closed  bool
	readBy  time.Time
}

var _ net.PacketConn = (*packetConn)(nil)

// ListenPacket opens addr, "host:port", for packets. It fails where it is open.
func (n *Network) ListenPacket(addr string) (net.PacketConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, open := n.packets[addr]; open {
		return nil, opError("listen", addr, syscall.EADDRINUSE)
	}
	p := &packetConn{n: n, addr: addr, changed: newWake()}
	n.packets[addr] = p
	return p, nil
}

// WriteTo sends a packet. Whether it comes, the sender does not learn.
func (p *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if len(b) > maxPacket {
		return 0, opError("write", to.String(), syscall.EMSGSIZE)
	}
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if p.closed {
		return 0, opError("write", to.String(), net.ErrClosed)
	}
	n := p.n
	l := n.link(host(p.addr), host(to.String()))
	l.sent++
	n.stats.Packets++
	d := n.draw(l, 0, l.sent) // streams have numbers from 1 on
	switch {
	case l.faults.Cut:
		n.stats.PacketsCut++
		return len(b), nil
	case d.losses > 0:
		n.stats.PacketsLost++
		return len(b), nil
	}
	target := n.packets[to.String()]
	if target == nil {
		return len(b), nil
	}
	now := time.Now()
	target.put(packet{now.Add(d.delay), p.addr, append([]byte(nil), b...)})
	if d.twice {
		n.stats.PacketsTwice++
		target.put(packet{now.Add(d.again), p.addr, append([]byte(nil), b...)})
	}
	return len(b), nil
}

// put sorts a packet in, behind those of the same time.
func (p *packetConn) put(k packet) {
	if len(p.queue) == packetQueue {
		p.n.stats.PacketsOverrun++
		return
	}
	i := len(p.queue)
	for i > 0 && k.at.Before(p.queue[i-1].at) {
		i--
	}
	p.queue = append(p.queue, packet{})
	copy(p.queue[i+1:], p.queue[i:])
	p.queue[i] = k
	p.changed.all()
}

// ReadFrom waits for a packet; what does not fit b is cut off.
func (p *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		k, w, err := p.tryRead()
		if err != nil {
			return 0, nil, opError("read", p.addr, err)
		}
		if k != nil {
			return copy(b, k.bytes), Addr(k.from), nil
		}
		w.wait()
	}
}

func (p *packetConn) tryRead() (*packet, waiting, error) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	now := time.Now()
	switch {
	case p.closed:
		return nil, waiting{}, net.ErrClosed
	case past(p.readBy, now):
		return nil, waiting{}, os.ErrDeadlineExceeded
	}
	w := waiting{own: p.changed.c, until: p.readBy}
	if len(p.queue) == 0 {
		return nil, w, nil
	}
	if k := p.queue[0]; !k.at.After(now) {
		p.queue[0] = packet{}
		p.queue = p.queue[1:]
		return &k, w, nil
	}
	w.until = earlier(p.queue[0].at, p.readBy)
	return nil, w, nil
}

func (p *packetConn) Close() error {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if p.closed {
		return opError("close", p.addr, net.ErrClosed)
	}
	p.n.closePacket(p)
	return nil
}

func (n *Network) closePacket(p *packetConn) {
	p.closed = true
	p.queue = nil
	delete(n.packets, p.addr)
	p.changed.all()
}

func (p *packetConn) LocalAddr() net.Addr { return Addr(p.addr) }

// SetDeadline is SetReadDeadline: writes never wait.
func (p *packetConn) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline ends reads that wait beyond t; zero: never.
func (p *packetConn) SetReadDeadline(t time.Time) error {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if p.closed {
		return opError("set", p.addr, net.ErrClosed)
	}
	p.readBy = t
	p.changed.all()
	return nil
}

// SetWriteDeadline does nothing: writes never wait.
func (p *packetConn) SetWriteDeadline(time.Time) error { return nil }
