// SPDX-License-Identifier: Apache-2.0

package dev

import (
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
)

const (
	// portStride lies between the ports of two nodes; within it peer, gossip and admin
	// ports follow the client's.
	portStride  = 10
	portsInNode = 4
	maxPort     = 65535
)

// address is where one node listens.
type address struct{ client, peer, gossip, admin string }

// addresses lays n nodes out from listen on: node i at the base port + 10 i, its peer
// port one above, its gossip port two above, its admin port three above. Port 0 takes a base
// that is free now. An admin address lays the admin ports out from there.
func addresses(listen, admin string, n int) ([]address, error) {
	host, text, err := net.SplitHostPort(listen)
	if err == nil {
		host, err = loopback(host)
	}
	if err != nil {
		return nil, fmt.Errorf("dev: listen address %q: %w", listen, err)
	}
	base, err := strconv.Atoi(text)
	if err != nil || base < 0 || base+portStride*n > maxPort {
		return nil, fmt.Errorf("dev: listen address %q: the port must be a number that leaves room "+
			"for %d nodes, %d apart", listen, n, portStride)
	}
	if base == 0 {
		if base, err = freeBase(host, n); err != nil {
			return nil, err
		}
	}
	list := make([]address, n)
	for i := range list {
		at := func(j int) string { return net.JoinHostPort(host, strconv.Itoa(base+i*portStride+j)) }
		list[i] = address{client: at(0), peer: at(1), gossip: at(2), admin: at(3)}
	}
	if admin == "" {
		return list, nil
	}
	return list, moveAdmin(list, admin)
}

// moveAdmin lays the admin ports out from an address on.
func moveAdmin(list []address, listen string) error {
	host, text, err := net.SplitHostPort(listen)
	if err == nil {
		host, err = loopback(host)
	}
	if err != nil {
		return fmt.Errorf("dev: admin address %q: %w", listen, err)
	}
	base, err := strconv.Atoi(text)
	if err != nil || base < 1 || base+portStride*len(list) > maxPort {
		return fmt.Errorf("dev: admin address %q: the port must be a number above 0 that leaves "+
			"room for %d nodes, %d apart", listen, len(list), portStride)
	}
	for i := range list {
		list[i].admin = net.JoinHostPort(host, strconv.Itoa(base+i*portStride))
	}
	return nil
}

// loopback is the loopback address that host is or stands for. There is no other choice:
// the ports of a dev cluster are open to whoever can reach them (ARCHITECTURE 10).
func loopback(host string) (string, error) {
	if host == "localhost" {
		return "127.0.0.1", nil
	}
	ip := net.ParseIP(host)
	if ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("%q is no loopback address such as 127.0.0.1: a dev cluster asks "+
			"nobody who they are, so it listens on this machine only", host)
	}
	return host, nil
}

// freeBase finds a port from which n nodes can be laid out. It looks below the ports that
// systems give to outgoing connections (from 32768 on, or higher), because one of those
// may be taken between this look and the node's own listen. Somebody else may still take
// one; the node that opens it then says so.
func freeBase(host string, n int) (int, error) {
	const lowest, highest, tries = 10_000, 32_000, 200
	var err error
	for range tries {
		base := lowest + int(random64()%uint64((highest-lowest)/portStride-n))*portStride
		if err = tryPorts(host, base, n); err == nil {
			return base, nil
		}
	}
	return 0, fmt.Errorf("dev: no free ports at %s: %w", host, err)
}

// tryPorts reports whether n nodes could listen from base on. Gossip needs its port for
// packets too.
func tryPorts(host string, base, n int) error {
	for i := range n * portsInNode {
		at := net.JoinHostPort(host, strconv.Itoa(base+i/portsInNode*portStride+i%portsInNode))
		stream, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		packets, err := net.ListenPacket("udp", at)
		if err != nil {
			return errors.Join(err, stream.Close())
		}
		if err := errors.Join(packets.Close(), stream.Close()); err != nil {
			return err
		}
	}
	return nil
}

func random64() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}
