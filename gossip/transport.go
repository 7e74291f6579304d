// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"fmt"
	"log"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// Transport is what carries gossip where it is not UDP and TCP: memberlist's own
// interface, under a name that other rooms can use.
type Transport = memberlist.Transport

// guard stands before the transport: it shuts it down once, however often it is
// asked, and lets nothing out afterwards. memberlist's timers and probes outlive its
// Shutdown, and a transport need not be prepared for that.
type guard struct {
	memberlist.NodeAwareTransport
	closed atomic.Bool
}

var _ memberlist.NodeAwareTransport = (*guard)(nil)

func newGuard(t memberlist.Transport) *guard {
	aware, ok := t.(memberlist.NodeAwareTransport)
	if !ok {
		aware = plain{t}
	}
	return &guard{NodeAwareTransport: aware}
}

func (g *guard) WriteTo(b []byte, addr string) (time.Time, error) {
	return g.WriteToAddress(b, memberlist.Address{Addr: addr})
}

func (g *guard) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if g.closed.Load() {
		return time.Time{}, fmt.Errorf("gossip: send to %s: %w", a.Addr, net.ErrClosed)
	}
	return g.NodeAwareTransport.WriteToAddress(b, a)
}

func (g *guard) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return g.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

func (g *guard) DialAddressTimeout(
	a memberlist.Address, timeout time.Duration,
) (net.Conn, error) {
	if g.closed.Load() {
		return nil, fmt.Errorf("gossip: dial %s: %w", a.Addr, net.ErrClosed)
	}
	return g.NodeAwareTransport.DialAddressTimeout(a, timeout)
}

func (g *guard) Shutdown() error {
	if g.closed.Swap(true) {
		return nil
	}
	return g.NodeAwareTransport.Shutdown()
}

// plain makes a Transport out of one that does not care for names.
type plain struct{ memberlist.Transport }

func (p plain) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return p.WriteTo(b, a.Addr)
}

func (p plain) DialAddressTimeout(
	a memberlist.Address, timeout time.Duration,
) (net.Conn, error) {
	return p.DialTimeout(a.Addr, timeout)
}

// listen opens the sockets of cfg. The kernel may give a free TCP port whose UDP
// twin is taken, so a port of its choice is tried a few times.
func listen(cfg Config, logger *log.Logger) (memberlist.Transport, int, error) {
	attempts := 1
	if cfg.BindPort == 0 {
		attempts = 10
	}
	var err error
	for range attempts {
		var t *memberlist.NetTransport
		t, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{cfg.BindAddr},
			BindPort:  cfg.BindPort,
			Logger:    logger,
		})
		if err == nil {
			return t, t.GetAutoBindPort(), nil
		}
	}
	return nil, 0, fmt.Errorf("gossip: listen on %s port %d: %w", cfg.BindAddr, cfg.BindPort, err)
}
