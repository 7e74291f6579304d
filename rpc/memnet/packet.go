// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"net"
	"os"
	"slices"
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
	at       time.Time
	link     *link
	number   uint64 // on its link
	from, to string
	bytes    []byte
}

// packetConn is a packet socket. Guarded by the network's mutex but for n, addr.
type packetConn struct {
	n    *Network
	addr string

	// queue holds what is under way to it, the earliest first.
	queue []packet
	// latest is, for each link, the highest number that was read.
	latest  map[*link]uint64
	changed wake
	closed  bool
	readBy  time.Time
}

var _ net.PacketConn = (*packetConn)(nil)

// WriteTo sends a packet. Whether it comes, the sender does not learn.
func (p *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if len(b) > maxPacket {
		return 0, opError("write", to.String(), syscall.EMSGSIZE)
	}
	n := p.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.closed {
		return 0, opError("write", to.String(), net.ErrClosed)
	}
	l := n.link(host(p.addr), host(to.String()))
	l.sent++
	n.stats.Packets++
	if l.fromPaused || l.toPaused {
		n.stats.PacketsPaused++
	}
	k := packet{
		link: l, number: l.sent, from: p.addr, to: to.String(), bytes: append([]byte(nil), b...),
	}
	switch {
	case !l.fromPaused:
		n.carry(k)
	case len(l.parked) < packetQueue:
		l.parked = append(l.parked, k)
	default:
		n.stats.PacketsOverrun++
	}
	return len(b), nil
}

// carry lets a packet meet its link.
func (n *Network) carry(k packet) {
	l := k.link
	d := l.draw(0, k.number) // connections have numbers from 1 on
	target := n.packets[k.to]
	switch {
	case l.cut:
		n.stats.PacketsCut++
		return
	case d.losses > 0:
		n.stats.PacketsLost++
		return
	case target == nil:
		n.stats.PacketsRefused++
		return
	}
	if d.slow {
		n.stats.Slowed++
	}
	left := l.depart(time.Now(), len(k.bytes))
	k.at = left.Add(d.delay + d.late)
	target.put(k)
	if d.twice {
		n.stats.PacketsTwice++
		k.at = left.Add(d.again)
		target.put(k)
	}
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
	p.queue = slices.Insert(p.queue, i, k)
	p.changed.all()
}

// dropFlying drops the packets that a cut meets on their way.
func (n *Network) dropFlying(l *link, now time.Time) {
	for _, p := range n.packets { // the order makes no difference
		before := len(p.queue)
		p.queue = slices.DeleteFunc(p.queue, func(k packet) bool {
			return k.link == l && k.at.After(now)
		})
		n.stats.PacketsCut += uint64(before - len(p.queue))
	}
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
	case len(p.queue) == 0 || p.n.paused[host(p.addr)]:
		return nil, waiting{own: p.changed.next(), until: p.readBy}, nil
	}
	k := p.queue[0]
	if k.at.After(now) {
		return nil, waiting{own: p.changed.next(), until: earlier(k.at, p.readBy)}, nil
	}
	p.queue[0] = packet{}
	p.queue = p.queue[1:]
	if k.number < p.latest[k.link] {
		p.n.stats.PacketsReordered++
	}
	p.latest[k.link] = max(p.latest[k.link], k.number)
	p.n.deliver(KindPacket, k.from, p.addr, k.bytes)
	return &k, waiting{}, nil
}

// Close closes the socket; what it holds is lost.
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
