// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
)

// Network connects hosts. Its methods may be called from any goroutine.
type Network struct {
	seed uint64

	mu sync.Mutex // guards what follows, and all that hangs below it
	// links holds a link for each pair of hosts that had to do with each other, and
	// ordered the same ones in the order in which they came to be.
	links     map[Link]*link
	ordered   []*link
	defaults  Faults
	listeners map[string]*listener
	packets   map[string]*packetConn
	lives     map[string]uint64 // how often each host was killed
	paused    map[string]bool
	stats     Stats
	hear      func(Delivery)
}

// New returns a network without faults. seed draws the faults that are set later.
func New(seed uint64) *Network {
	return &Network{
		seed:      seed,
		links:     make(map[Link]*link),
		listeners: make(map[string]*listener),
		packets:   make(map[string]*packetConn),
		lives:     make(map[string]uint64),
		paused:    make(map[string]bool),
	}
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

// Host is a host from now until it is killed: what one process has of the network.
// After that it gives nothing, so that what is left of a dead process reaches nobody.
type Host struct {
	n    *Network
	name string
	life uint64
}

// Host returns the present life of a host.
func (n *Network) Host(name string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	name = host(name)
	return &Host{n: n, name: name, life: n.lives[name]}
}

// mayOpen reports why the host can not open addr.
func (h *Host) mayOpen(addr string, taken bool) error {
	switch {
	case h.n.lives[h.name] != h.life:
		return net.ErrClosed
	case host(addr) != h.name:
		return syscall.EADDRNOTAVAIL
	case taken:
		return syscall.EADDRINUSE
	}
	return nil
}

// Listen opens addr, "host:port", for connections. It fails where it is open.
func (n *Network) Listen(addr string) (net.Listener, error) { return n.Host(addr).Listen(addr) }

// Listen opens addr, which must be one of the host.
func (h *Host) Listen(addr string) (net.Listener, error) {
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	_, taken := n.listeners[addr]
	if err := h.mayOpen(addr, taken); err != nil {
		return nil, opError("listen", addr, err)
	}
	l := &listener{n: n, addr: addr}
	n.listeners[addr] = l
	return l, nil
}

// ListenPacket opens addr, "host:port", for packets. It fails where it is open.
func (n *Network) ListenPacket(addr string) (net.PacketConn, error) {
	return n.Host(addr).ListenPacket(addr)
}

// ListenPacket opens addr, which must be one of the host.
func (h *Host) ListenPacket(addr string) (net.PacketConn, error) {
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	_, taken := n.packets[addr]
	if err := h.mayOpen(addr, taken); err != nil {
		return nil, opError("listen", addr, err)
	}
	p := &packetConn{n: n, addr: addr, latest: make(map[*link]uint64)}
	n.packets[addr] = p
	return p, nil
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
