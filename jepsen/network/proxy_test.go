// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

const proxyPort = 24_610

// proxied is a network of proxies with two nodes and two clients; each node answers with what
// it is sent.
func proxied(t *testing.T) (n Network, addrs []string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("other systems have one loopback address")
	}
	n, err := New(t.Context(), Config{
		Hosts: 2, Clients: 2, Mode: ModeProxy, Ports: []uint16{proxyPort},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	for host := range 2 {
		l, err := net.Listen("tcp4", netip.AddrPortFrom(n.Listen(host), proxyPort).String())
		if err != nil {
			t.Fatal(err)
		}
		echo(t, l)
		addrs = append(addrs, netip.AddrPortFrom(n.Addr(host), proxyPort).String())
	}
	return n, addrs
}

// passes says whether a byte comes back within a time.
func passes(t *testing.T, c net.Conn, within time.Duration) bool {
	t.Helper()
	_, err := roundTrip(c, within)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return err == nil
}

func TestProxiesCutOneDirectionOfOnePair(t *testing.T) {
	n, addrs := proxied(t)
	cut, other := dial(t, n, 0, addrs[0]), dial(t, n, 1, addrs[0])
	for _, c := range []net.Conn{cut, other} {
		if !passes(t, c, 5*time.Second) {
			t.Fatal("a healthy connection does not pass")
		}
	}
	set(t, n, 0, n.Client(0), Rule{Drop: true})
	if passes(t, cut, 200*time.Millisecond) {
		t.Error("a byte came back over a cut link")
	}
	if !passes(t, other, 5*time.Second) {
		t.Error("the other client is cut off too")
	}
	if got := n.Counts(0, n.Client(0)); got.Jammed == 0 {
		t.Errorf("the cut has %+v", got)
	}
	if got := n.Counts(n.Client(0), 0); got.Bites() != 0 {
		t.Errorf("the other direction has %+v", got)
	}
	n.Heal()
	b := make([]byte, 1)
	if err := cut.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := cut.Read(b); err != nil {
		t.Errorf("after healing: %v", err)
	}
}

func TestProxiesDelayAndReset(t *testing.T) {
	n, addrs := proxied(t)
	c := dial(t, n, 0, addrs[0])
	const delay = 50 * time.Millisecond
	set(t, n, n.Client(0), 0, Rule{Delay: delay, Rate: 1_000_000})
	if took, err := roundTrip(c, 5*time.Second); err != nil || took < delay {
		t.Errorf("%v after %v", err, took)
	}
	set(t, n, n.Client(0), 0, Rule{Reset: true})
	if _, err := roundTrip(c, 5*time.Second); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, not a reset", err)
	}
	if got := n.Counts(n.Client(0), 0); got.Reset != 1 || got.Delayed == 0 {
		t.Errorf("counts are %+v", got)
	}
}

func TestProxiesResetWhatNobodyAccepts(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have one loopback address")
	}
	n, err := New(t.Context(), Config{
		Hosts: 1, Clients: 1, Mode: ModeProxy, Ports: []uint16{proxyPort},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	// The reset may come before or after the connection is told to stand.
	c, err := n.Dial(t.Context(), 0, netip.AddrPortFrom(n.Addr(0), proxyPort).String())
	if err == nil {
		defer c.Close()
		_, err = roundTrip(c, 5*time.Second)
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("%v, not a reset", err)
	}
}

// A node's connections come from no address of its own; who it is is asked of the system.
func TestProxiesTellNodesByTheirProcesses(t *testing.T) {
	const variable = "DYNO_NETWORK_TEST_ADDR"
	if addr := os.Getenv(variable); addr != "" {
		c, err := net.Dial("tcp4", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := roundTrip(c, 300*time.Millisecond); errors.Is(err, os.ErrDeadlineExceeded) {
			os.Exit(3)
		}
		return
	}
	n, addrs := proxied(t)
	ask := func() int {
		t.Helper()
		cmd := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), variable+"="+addrs[1])
		if err := n.Start(0, cmd); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	}
	if code := ask(); code != 0 {
		t.Fatalf("a healthy link: the process ends with %d", code)
	}
	if n.Counts(0, 1).Packets == 0 {
		t.Error("the process was not known as host 0")
	}
	set(t, n, 0, 1, Rule{Drop: true})
	if code := ask(); code != 3 {
		t.Errorf("a cut link: the process ends with %d", code)
	}
}

func TestProxiesPassDatagramsOnUnderTheSendersAddress(t *testing.T) {
	n, _ := proxied(t)
	var nodes []*net.UDPConn
	for host := range 2 {
		c, err := net.ListenUDP("udp4",
			net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.Listen(host), proxyPort)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		nodes = append(nodes, c)
	}
	send := func(word string) {
		t.Helper()
		to := netip.AddrPortFrom(n.Addr(1), proxyPort)
		if _, err := nodes[0].WriteToUDPAddrPort([]byte(word), to); err != nil {
			t.Fatal(err)
		}
	}
	receive := func() string {
		t.Helper()
		b := make([]byte, 100)
		if err := nodes[1].SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		size, from, err := nodes[1].ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal(err)
		}
		if want := netip.AddrPortFrom(n.Addr(0), proxyPort); from != want {
			t.Errorf("it comes from %s, must be from %s", from, want)
		}
		return string(b[:size])
	}
	awaitCount := func(count func(Counts) int64) {
		t.Helper()
		for range 5000 {
			if count(n.Counts(0, 1)) > 0 {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Fatalf("counts are %+v", n.Counts(0, 1))
	}
	send("healthy")
	got := []string{receive()}
	set(t, n, 0, 1, Rule{Drop: true})
	send("cut")
	awaitCount(func(c Counts) int64 { return c.Cut })
	set(t, n, 0, 1, Rule{Jam: true})
	send("jammed")
	awaitCount(func(c Counts) int64 { return c.Jammed })
	set(t, n, 0, 1, Rule{Delay: 20 * time.Millisecond, Duplicate: 1})
	send("twice")
	got = append(got, receive(), receive(), receive(), receive())
	// What jammed meets the new rule.
	if want := []string{"healthy", "jammed", "jammed", "twice", "twice"}; !slices.Equal(got, want) {
		t.Errorf("%q arrive, must be %q", got, want)
	}
}
