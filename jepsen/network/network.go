// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"

	"github.com/dyno-kv/dyno/jepsen/network/link"
)

// Rule is what meets what one host sends to another; the zero value is a healthy link.
type Rule = link.Rule

// Counts are what a link has seen and done.
type Counts = link.Counts

// Mode is how hosts are kept apart.
type Mode string

// The modes, best first.
const (
	ModeSwitch Mode = "switch"
	ModeVeth   Mode = "veth"
	ModeProxy  Mode = "proxy"
)

// Config is what a network is made of.
type Config struct {
	// Hosts is how many nodes there are, Clients how many addresses of clients.
	Hosts, Clients int
	Seed           uint64
	// Ports are those that nodes listen at. ModeProxy serves no other ones.
	Ports []uint16
	// Apart says that nodes listen where Network.Listen says, and tell others where Addr does.
	// Without that ModeProxy is tried only where Mode asks for it.
	Apart bool
	// Mode asks for one mode, and no other is tried; "": the best.
	Mode Mode
}

// MaxHosts bounds Hosts and Clients each.
const MaxHosts = 250

func (c Config) validate() error {
	switch {
	case c.Hosts < 1 || c.Hosts > MaxHosts:
		return fmt.Errorf("network: Hosts is %d, must be 1 to %d", c.Hosts, MaxHosts)
	case c.Clients < 0 || c.Clients > MaxHosts:
		return fmt.Errorf("network: Clients is %d, must be 0 to %d", c.Clients, MaxHosts)
	}
	return nil
}

// ErrClosed is returned by a network that was closed.
var ErrClosed = errors.New("network: closed")

// Network is some hosts, and the links between them. Hosts 0 to Hosts-1 are nodes, those
// from Hosts on are clients. It is for many goroutines.
type Network interface {
	Mode() Mode
	// Lacks lists what this mode can not do, in words of nemesis kinds.
	Lacks() []string
	// Addr is where others find a host; Listen is where its process listens. They differ in
	// ModeProxy only.
	Addr(host int) netip.Addr
	Listen(host int) netip.Addr
	// Client is the host of the k-th client.
	Client(k int) int
	// Start starts a command in the network of a host. Who called it waits for it.
	Start(host int, cmd *exec.Cmd) error
	// Dial opens a connection of TCP from the k-th client to IP:PORT.
	Dial(ctx context.Context, k int, addr string) (net.Conn, error)
	// Set changes what meets what one host sends to another.
	Set(from, to int, r Rule) error
	// Rule is what meets it now.
	Rule(from, to int) Rule
	// Heal makes all links healthy. What jammed is delivered.
	Heal()
	// Counts are those of one direction, since the beginning.
	Counts(from, to int) Counts
	// Close ends the network; processes in it must have ended. Calling it again does nothing.
	Close() error
}

// New returns a network of healthy links, in the best mode that the system allows, or in the
// one that was asked for.
func New(ctx context.Context, cfg Config) (Network, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	modes := []Mode{ModeSwitch, ModeVeth}
	if cfg.Apart {
		modes = append(modes, ModeProxy)
	}
	if cfg.Mode != "" {
		modes = []Mode{cfg.Mode}
	}
	var errs []error
	for _, mode := range modes {
		n, err := newMode(ctx, mode, cfg)
		if err == nil {
			return n, nil
		}
		errs = append(errs, fmt.Errorf("network: mode %s: %w", mode, err))
	}
	return nil, errors.Join(errs...)
}

func newMode(ctx context.Context, mode Mode, cfg Config) (Network, error) {
	switch mode {
	case ModeSwitch, ModeVeth:
		return newSpaces(ctx, mode, cfg)
	case ModeProxy:
		return newProxies(ctx, cfg)
	}
	return nil, fmt.Errorf("there is no such mode; there are %s, %s and %s",
		ModeSwitch, ModeVeth, ModeProxy)
}

// checkPair says whether there is such a link.
func checkPair(hosts, from, to int) error {
	if from < 0 || from >= hosts || to < 0 || to >= hosts || from == to {
		return fmt.Errorf("network: there is no link from host %d to host %d", from, to)
	}
	return nil
}
