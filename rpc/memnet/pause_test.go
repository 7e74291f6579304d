// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPausedHostSendsNothingAndReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetDefaults(Faults{Delay: 10 * ms})
		a, b := connect(t, n)
		pa, pb := packetPair(t, n)
		began := time.Now()
		mustWrite(t, b, "left before")
		mustSend(t, pb, "a:1", "left")
		n.Pause("b")
		mustWrite(t, b, "stays")
		mustSend(t, pb, "a:1", "stay")
		mustWrite(t, a, "comes")
		mustSend(t, pa, "b:1", "come")
		mustRead(t, a, "left before")
		if got := time.Since(began); got != 10*ms {
			t.Errorf("what had left took %v", got)
		}
		for _, c := range []net.Conn{a, b} {
			if err := readError(t, c, time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read while a host was paused: %v", err)
			}
		}
		if got := arrive(t, pa, began); len(got) != 1 || got[0].What != "left" {
			t.Errorf("packets from a paused host: %v", got)
		}
		if got := arrive(t, pb, began); got != nil {
			t.Errorf("packets read on a paused host: %v", got)
		}
		time.AfterFunc(time.Second, func() { n.Resume("b") })
		began = time.Now()
		mustRead(t, b, "comes")
		mustRead(t, a, "stays")
		if got := time.Since(began); got != 1010*ms {
			t.Errorf("what was held took %v, want one delay after the pause", got)
		}
		if got := arrive(t, pa, began); len(got) != 1 || got[0] != (arrival{"stay", 1010 * ms}) {
			t.Errorf("packets after the pause: %v", got)
		}
		if got := arrive(t, pb, began); len(got) != 1 || got[0].What != "come" {
			t.Errorf("packets after the pause: %v", got)
		}
		s := n.Stats()
		wantStats(t, n, "paused packets", s.PacketsPaused, 2)
		wantStats(t, n, "paused bytes", s.PausedBytes, 10)
		wantStats(t, n, "pauses", s.Pauses, 1)
	})
}

func TestAReaderGoesOnWhenItsHostDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := packetPair(t, n)
		n.Pause("b")
		mustSend(t, a, "b:1", "wait")
		began := time.Now()
		time.AfterFunc(time.Second, func() { n.Resume("b") })
		if got := arrive(t, b, began); len(got) != 1 || got[0] != (arrival{"wait", time.Second}) {
			t.Errorf("got %v", got)
		}
	})
}

func TestTheKernelOfAPausedHostConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		ln := mustListen(t, n, "b:1")
		back := mustListen(t, n, "a:1")
		began := time.Now()
		n.Pause("b")
		if _, err := n.Dial(t.Context(), "a", "b:1"); err != nil || time.Since(began) != 0 {
			t.Errorf("dial to a paused host: %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Dial(ctx, "b", "a:1"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("dial from a paused host: %v", err)
		}
		wantStats(t, n, "held dials", n.Stats().DialsHeld, 1)
		time.AfterFunc(time.Second, func() { n.Resume("b") })
		if _, err := ln.Accept(); err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("accept: %v after %v", err, time.Since(began))
		}
		if _, err := n.Dial(t.Context(), "b", "a:1"); err != nil {
			t.Error(err)
		}
		_ = errors.Join(ln.Close(), back.Close())
	})
}

func TestAPauseUnderACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := connect(t, n)
		pa, pb := packetPair(t, n)
		n.Pause("a")
		mustSend(t, pa, "b:1", "into the cut")
		mustWrite(t, a, "held twice")
		n.Cut("a", "b")
		n.Resume("a")
		if err := readError(t, b, time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("bytes passed a cut: %v", err)
		}
		n.Pause("a")
		mustSend(t, pa, "b:1", "past")
		n.Mend("a", "b")
		if err := readError(t, b, time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("bytes left a paused host: %v", err)
		}
		began := time.Now()
		time.AfterFunc(time.Second, func() { n.Resume("a") })
		if got := arrive(t, pb, began); len(got) != 1 || got[0] != (arrival{"past", time.Second}) {
			t.Errorf("packets: %v", got)
		}
		mustRead(t, b, "held twice")
	})
}

func TestAPausedHostHoldsABoundedNumberOfPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := packetPair(t, n)
		n.Pause("a")
		send(t, a, packetQueue+7)
		wantStats(t, n, "overrun", n.Stats().PacketsOverrun, 7)
		n.Resume("a")
		if got := drain(t, b); len(got) != packetQueue {
			t.Errorf("%d came", len(got))
		}
	})
}

func TestAPauseEndsWithTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetFaults("b", "a", Faults{Delay: 10 * ms})
		a, b := connect(t, n)
		pa, pb := packetPair(t, n)
		n.Pause("b")
		mustWrite(t, b, "never left")
		mustSend(t, pb, "a:1", "never left")
		reads := make(chan error)
		go func() {
			_, err := b.Read(make([]byte, 1))
			reads <- err
		}()
		synctest.Wait()
		began := time.Now()
		n.Kill("b")
		if err := <-reads; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read on the killed host: %v", err)
		}
		if err := readError(t, a, time.Second); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a read of its peer: %v", err)
		}
		if got := time.Since(began); got != 10*ms {
			t.Errorf("the reset took %v", got)
		}
		if got := arrive(t, pa, began); got != nil {
			t.Errorf("packets of a dead process: %v", got)
		}
		a, b = connect(t, n)
		mustWrite(t, b, "not paused")
		mustRead(t, a, "not paused")
	})
}
