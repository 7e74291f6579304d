// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"sync"
)

// spaces is a network of namespaces around a fabric.
type spaces struct {
	mode   Mode
	cfg    Config
	addrs  []netip.Addr
	spaces []*space // one for each host
	hub    *space   // of the switch's ends of devices; nil where they have none
	fabric *fabric

	once   sync.Once
	closed error
}

func newSpaces(ctx context.Context, mode Mode, cfg Config) (Network, error) {
	n := &spaces{mode: mode, cfg: cfg}
	ports, err := n.open(ctx)
	if err != nil {
		for _, p := range ports {
			_ = p.Close()
		}
		return nil, errors.Join(err, n.leave())
	}
	n.fabric = newFabric(cfg.Seed, ports, n.addrs)
	return n, nil
}

// open makes the hosts, and returns the ports of as many as it could.
func (n *spaces) open(ctx context.Context) (ports []io.ReadWriteCloser, err error) {
	if n.mode == ModeVeth {
		if n.hub, err = newSpace(); err != nil {
			return nil, err
		}
	}
	for host := range n.cfg.Hosts + n.cfg.Clients {
		if err := ctx.Err(); err != nil {
			return ports, err
		}
		s, err := newSpace()
		if err != nil {
			return ports, err
		}
		n.spaces = append(n.spaces, s)
		addr := address(n.cfg.Hosts, host)
		n.addrs = append(n.addrs, addr)
		port, err := n.openPort(s, host)
		if port != nil {
			ports = append(ports, port)
		}
		if err == nil {
			err = s.do(func() error { return configure(addr) })
		}
		if err != nil {
			return ports, err
		}
	}
	return ports, n.awaitUp()
}

// awaitUp waits until no device loses what it is given.
func (n *spaces) awaitUp() error {
	if n.hub == nil {
		return nil // a TUN sends as soon as it is up
	}
	for host, s := range n.spaces {
		if err := errors.Join(awaitUp(s, deviceName), awaitUp(n.hub, hubDevice(host))); err != nil {
			return err
		}
	}
	return nil
}

func (n *spaces) openPort(s *space, host int) (port io.ReadWriteCloser, err error) {
	if n.mode == ModeVeth {
		return openVeth(n.hub, s, host)
	}
	err = s.do(func() error {
		port, err = openTUN(n.addrs[host])
		return err
	})
	return port, err
}

// leave closes the namespaces.
func (n *spaces) leave() error {
	var errs []error
	for _, s := range append(n.spaces, n.hub) {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}

func (n *spaces) Mode() Mode                 { return n.mode }
func (n *spaces) Lacks() []string            { return nil }
func (n *spaces) Addr(host int) netip.Addr   { return n.addrs[host] }
func (n *spaces) Listen(host int) netip.Addr { return n.addrs[host] }
func (n *spaces) Client(k int) int           { return n.cfg.Hosts + k }
func (n *spaces) Heal()                      { n.fabric.heal() }

func (n *spaces) Set(from, to int, r Rule) error { return n.fabric.set(from, to, r) }
func (n *spaces) Rule(from, to int) Rule         { return n.fabric.rule(from, to) }

func (n *spaces) Counts(from, to int) Counts { return n.fabric.counts(from, to) }

func (n *spaces) Start(host int, cmd *exec.Cmd) error {
	if host < 0 || host >= len(n.spaces) {
		return fmt.Errorf("network: there is no host %d", host)
	}
	return n.spaces[host].do(cmd.Start)
}

func (n *spaces) Dial(ctx context.Context, k int, addr string) (net.Conn, error) {
	if k < 0 || k >= n.cfg.Clients {
		return nil, fmt.Errorf("network: there is no client %d", k)
	}
	at, err := netip.ParseAddrPort(addr) // a name would be looked up on another thread
	if err != nil {
		return nil, fmt.Errorf("network: dial: %w", err)
	}
	var c net.Conn
	err = n.spaces[n.Client(k)].do(func() error {
		var d net.Dialer
		c, err = d.DialContext(ctx, "tcp4", at.String())
		return err
	})
	return c, err
}

func (n *spaces) Close() error {
	n.once.Do(func() { n.closed = errors.Join(n.fabric.close(), n.leave()) })
	return n.closed
}
