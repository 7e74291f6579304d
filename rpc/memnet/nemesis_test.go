// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAGrudgeCutsExactlyItsLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		hosts := []string{"a", "b", "c"}
		sockets := make(map[string]net.PacketConn)
		for _, h := range hosts {
			p, err := n.ListenPacket(h + ":1")
			if err != nil {
				t.Fatal(err)
			}
			sockets[h] = p
		}
		heard := func() (got []Link) {
			for _, to := range hosts {
				for _, from := range hosts {
					if from != to {
						mustSend(t, sockets[from], to+":1", from)
					}
				}
				for _, k := range arrive(t, sockets[to], time.Now()) {
					got = append(got, Link{k.What, to})
				}
			}
			return got
		}
		n.Cut("c", "b") // which the grudge replaces
		n.Grudge(Link{"a", "b"}, Link{"b", "c"}, Link{"c", "a"})
		n.SetDefaults(Faults{Delay: ms}) // mends nothing
		want := []Link{{"b", "a"}, {"c", "b"}, {"a", "c"}}
		if diff := cmp.Diff(want, heard()); diff != "" {
			t.Errorf("heard (-want +got):\n%s", diff)
		}
		wantStats(t, n, "cut", n.Stats().PacketsCut, 3)
		n.Heal()
		if got := heard(); len(got) != 6 {
			t.Errorf("healed, heard %v", got)
		}
	})
}

func TestACutMeetsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		pa, pb := packetPair(t, n)
		a, b := connect(t, n)
		n.SetFaults("a", "b", Faults{Delay: 10 * ms})
		began := time.Now()
		mustSend(t, pa, "b:1", "gone")
		mustWrite(t, a, "kept")
		n.SetFaults("a", "b", Faults{Delay: ms})
		mustWrite(t, a, "behind")
		time.Sleep(5 * ms)
		n.Cut("a", "b")
		mustWrite(t, a, "back")
		time.Sleep(995 * ms)
		n.Mend("a", "b")
		mustRead(t, b, "keptbehindback")
		if got := time.Since(began); got != 1010*ms {
			t.Errorf("held bytes came after %v, want one delay after the mending", got)
		}
		if got := arrive(t, pb, began); got != nil {
			t.Errorf("a packet came through a cut: %v", got)
		}
		wantStats(t, n, "cut packets", n.Stats().PacketsCut, 1)
		wantStats(t, n, "cut bytes", n.Stats().CutBytes, 14)
	})
}

func TestACutForgetsWhatALinkWasSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := connect(t, n)
		n.SetFaults("a", "b", Faults{Rate: 1000})
		half := string(make([]byte, 500))
		mustWrite(t, a, half)
		time.Sleep(100 * ms)
		n.Cut("a", "b")
		n.Mend("a", "b")
		began := time.Now()
		mustRead(t, b, half)
		if got := time.Since(began); got != 500*ms {
			t.Errorf("sending it again took %v", got)
		}
	})
}

func TestACutHoldsAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, _ := connect(t, n)
		n.SetFaults("b", "a", Faults{Delay: 10 * ms})
		n.Kill("b")
		time.Sleep(5 * ms)
		n.Cut("b", "a")
		if err := readError(t, a, time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a reset came through a cut: %v", err)
		}
		wantResetAfterMending(t, n, a)
	})
}

func TestAKillBehindACutIsNotSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, _ := connect(t, n)
		n.SetFaults("b", "a", Faults{Delay: 10 * ms})
		n.Cut("b", "a")
		n.Kill("b")
		if err := readError(t, a, time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a reset came through a cut: %v", err)
		}
		wantResetAfterMending(t, n, a)
	})
}

// wantResetAfterMending mends the link from b to a; a's end must learn of the reset
// one delay later.
func wantResetAfterMending(t *testing.T, n *Network, a net.Conn) {
	t.Helper()
	n.Mend("b", "a")
	began := time.Now()
	if err := readError(t, a, time.Second); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after mending: %v", err)
	}
	if got := time.Since(began); got != 10*ms {
		t.Errorf("the reset took %v", got)
	}
}

func TestADeadProcessHasNoNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		old := n.Host("b")
		if _, err := old.Listen("c:1"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("listen on another host's address: %v", err)
		}
		if _, err := n.Listen("a:1"); err != nil {
			t.Fatal(err)
		}
		n.Cut("b", "a")
		dials := make(chan error)
		go func() {
			_, err := old.Dial(t.Context(), "a:1")
			dials <- err
		}()
		time.Sleep(time.Second)
		began := time.Now()
		n.Kill("b")
		if err := <-dials; !errors.Is(err, net.ErrClosed) || time.Since(began) != 0 {
			t.Errorf("a dial under way: %v after %v", err, time.Since(began))
		}
		n.Heal()
		_, err1 := old.Listen("b:1")
		_, err2 := old.ListenPacket("b:1")
		_, err3 := old.Dial(t.Context(), "a:1")
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("a dead process: %v", err)
			}
		}
		if _, err := n.Host("b").Dial(t.Context(), "a:1"); err != nil {
			t.Errorf("the next process: %v", err)
		}
	})
}

func TestAKillEndsADialThatWaitsForAFullBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		ln := mustListen(t, n, "b:1")
		fillBacklog(t, n, "c")
		time.AfterFunc(time.Second, func() { n.Kill("a") })
		began := time.Now()
		_, err := n.Dial(t.Context(), "a", "b:1")
		if !errors.Is(err, net.ErrClosed) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		_ = ln.Close()
	})
}

func TestResetsAreOfTwoHostsAndCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := connect(t, n)
		other, err := n.Dial(t.Context(), "c", "b:1")
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Reset("b", "a"); got != 1 {
			t.Errorf("%d were reset", got)
		}
		for _, c := range []net.Conn{a, b} {
			if err := readError(t, c, time.Second); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read: %v", err)
			}
			if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("write: %v", err)
			}
		}
		if got := n.Reset("a", "b"); got != 0 {
			t.Errorf("%d were reset again", got)
		}
		mustWrite(t, other, "whole")
		n.Kill("b")
		wantStats(t, n, "resets", n.Stats().Resets, 2)
		wantStats(t, n, "forced", n.Stats().ResetsForced, 2)
	})
}

func TestAConnectionThatHadEndedIsNotCountedAsReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := connect(t, n)
		_ = b.Close()
		if err := readError(t, a, time.Second); err != io.EOF {
			t.Fatal(err)
		}
		n.Kill("b")
		if err := readError(t, a, time.Second); err != io.EOF {
			t.Errorf("after the kill: %v", err)
		}
		wantStats(t, n, "resets", n.Stats().Resets, 0)
	})
}
