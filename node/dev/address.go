// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

const (
	// portStride lies between the ports of two nodes; within it peer and gossip ports
	// follow the client's.
	portStride  = 10
	portsInNode = 3
	maxPort     = 65535
)

// address is where one node listens.
type address struct{ client, peer, gossip string }

// addresses lays n nodes out from listen on: node i at the base port + 10 i, its peer
// port one above, its gossip port two above. Port 0 takes ports that are free now.
func addresses(listen string, n int) ([]address, error) {
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
	list := make([]address, n)
	for i := range list {
		ports := [portsInNode]int{}
		for j := range ports {
			ports[j] = base + i*portStride + j
		}
		if base == 0 {
			if ports, err = freePorts(host); err != nil {
				return nil, err
			}
		}
		at := func(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
		list[i] = address{client: at(ports[0]), peer: at(ports[1]), gossip: at(ports[2])}
	}
	return list, nil
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

// freePorts asks the kernel for ports, and gives them back at once: somebody else may
// take one in between, which the node that opens it then says. Gossip needs its port
// for packets too.
func freePorts(host string) (ports [portsInNode]int, err error) {
	var held []interface{ Close() error }
	defer func() {
		for _, h := range held {
			err = errors.Join(err, h.Close())
		}
	}()
	const tries = 100 // that a TCP port is taken as a UDP port is rare
	for found, try := 0, 0; found < len(ports); try++ {
		if try == tries {
			return ports, fmt.Errorf("dev: no free ports at %s", host)
		}
		stream, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return ports, fmt.Errorf("dev: find a free port: %w", err)
		}
		held = append(held, stream)
		port := stream.Addr().(*net.TCPAddr).Port
		packets, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		held = append(held, packets)
		ports[found] = port
		found++
	}
	return ports, nil
}
