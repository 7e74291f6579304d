// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

const testPort = "4610"

// testNetwork is a network in a mode; the test is skipped where the system has no such one.
func testNetwork(t testing.TB, mode Mode, hosts, clients int) *spaces {
	t.Helper()
	n, err := New(t.Context(), Config{Hosts: hosts, Clients: clients, Seed: 1, Mode: mode})
	if err != nil {
		if os.Getenv("DYNO_RIG") == "require" {
			t.Fatalf("DYNO_RIG=require: %v", err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n.(*spaces)
}

// eachMode runs a test in each mode that has a switch.
func eachMode(t *testing.T, f func(t *testing.T, mode Mode)) {
	for _, mode := range []Mode{ModeSwitch, ModeVeth} {
		t.Run(string(mode), func(t *testing.T) { f(t, mode) })
	}
}

// serve answers what connections at a host send with the same, until the test ends.
func serve(t testing.TB, n *spaces, host int) (addr string) {
	t.Helper()
	addr = net.JoinHostPort(n.Addr(host).String(), testPort)
	var l net.Listener
	if err := n.spaces[host].do(func() (err error) {
		l, err = net.Listen("tcp4", addr)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	echo(t, l)
	return addr
}

func TestClientsReachNodesFromTheirOwnAddresses(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		n := testNetwork(t, mode, 2, 2)
		addr := serve(t, n, 1)
		c := dial(t, n, 1, addr)
		if _, err := roundTrip(c, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		if from := c.LocalAddr().(*net.TCPAddr).AddrPort().Addr(); from != n.Addr(n.Client(1)) {
			t.Errorf("the second client comes from %s, not from %s", from, n.Addr(n.Client(1)))
		}
		if n.Counts(n.Client(1), 1).Delivered == 0 || n.Counts(1, n.Client(1)).Delivered == 0 {
			t.Error("no packet was counted")
		}
		if got := n.Counts(n.Client(0), 1); got != (Counts{}) {
			t.Errorf("the first client sent nothing, and has %+v", got)
		}
	})
}

func TestACutIsOfOneDirectionAndOnePair(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		n := testNetwork(t, mode, 2, 2)
		addr := serve(t, n, 0)
		cut, other := dial(t, n, 0, addr), dial(t, n, 1, addr)
		// What the node sends to the first client is lost; what that one sends arrives.
		set(t, n, 0, n.Client(0), Rule{Drop: true})
		if _, err := roundTrip(cut, 300*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a byte came back over a cut link: %v", err)
		}
		if _, err := roundTrip(other, 5*time.Second); err != nil {
			t.Errorf("the other client: %v", err)
		}
		if got := n.Counts(n.Client(0), 0); got.Bites() != 0 {
			t.Errorf("the direction that is not cut has %+v", got)
		}
		if got := n.Counts(0, n.Client(0)); got.Cut == 0 {
			t.Errorf("the cut has %+v", got)
		}
		n.Heal()
		if got := n.Rule(0, n.Client(0)); !got.Healthy() {
			t.Errorf("healed, and %+v", got)
		}
		// TCP sends again what was lost.
		if err := cut.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(cut, make([]byte, 1)); err != nil {
			t.Errorf("after healing: %v", err)
		}
	})
}

func TestADelayIsExact(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		n := testNetwork(t, mode, 1, 1)
		c := dial(t, n, 0, serve(t, n, 0))
		const delay = 50 * time.Millisecond
		set(t, n, 1, 0, Rule{Delay: delay})
		best := time.Hour
		for range 10 { // the machine may be late, the link is never early
			took, err := roundTrip(c, 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if took < delay {
				t.Fatalf("a byte was back after %v, before %v", took, delay)
			}
			best = min(best, took)
		}
		if best > delay+5*time.Millisecond {
			t.Errorf("the fastest byte took %v, and %v was asked for", best, delay)
		}
	})
}

func TestAJamKeepsAndDelivers(t *testing.T) {
	n := testNetwork(t, ModeSwitch, 1, 1)
	c := dial(t, n, 0, serve(t, n, 0))
	set(t, n, 1, 0, Rule{Jam: true})
	if _, err := roundTrip(c, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a byte passed the jam: %v", err)
	}
	before := n.Counts(1, 0)
	if before.Jammed == 0 || before.Cut+before.Lost != 0 {
		t.Fatalf("the jam has %+v", before)
	}
	n.Heal()
	if got := n.Counts(1, 0); got.Delivered < before.Delivered+before.Jammed {
		t.Errorf("after the jam %+v, before %+v", got, before)
	}
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("the byte in the jam: %v", err)
	}
}

func TestAResetEndsConnectionsOfBothSides(t *testing.T) {
	n := testNetwork(t, ModeSwitch, 1, 1)
	addr := netip.AddrPortFrom(n.Addr(0), 4610).String()
	var l net.Listener
	if err := n.spaces[0].do(func() (err error) {
		l, err = net.Listen("tcp4", addr)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := dial(t, n, 0, addr)
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	set(t, n, 1, 0, Rule{Reset: true})
	if _, err := c.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	for name, side := range map[string]net.Conn{"client": c, "server": s} {
		if err := side.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := side.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the %s reads %v, not a reset", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := n.Dial(ctx, 0, addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection: %v, not a refusal", err)
	}
}
