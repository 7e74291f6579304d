// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect listens on b:1 and returns both ends of a connection from a to it.
func connect(t testing.TB, n *Network) (dialed, accepted net.Conn) {
	t.Helper()
	ln := mustListen(t, n, "b:1")
	t.Cleanup(func() { _ = ln.Close() })
	return pair(t, n, ln)
}

// pair returns both ends of another one to the listener of b:1.
func pair(t testing.TB, n *Network, ln net.Listener) (dialed, accepted net.Conn) {
	t.Helper()
	dialed, err := n.Dial(t.Context(), "a", "b:1")
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return dialed, accepted
}

func mustListen(t testing.TB, n *Network, addr string) net.Listener {
	t.Helper()
	ln, err := n.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// fillBacklog dials b:1 until nothing more goes into its backlog.
func fillBacklog(t testing.TB, n *Network, from string) {
	t.Helper()
	for range backlog {
		if _, err := n.Dial(t.Context(), from, "b:1"); err != nil {
			t.Fatal(err)
		}
	}
}

func mustWrite(t testing.TB, c net.Conn, s string) {
	t.Helper()
	if n, err := c.Write([]byte(s)); n != len(s) || err != nil {
		t.Fatalf("write %q: %d, %v", s, n, err)
	}
}

// mustRead reads exactly what is wanted, in at most a minute of the bubble's time.
func mustRead(t testing.TB, c net.Conn, want string) {
	t.Helper()
	buf := make([]byte, len(want))
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != want {
		t.Fatalf("read %q, %v; want %q", buf, err, want)
	}
}

// readError returns how the next read within d fails.
func readError(t testing.TB, c net.Conn, d time.Duration) error {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(d))
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	if n != 0 {
		t.Fatalf("read %q, wanted an error", buf[:n])
	}
	return err
}

func TestBytesArriveInOrderAfterTheirDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetDefaults(Faults{Delay: 10 * time.Millisecond})
		began := time.Now()
		a, b := connect(t, n)
		if got := time.Since(began); got != 20*time.Millisecond {
			t.Errorf("a dial took %v, want one round trip", got)
		}
		began = time.Now()
		mustWrite(t, a, "one")
		mustWrite(t, a, "two")
		mustRead(t, b, "onetwo")
		if got := time.Since(began); got != 10*time.Millisecond {
			t.Errorf("bytes took %v", got)
		}
	})
}

func TestCloseIsSeenAsEndBehindTheBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetDefaults(Faults{Delay: time.Millisecond})
		a, b := connect(t, n)
		mustWrite(t, a, "bye")
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		mustRead(t, b, "bye")
		for range 2 {
			if err := readError(t, b, time.Second); err != io.EOF {
				t.Fatalf("after the end: %v", err)
			}
		}
		if err := readError(t, a, time.Second); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read of a closed end: %v", err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write towards a closed end: %v", err)
		}
		if err := a.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second close: %v", err)
		}
	})
}

func TestHalfCloseLeavesTheOtherDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t, New(1))
		if err := a.(*conn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := readError(t, b, time.Second); err != io.EOF {
			t.Fatal(err)
		}
		mustWrite(t, b, "still here")
		mustRead(t, a, "still here")
		if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write after half close: %v", err)
		}
	})
}

func TestCloseWithUnreadBytesResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetDefaults(Faults{Delay: time.Millisecond})
		a, b := connect(t, n)
		mustWrite(t, a, "a question that nobody reads")
		time.Sleep(2 * time.Millisecond)
		mustWrite(t, b, "an answer")
		_ = b.Close()
		if err := readError(t, a, time.Second); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v, want a reset that destroyed the answer", err)
		}
	})
}

func TestDeadlinesEndReadsAndWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t, New(1))
		if err := readError(t, a, 3*time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		began := time.Now()
		_ = b.SetWriteDeadline(began.Add(5 * time.Second))
		total, err := b.Write(make([]byte, 10<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) || total != streamBytes {
			t.Errorf("write that nobody reads: %d, %v", total, err)
		}
		if got := time.Since(began); got != 5*time.Second {
			t.Errorf("it took %v", got)
		}
		// A deadline that is set while a read waits ends that read.
		_ = b.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { _ = b.SetReadDeadline(time.Now()) })
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read with a deadline that came later: %v", err)
		}
	})
}

func TestShortWritesAreBoundedByTheirNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t, New(1))
		_ = a.SetWriteDeadline(time.Now().Add(time.Second))
		for range streamSegments {
			mustWrite(t, a, "x")
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("one write too many: %v", err)
		}
		_ = a.SetWriteDeadline(time.Time{})
		mustRead(t, b, "x")
		mustWrite(t, a, "x")
	})
}

func TestAWriterWaitsForAReaderAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(7)
		n.SetDefaults(Faults{Delay: time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.2})
		a, b := connect(t, n)
		want := make([]byte, 3<<20)
		r := rand.New(rand.NewPCG(1, 2))
		for i := range want {
			want[i] = byte(r.Uint32())
		}
		wrote := make(chan error, 1)
		go func() {
			_, err := a.Write(want)
			_ = a.Close()
			wrote <- err
		}()
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %d bytes, %v; want %d, the same", len(got), err, len(want))
		}
		if err := <-wrote; err != nil {
			t.Error(err)
		}
		if s := n.Stats(); s.Stalls == 0 {
			t.Errorf("nothing was lost on the way: %+v", s)
		}
	})
}

func TestACutHoldsWhatIsUnderWayAndKeepsWhatHasLanded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetDefaults(Faults{Delay: 10 * time.Millisecond})
		a, b := connect(t, n)
		mustWrite(t, a, "landed")
		time.Sleep(10 * time.Millisecond)
		mustWrite(t, a, "held")
		n.Cut("a", "b")
		time.Sleep(time.Second)
		mustRead(t, b, "landed")
		if err := readError(t, b, time.Minute); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read over a cut link: %v", err)
		}
		mustWrite(t, b, "the other direction")
		mustRead(t, a, "the other direction")
		time.AfterFunc(time.Second, func() { n.Mend("a", "b") })
		mustRead(t, b, "held")
	})
}

func TestACutHidesTheEndFromTheOtherSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := connect(t, n)
		n.Cut("a", "b")
		_ = a.Close()
		if err := readError(t, b, time.Hour); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the end passed a cut link: %v", err)
		}
		mustWrite(t, b, "into the void")
		n.Heal()
		if err := readError(t, b, time.Second); err != io.EOF {
			t.Fatalf("after healing: %v", err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Fatalf("after healing: %v", err)
		}
	})
}

func TestDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		if _, err := n.Dial(t.Context(), "a", "b:9"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("where nobody listens: %v", err)
		}
		ln := mustListen(t, n, "b:1")
		if _, err := n.Listen("b:1"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("listening twice: %v", err)
		}
		n.Cut("b", "a")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := n.Dial(ctx, "a", "b:1"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("over a cut link: %v", err)
		}
		time.AfterFunc(3*time.Second, n.Heal)
		began := time.Now()
		c, err := n.Dial(t.Context(), "a", "b:1")
		if err != nil || time.Since(began) != 3*time.Second {
			t.Fatalf("while the link heals: %v after %v", err, time.Since(began))
		}
		_ = ln.Close()
		if err := readError(t, c, time.Second); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("listener closed before accepting: %v", err)
		}
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept of a closed listener: %v", err)
		}
	})
}

func TestAFullBacklogMakesDialersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		ln := mustListen(t, n, "b:1")
		fillBacklog(t, n, "a")
		time.AfterFunc(time.Second, func() { _, _ = ln.Accept() })
		began := time.Now()
		if _, err := n.Dial(t.Context(), "a", "b:1"); err != nil || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestKillResetsWhatTheHostHadAndLetsItComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetDefaults(Faults{Delay: time.Millisecond})
		a, b := connect(t, n)
		mustWrite(t, b, "landed")
		time.Sleep(time.Millisecond)
		mustWrite(t, b, "lost")
		n.Kill("b")
		mustRead(t, a, "landed")
		if err := readError(t, a, time.Second); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read from a killed host: %v", err)
		}
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read on a killed host: %v", err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write on a killed host: %v", err)
		}
		a, b = connect(t, n)
		mustWrite(t, a, "again")
		mustRead(t, b, "again")
	})
}

func TestAResetIsDrawnPerSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(3)
		a, b := connect(t, n)
		n.SetFaults("a", "b", Faults{Reset: 1})
		if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write: %v", err)
		}
		if err := readError(t, b, time.Second); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v", err)
		}
	})
}

// arrivals returns when each of 50 messages arrives, for a seed.
func arrivals(t *testing.T, seed uint64) (times []time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		n := New(seed)
		a, b := connect(t, n)
		n.SetFaults("a", "b", Faults{Delay: time.Millisecond, Jitter: time.Second, Loss: 0.1})
		began := time.Now()
		for range 50 {
			mustWrite(t, a, "x")
			mustRead(t, b, "x")
			times = append(times, time.Since(began))
		}
	})
	return times
}

func TestOneSeedGivesOneHistory(t *testing.T) {
	first, again, other := arrivals(t, 5), arrivals(t, 5), arrivals(t, 6)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the same seed (-first +again):\n%s", diff)
	}
	if cmp.Equal(first, other) {
		t.Error("two seeds gave the same history")
	}
}
