// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func packetPair(t testing.TB, n *Network) (a, b net.PacketConn) {
	t.Helper()
	var err error
	if a, err = n.ListenPacket("a:1"); err != nil {
		t.Fatal(err)
	}
	if b, err = n.ListenPacket("b:1"); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// drain reads what comes within a second.
func drain(t testing.TB, p net.PacketConn) (got []string) {
	t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(time.Second))
	buf := make([]byte, 100)
	for {
		n, from, err := p.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got
		}
		if err != nil || from.String() != "a:1" {
			t.Fatalf("from %v: %v", from, err)
		}
		got = append(got, string(buf[:n]))
	}
}

func send(t testing.TB, p net.PacketConn, count int) (sent []string) {
	t.Helper()
	for i := range count {
		s := fmt.Sprintf("%04d", i)
		if n, err := p.WriteTo([]byte(s), Addr("b:1")); n != 4 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		sent = append(sent, s)
	}
	return sent
}

func TestPacketsComeWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := packetPair(t, New(1))
		sent := send(t, a, 10)
		if got := drain(t, b); !slices.Equal(got, sent) {
			t.Errorf("got %v", got)
		}
	})
}

func TestPacketsAreLostDoubledAndReordered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := packetPair(t, n)
		n.SetFaults("a", "b", Faults{Jitter: 100 * time.Millisecond, Loss: 0.3, Twice: 0.2})
		sent := send(t, a, 500)
		got := drain(t, b)
		if slices.IsSorted(got) {
			t.Error("nothing was reordered")
		}
		slices.Sort(got)
		distinct := len(slices.Compact(slices.Clone(got)))
		if lost := len(sent) - distinct; lost < 100 || lost > 200 {
			t.Errorf("%d of %d were lost", lost, len(sent))
		}
		if twice := len(got) - distinct; twice < 35 || twice > 105 {
			t.Errorf("%d of %d came twice", twice, distinct)
		}
		s := n.Stats()
		if int(s.PacketsLost) != len(sent)-distinct || int(s.PacketsTwice) != len(got)-distinct {
			t.Errorf("counted %+v", s)
		}
	})
}

func TestPacketsDoNotPassACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := packetPair(t, n)
		n.Partition([]string{"a"}, []string{"b", "c"})
		send(t, a, 3)
		if got := drain(t, b); got != nil {
			t.Errorf("got %v", got)
		}
		if n.IsCut("b", "c") || !n.IsCut("c", "a") {
			t.Error("the partition cut other links than those between its groups")
		}
		n.Heal()
		send(t, a, 1)
		if got := drain(t, b); len(got) != 1 {
			t.Errorf("after healing: %v", got)
		}
	})
}

func TestAPacketSocketHoldsABoundedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := packetPair(t, n)
		send(t, a, packetQueue+5)
		if got := drain(t, b); len(got) != packetQueue {
			t.Errorf("%d came, the queue holds %d", len(got), packetQueue)
		}
		if s := n.Stats(); s.PacketsOverrun != 5 {
			t.Errorf("%+v", s)
		}
	})
}

func TestPacketSocketsCloseAndRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := packetPair(t, n)
		if _, err := n.ListenPacket("a:1"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("opened twice: %v", err)
		}
		long := make([]byte, maxPacket+1)
		if _, err := a.WriteTo(long, Addr("b:1")); !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("too long: %v", err)
		}
		if _, err := a.WriteTo([]byte("x"), Addr("nowhere:1")); err != nil {
			t.Errorf("to nowhere: %v", err)
		}
		time.AfterFunc(time.Second, func() { _ = b.Close() })
		if _, _, err := b.ReadFrom(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read of a socket that closes: %v", err)
		}
		n.Kill("a")
		if _, err := a.WriteTo([]byte("x"), Addr("b:1")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write on a killed host: %v", err)
		}
		if _, err := n.ListenPacket("a:1"); err != nil {
			t.Errorf("after the kill: %v", err)
		}
	})
}
