// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// streamBytes is how much one direction of a stream holds before writers wait.
	streamBytes = 256 << 10
	// backlog is how many connections wait to be accepted.
	backlog = 128
	// dialPatience is how long a dial waits whose context has no deadline.
	dialPatience = 30 * time.Second
	// firstPort is where the ports of dialers begin.
	firstPort = 40_000
)

// Network connects hosts. Its methods may be called from any goroutine.
type Network struct {
	seed uint64

	mu sync.Mutex // guards what follows, and all that hangs below it
	// links holds a link for each pair of hosts that had to do with each other.
	links     map[pair]*link
	defaults  Faults
	listeners map[string]*listener
	packets   map[string]*packetConn
	nextPort  int
	stats     Stats
}

// pair is a direction between two hosts.
type pair struct{ from, to string }

// Stats counts what the network did.
type Stats struct {
	Segments, Stalls, Resets                       uint64
	Packets, PacketsLost, PacketsCut, PacketsTwice uint64
	// PacketsOverrun found the receiver's queue full.
	PacketsOverrun uint64
	Dials          uint64
}

// New returns a network without faults. seed draws the faults that are set later.
func New(seed uint64) *Network {
	return &Network{
		seed:      seed,
		links:     make(map[pair]*link),
		listeners: make(map[string]*listener),
		packets:   make(map[string]*packetConn),
		nextPort:  firstPort,
	}
}

// Stats returns the counts so far.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}

// host is the part of an address that names the host.
func host(addr string) string {
	h, _, _ := strings.Cut(addr, ":")
	return h
}

// Addr is an address in the network, "host:port".
type Addr string

// Network is "mem".
func (a Addr) Network() string { return "mem" }
func (a Addr) String() string  { return string(a) }

// Listen opens addr, "host:port", for connections. It fails where it is open.
func (n *Network) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, open := n.listeners[addr]; open {
		return nil, opError("listen", addr, syscall.EADDRINUSE)
	}
	l := &listener{n: n, addr: addr, arrived: newWake()}
	n.listeners[addr] = l
	return l, nil
}

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
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	from = host(from)
	n.mu.Lock()
	n.stats.Dials++
	there, back := n.link(from, host(to)), n.link(host(to), from)
	there.streams++
	number := there.streams
	delay := n.draw(there, number, 0).delay + n.draw(back, number, 0).delay
	n.mu.Unlock()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, opError("dial", to, timeoutOf(ctx))
	}
	for {
		c, changed, err := n.connect(there, back, number, to)
		if err != nil {
			return nil, opError("dial", to, err)
		}
		if c != nil {
			return c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, opError("dial", to, timeoutOf(ctx))
		}
	}
}

// connect makes both ends where they can reach each other now; else it returns
// what to wait for.
func (n *Network) connect(there, back *link, number uint64, to string,
) (*conn, <-chan struct{}, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case there.faults.Cut:
		return nil, there.changed.c, nil
	case back.faults.Cut:
		return nil, back.changed.c, nil
	}
	l := n.listeners[to]
	if l == nil {
		return nil, nil, syscall.ECONNREFUSED
	}
	if len(l.waiting) == backlog {
		return nil, l.arrived.c, nil
	}
	n.nextPort++
	local := Addr(fmt.Sprintf("%s:%d", there.from, n.nextPort))
	out, in := newStream(n, there, number), newStream(n, back, number)
	dialed := &conn{n: n, in: in, out: out, local: local, remote: Addr(to), moved: newWake()}
	accepted := &conn{n: n, in: out, out: in, local: Addr(to), remote: local, moved: newWake()}
	l.waiting = append(l.waiting, accepted)
	l.arrived.all()
	return dialed, nil, nil
}

func (n *Network) link(from, to string) *link {
	p := pair{from, to}
	l := n.links[p]
	if l == nil {
		l = &link{pair: p, faults: n.defaults, changed: newWake(), open: make(map[*stream]struct{})}
		n.links[p] = l
	}
	return l
}

// wake wakes everybody who waits for a change. c is replaced by each wake; it is
// read and replaced under the network's mutex, and waited for without it.
type wake struct{ c chan struct{} }

func newWake() wake { return wake{make(chan struct{})} }

func (w *wake) all() {
	close(w.c)
	w.c = make(chan struct{})
}

func opError(op, addr string, err error) error {
	return &net.OpError{Op: op, Net: "mem", Addr: Addr(addr), Err: err}
}

func timeoutOf(ctx context.Context) error {
	if ctx.Err() == context.DeadlineExceeded {
		return os.ErrDeadlineExceeded
	}
	return ctx.Err()
}
