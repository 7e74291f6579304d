// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"testing"
	"time"
)

// channelPort is a device whose host is the test.
type channelPort struct {
	sent, got chan []byte
	closed    chan struct{}
}

func newChannelPort() *channelPort {
	return &channelPort{make(chan []byte), make(chan []byte, 10), make(chan struct{})}
}

func (p *channelPort) Read(b []byte) (int, error) {
	select {
	case packet := <-p.sent:
		return copy(b, packet), nil
	case <-p.closed:
		return 0, io.EOF
	}
}

func (p *channelPort) Write(b []byte) (int, error) {
	p.got <- bytes.Clone(b)
	return len(b), nil
}

func (p *channelPort) Close() error { close(p.closed); return nil }

// datagram is a packet of IPv4 without anything in it.
func datagram(from, to netip.Addr) []byte {
	p := make([]byte, 20)
	p[0], p[9] = 4<<4|5, 17
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	src, dst := from.As4(), to.As4()
	copy(p[12:], src[:])
	copy(p[16:], dst[:])
	return p
}

// What a host sends under an address that is not its own is of no link that has a rule.
func TestPacketsUnderOtherAddressesGoNowhere(t *testing.T) {
	const hosts = 3
	var ports []io.ReadWriteCloser
	var addrs []netip.Addr
	for host := range hosts {
		ports = append(ports, newChannelPort())
		addrs = append(addrs, netip.AddrFrom4([4]byte{10, 79, 0, byte(host + 1)}))
	}
	f := newFabric(1, ports, addrs)
	defer f.close()
	stranger := netip.MustParseAddr("192.0.2.1")
	for from := range hosts {
		to := (from + 1) % hosts
		port := ports[from].(*channelPort)
		port.sent <- datagram(stranger, addrs[to])
		port.sent <- datagram(addrs[to], addrs[(to+1)%hosts]) // of another host
		port.sent <- datagram(addrs[from], stranger)
		port.sent <- datagram(addrs[from], addrs[from])
		port.sent <- datagram(addrs[from], addrs[to])
		select {
		case p := <-ports[to].(*channelPort).got:
			if !bytes.Equal(p, datagram(addrs[from], addrs[to])) {
				t.Errorf("host %d is given %x", to, p)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing arrives at host %d", to)
		}
		if c := f.counts(from, to); c.Packets != 1 {
			t.Errorf("from host %d to %d: counts are %+v", from, to, c)
		}
	}
}
