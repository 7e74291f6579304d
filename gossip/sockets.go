// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// Sockets carries gossip over a packet socket and a listener that were handed in, both
// at one address, which is the one that others are told: an IP and a port. It is how
// gossip runs on a network that is none of the kernel's.
type Sockets struct {
	// Immutable after NewSockets.
	packets net.PacketConn
	streams net.Listener
	dial    func(ctx context.Context, addr string) (net.Conn, error)
	ip      net.IP
	port    int
	inbox   chan *memberlist.Packet // capacity 0: the socket's own queue is the bound
	arrived chan net.Conn           // capacity 0, as above
	down    chan struct{}           // closed by the first Shutdown

	shut  atomic.Bool
	loops sync.WaitGroup
}

var _ Transport = (*Sockets)(nil)

// packetRoom is the longest packet that is read. memberlist's are at most 1,400 bytes.
const packetRoom = 64 << 10

// socketPause is how long a fault of a socket holds up its next use.
const socketPause = 100 * time.Millisecond

// NewSockets returns a transport that owns both sockets from here on, and has begun to
// read them. Shutdown ends it. It fails, and closes them, where their address is no IP
// and port.
func NewSockets(
	packets net.PacketConn, streams net.Listener,
	dial func(ctx context.Context, addr string) (net.Conn, error),
) (*Sockets, error) {
	s := &Sockets{
		packets: packets, streams: streams, dial: dial,
		inbox: make(chan *memberlist.Packet), arrived: make(chan net.Conn),
		down: make(chan struct{}),
	}
	host, port, err := net.SplitHostPort(packets.LocalAddr().String())
	if err == nil {
		s.port, err = strconv.Atoi(port)
	}
	if s.ip = net.ParseIP(host); err != nil || s.ip == nil {
		err = fmt.Errorf("gossip: %v is no IP address and port", packets.LocalAddr())
		return nil, errors.Join(err, packets.Close(), streams.Close())
	}
	s.loops.Go(s.readPackets)
	s.loops.Go(s.acceptStreams)
	return s, nil
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (s *Sockets) FinalAdvertiseAddr(string, int) (net.IP, int, error) { return s.ip, s.port, nil }

// PacketCh and StreamCh implement memberlist.Transport.
func (s *Sockets) PacketCh() <-chan *memberlist.Packet { return s.inbox }
func (s *Sockets) StreamCh() <-chan net.Conn           { return s.arrived }

// WriteTo implements memberlist.Transport.
func (s *Sockets) WriteTo(b []byte, addr string) (time.Time, error) {
	_, err := s.packets.WriteTo(b, address(addr))
	return time.Now(), err
}

// DialTimeout implements memberlist.Transport.
func (s *Sockets) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return s.dial(ctx, addr)
}

// Shutdown closes both sockets and waits for what read them. A second call does nothing.
func (s *Sockets) Shutdown() error {
	if s.shut.Swap(true) {
		return nil
	}
	close(s.down)
	err := errors.Join(unlessClosed(s.packets.Close()), unlessClosed(s.streams.Close()))
	s.loops.Wait()
	return err
}

func (s *Sockets) readPackets() {
	buf := make([]byte, packetRoom)
	for {
		n, from, err := s.packets.ReadFrom(buf)
		if err != nil {
			if !s.pauseAfter(err) {
				return
			}
			continue
		}
		if n == 0 {
			continue // memberlist takes no empty one
		}
		p := &memberlist.Packet{
			Buf: append([]byte(nil), buf[:n]...), From: from, Timestamp: time.Now(),
		}
		select {
		case s.inbox <- p:
		case <-s.down:
			return
		}
	}
}

func (s *Sockets) acceptStreams() {
	for {
		conn, err := s.streams.Accept()
		if err != nil {
			if !s.pauseAfter(err) {
				return
			}
			continue
		}
		select {
		case s.arrived <- conn:
		case <-s.down:
			_ = conn.Close() // nobody will use it
			return
		}
	}
}

// pauseAfter waits a little after a fault of a socket; false says that it is closed.
func (s *Sockets) pauseAfter(fault error) bool {
	if errors.Is(fault, net.ErrClosed) {
		return false
	}
	select {
	case <-time.After(socketPause):
		return true
	case <-s.down:
		return false
	}
}

func unlessClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// address is an IP and a port as a net.Addr.
type address string

func (address) Network() string  { return "gossip" }
func (a address) String() string { return string(a) }
