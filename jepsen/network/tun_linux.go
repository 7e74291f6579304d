// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	deviceName = "eth0"
	// mtu is that of Ethernet, so that faults meet as many packets as there.
	mtu = 1500
	// queueLength is how many packets a device keeps for a switch that is behind. The
	// default of 500 loses some of each burst of a fast connection.
	queueLength = 4000
	// prefixBits is the network that all hosts share.
	prefixBits = 16
)

// address is that of a host: nodes are 10.79.0.x, clients 10.79.1.x, from 1 on.
func address(hosts, host int) netip.Addr {
	if host < hosts {
		return netip.AddrFrom4([4]byte{10, 79, 0, byte(host + 1)})
	}
	return netip.AddrFrom4([4]byte{10, 79, 1, byte(host - hosts + 1)})
}

// openTUN makes the one device of a host in the namespace of the calling thread.
func openTUN(addr netip.Addr) (io.ReadWriteCloser, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(deviceName)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make a TUN device: %w", err)
	}
	return os.NewFile(uintptr(fd), "tun "+addr.String()), nil
}

// configure gives the device of the calling thread's namespace its address, and has it and
// the loopback device up.
func configure(addr netip.Addr) error {
	for _, name := range []string{"lo", deviceName} {
		dev, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
		if name == deviceName {
			if err := netlink.LinkSetMTU(dev, mtu); err != nil {
				return fmt.Errorf("device %s: mtu: %w", name, err)
			}
			if err := netlink.LinkSetTxQLen(dev, queueLength); err != nil {
				return fmt.Errorf("device %s: queue: %w", name, err)
			}
			if err := netlink.AddrAdd(dev, &netlink.Addr{IPNet: &net.IPNet{
				IP: addr.AsSlice(), Mask: net.CIDRMask(prefixBits, addr.BitLen()),
			}}); err != nil {
				return fmt.Errorf("device %s: address %s: %w", name, addr, err)
			}
		}
		if err := netlink.LinkSetUp(dev); err != nil {
			return fmt.Errorf("device %s: up: %w", name, err)
		}
	}
	return nil
}
