// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dyno-kv/dyno/jepsen/network/link"
)

// frameHeader is the length of the header of Ethernet: receiver, sender, protocol.
const frameHeader = 14

// hardware is the address of every host's device. Hosts do not ask for those of others: the
// switch looks at addresses of IP only.
func hardware() net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, 79} }

// vethPort is the switch's end of a pair of virtual Ethernet devices: a packet socket.
type vethPort struct {
	socket *os.File
	in     []byte // of the one reader

	mu    sync.Mutex // guards frame
	frame []byte
}

// hubDevice is the name of the switch's end of a host's device.
func hubDevice(host int) string { return fmt.Sprintf("host%d", host) }

// openVeth makes the one device of a host, whose other end is in the hub.
func openVeth(hub, host *space, number int) (port io.ReadWriteCloser, err error) {
	name := hubDevice(number)
	err = hub.do(func() error {
		pair := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu, TxQLen: queueLength},
			PeerName:  deviceName, PeerHardwareAddr: hardware(),
			PeerNamespace: netlink.NsFd(int(host.ns.Fd())),
		}
		if err := netlink.LinkAdd(pair); err != nil {
			return fmt.Errorf("make a pair of Ethernet devices: %w", err)
		}
		dev, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
		if err := netlink.LinkSetUp(dev); err != nil {
			return fmt.Errorf("device %s: up: %w", name, err)
		}
		port, err = openPacket(dev.Attrs().Index, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return port, host.do(func() error {
		dev, err := netlink.LinkByName(deviceName)
		if err != nil {
			return fmt.Errorf("device %s: %w", deviceName, err)
		}
		if err := netlink.LinkSetARPOff(dev); err != nil {
			return fmt.Errorf("device %s: arp off: %w", deviceName, err)
		}
		// Otherwise it would be given several segments at once, larger than any packet.
		if err := netlink.LinkSetGSOMaxSegs(dev, 1); err != nil {
			return fmt.Errorf("device %s: one segment at a time: %w", deviceName, err)
		}
		return nil
	})
}

// openPacket opens a socket that sees what arrives at a device, and sends from it.
func openPacket(device int, name string) (io.ReadWriteCloser, error) {
	// In the order of the network, whatever that of this machine is.
	protocol := binary.NativeEndian.Uint16([]byte{unix.ETH_P_IP >> 8, unix.ETH_P_IP & 255})
	fd, err := unix.Socket(unix.AF_PACKET,
		unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	// As much as the system lets have: what does not fit is lost.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, queueLength*mtu)
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: device})
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("bind a packet socket: %w", err)
	}
	p := &vethPort{
		socket: os.NewFile(uintptr(fd), name), in: make([]byte, maxPacket),
		frame: make([]byte, frameHeader, frameHeader+mtu),
	}
	copy(p.frame, hardware())
	copy(p.frame[6:], hardware())
	p.frame[12], p.frame[13] = unix.ETH_P_IP>>8, unix.ETH_P_IP&255
	return p, nil
}

// awaitUp waits until a device of a namespace sends: some time after both ends of a pair are
// up. What it is given before that is lost.
func awaitUp(s *space, name string) error {
	const look, limit = time.Millisecond, 10 * time.Second
	return s.do(func() error {
		for range limit / look {
			dev, err := netlink.LinkByName(name)
			if err != nil {
				return fmt.Errorf("device %s: %w", name, err)
			}
			if dev.Attrs().OperState == netlink.OperUp {
				return nil
			}
			time.Sleep(look)
		}
		return fmt.Errorf("device %s is not up after %v", name, limit)
	})
}

// Read reads a packet. It is for one goroutine.
func (p *vethPort) Read(b []byte) (int, error) {
	n, err := p.socket.Read(p.in)
	if err != nil || n < frameHeader {
		return 0, err
	}
	n = copy(b, p.in[frameHeader:n])
	link.Complete(b[:n]) // a device would have done it
	return n, nil
}

// Write sends a packet. It is for many goroutines.
func (p *vethPort) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frame = append(p.frame[:frameHeader], b...)
	_, err := p.socket.Write(p.frame)
	return len(b), err
}

func (p *vethPort) Close() error { return p.socket.Close() }
