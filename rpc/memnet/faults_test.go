// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ms = time.Millisecond

// arrival is a packet that came, and when.
type arrival struct {
	What string
	At   time.Duration
}

// arrive returns what comes to p within the next minute, since began.
func arrive(t testing.TB, p net.PacketConn, began time.Time) (got []arrival) {
	t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 2000)
	for {
		n, _, err := p.ReadFrom(buf)
		if err != nil {
			return got
		}
		got = append(got, arrival{string(buf[:min(n, 4)]), time.Since(began)})
	}
}

func mustSend(t testing.TB, p net.PacketConn, to, s string) {
	t.Helper()
	if n, err := p.WriteTo([]byte(s), Addr(to)); n != len(s) || err != nil {
		t.Fatalf("send %q: %d, %v", s, n, err)
	}
}

func wantStats(t testing.TB, n *Network, what string, got, want uint64) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d, want %d; all: %+v", what, got, want, n.Stats())
	}
}

func TestAPacketComesWhenItsNumberSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := Faults{
			Delay: ms, Jitter: 50 * ms, Loss: 0.2, Twice: 0.2, Slow: 0.1, SlowBy: 5 * time.Second,
			Reorder: 0.2, ReorderBy: time.Second,
		}
		n, twin := New(9), New(9)
		a, b := packetPair(t, n)
		n.SetFaults("a", "b", f)
		twin.SetDefaults(f)
		sent := send(t, a, 200)
		var want []arrival
		for i, s := range sent {
			d := twin.link("a", "b").draw(0, uint64(i+1))
			if d.losses > 0 {
				continue
			}
			want = append(want, arrival{s, d.delay + d.late})
			if d.twice {
				want = append(want, arrival{s, d.again})
			}
		}
		slices.SortStableFunc(want, func(x, y arrival) int { return int(x.At - y.At) })
		if diff := cmp.Diff(want, arrive(t, b, time.Now())); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if s := n.Stats(); s.Slowed == 0 || s.Delivered != uint64(len(want)) {
			t.Errorf("%+v", s)
		}
	})
}

// The draws are part of what a seed means: a failure that was kept by its seed must
// stay one.
func TestTheDrawsOfASeedStayWhatTheyAre(t *testing.T) {
	n := New(42)
	n.SetDefaults(Faults{
		Jitter: time.Second, Slow: 0.5, SlowBy: time.Second, Loss: 0.5, Twice: 0.5, Reset: 0.5,
		Reorder: 0.5,
	})
	var got []drawn
	for _, name := range [][3]uint64{{0, 1}, {0, 2}, {1, 1}} {
		got = append(got, n.link("10.0.0.1", "10.0.0.2").draw(name[0], name[1]))
	}
	got = append(got, n.link("10.0.0.2", "10.0.0.1").draw(0, 1))
	want := []drawn{
		{
			delay: 1469457935, again: 814137309, late: 15631971, losses: 2,
			slow: true, reset: true,
		},
		{delay: 446559039, again: 622328809, losses: 3, slow: true, twice: true},
		{delay: 343390930, again: 147759346, late: 4552852, losses: 1},
		{delay: 540521780, again: 516230497, late: 10934662, losses: 1},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(drawn{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFaultThatIsSwitchedOnChangesNoOtherDecision(t *testing.T) {
	plain, wild := New(1), New(1)
	plain.SetDefaults(Faults{Jitter: time.Second, Loss: 0.3})
	wild.SetDefaults(Faults{
		Jitter: time.Second, Loss: 0.3, Twice: 0.5, Reset: 0.5, Reorder: 0.5, Rate: 1000,
	})
	for i := range uint64(100) {
		p, w := plain.link("a", "b").draw(1, i), wild.link("a", "b").draw(1, i)
		if p.delay != w.delay || p.losses != w.losses {
			t.Fatalf("message %d: %+v, and with more faults %+v", i, p, w)
		}
	}
}

func TestPacketsThatAreHeldBackAreOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(4)
		a, b := packetPair(t, n)
		n.SetFaults("a", "b", Faults{Delay: ms, Reorder: 0.2})
		sent := send(t, a, 500)
		got := drain(t, b)
		var overtaken uint64
		highest := ""
		for _, s := range got {
			if s < highest {
				overtaken++
			}
			highest = max(highest, s)
		}
		if overtaken < 60 || overtaken > 140 {
			t.Errorf("%d of %d were overtaken", overtaken, len(sent))
		}
		wantStats(t, n, "reordered", n.Stats().PacketsReordered, overtaken)
		slices.Sort(got)
		if !slices.Equal(got, sent) {
			t.Errorf("%d came of %d", len(got), len(sent))
		}
	})
}

func TestEveryPacketTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := packetPair(t, n)
		n.SetFaults("a", "b", Faults{Delay: ms, Twice: 1})
		send(t, a, 2)
		want := []arrival{{"0000", ms}, {"0000", ms}, {"0001", ms}, {"0001", ms}}
		if diff := cmp.Diff(want, arrive(t, b, time.Now())); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		wantStats(t, n, "twice", n.Stats().PacketsTwice, 2)
	})
}

func TestALinkWithARateSendsOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, _ := packetPair(t, n)
		dialed, accepted := connect(t, n)
		n.SetFaults("a", "b", Faults{Delay: 10 * ms, Rate: 1000})
		began := time.Now()
		mustSend(t, a, "b:1", string(make([]byte, 500)))
		mustWrite(t, dialed, string(make([]byte, 250)))
		mustSend(t, a, "b:1", "four")
		mustWrite(t, accepted, "the other direction")
		mustRead(t, dialed, "the other direction")
		if got := time.Since(began); got != 0 {
			t.Errorf("the other direction took %v", got)
		}
		mustRead(t, accepted, string(make([]byte, 250)))
		if got := time.Since(began); got != 760*ms {
			t.Errorf("the stream's bytes took %v", got)
		}
		wantStats(t, n, "throttled", n.Stats().Throttled, 3)
	})
}

func TestPacketsWaitForARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := packetPair(t, n)
		n.SetFaults("a", "b", Faults{Delay: 10 * ms, Rate: 1000})
		mustSend(t, a, "b:1", "long"+string(make([]byte, 496)))
		mustSend(t, a, "b:1", "four")
		want := []arrival{{"long", 510 * ms}, {"four", 514 * ms}}
		if diff := cmp.Diff(want, arrive(t, b, time.Now())); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestALostSegmentStallsAStreamAndALostSynADial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetFaults("a", "b", Faults{Loss: 1, Stall: 10 * ms}) // lost maxLosses times
		began := time.Now()
		a, b := connect(t, n)
		if got := time.Since(began); got != 630*ms {
			t.Errorf("the dial took %v", got)
		}
		began = time.Now()
		mustWrite(t, a, "late")
		mustRead(t, b, "late")
		if got := time.Since(began); got != 630*ms {
			t.Errorf("the bytes took %v", got)
		}
		wantStats(t, n, "stalls", n.Stats().Stalls, 2)
	})
}

func TestALongTailSlowsStreamsWithoutReorderingThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(2)
		a, b := connect(t, n)
		n.SetFaults("a", "b", Faults{Delay: ms, Slow: 0.1, SlowBy: time.Second})
		twin := New(2)
		twin.SetDefaults(n.Faults("a", "b"))
		began := time.Now()
		var slowest time.Duration
		slowed := uint64(0)
		for i := range uint64(30) {
			mustWrite(t, a, string(rune('a'+i)))
			d := twin.link("a", "b").draw(1, i+1)
			slowest = max(slowest, d.delay)
			if d.slow {
				slowed++
			}
		}
		mustRead(t, b, "abcdefghijklmnopqrstuvwxyz{|}~")
		if got := time.Since(began); got != slowest || slowed == 0 {
			t.Errorf("took %v, want the slowest of its segments, %v", got, slowest)
		}
		wantStats(t, n, "slowed", n.Stats().Slowed, slowed)
	})
}
