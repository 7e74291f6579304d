// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func newLink(r Rule) *Link {
	l := New(rand.New(rand.NewPCG(1, 2)))
	l.Set(0, r, nil)
	return l
}

// udp is a packet of one byte more than its headers, with its checksum.
func udp(content byte) []byte {
	p := make([]byte, ipHeader+udpHeader+1)
	p[0], p[3], p[9] = 4<<4|ipHeader/4, byte(len(p)), protoUDP
	copy(p[12:], []byte{10, 79, 0, 1, 10, 79, 0, 2})
	copy(p[ipHeader:], []byte{1, 2, 3, 4, 0, udpHeader + 1})
	p[len(p)-1] = content
	Complete(p)
	return p
}

// offer has packets go at the times.
func offer(l *Link, times ...time.Duration) (out []Departure) {
	for i, t := range times {
		out = l.Offer(t, udp(byte(i)), out)
	}
	return out
}

func every(n int, step time.Duration) (times []time.Duration) {
	for i := range n {
		times = append(times, time.Duration(i)*step)
	}
	return times
}

func TestAHealthyLinkLetsAllThroughAtOnce(t *testing.T) {
	l := newLink(Rule{})
	for i, d := range offer(l, every(100, time.Millisecond)...) {
		if d.At != time.Duration(i)*time.Millisecond || !bytes.Equal(d.Packet, udp(byte(i))) {
			t.Fatalf("packet %d leaves as %+v", i, d)
		}
	}
	if c := l.Counts(); c.Delivered != 100 || c.Packets != 100 || c.Bites() != 0 {
		t.Errorf("counts are %+v", c)
	}
}

func TestACutLinkLetsNothingThrough(t *testing.T) {
	l := newLink(Rule{Drop: true, Duplicate: 1})
	if out := offer(l, every(100, 0)...); len(out) != 0 {
		t.Errorf("%d packets passed", len(out))
	}
	if c := l.Counts(); c.Cut != 100 || c.Delivered != 0 {
		t.Errorf("counts are %+v", c)
	}
}

func TestSharesAreThoseOfTheRule(t *testing.T) {
	const n, share = 20_000, 0.1
	cases := []struct {
		name  string
		rule  Rule
		count func(Counts) int64
		leave func(c Counts) int64 // how many packets must leave
	}{
		{"loss", Rule{Loss: share}, func(c Counts) int64 { return c.Lost },
			func(c Counts) int64 { return n - c.Lost }},
		{"duplicate", Rule{Duplicate: share}, func(c Counts) int64 { return c.Duplicated },
			func(c Counts) int64 { return n + c.Duplicated }},
		{"reorder", Rule{Reorder: share}, func(c Counts) int64 { return c.Reordered },
			func(Counts) int64 { return n }},
		{"corrupt", Rule{Corrupt: share}, func(c Counts) int64 { return c.Corrupted },
			func(Counts) int64 { return n }},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			l := newLink(test.rule)
			out := offer(l, every(n, time.Second)...)
			got := float64(test.count(l.Counts())) / n
			if math.Abs(got-share) > 0.01 {
				t.Errorf("it met %.3f of the packets, must be %v", got, share)
			}
			if want := test.leave(l.Counts()); int64(len(out)) != want {
				t.Errorf("%d packets leave, must be %d", len(out), want)
			}
			if again := offer(newLink(test.rule), every(n, time.Second)...); !slices.EqualFunc(
				out, again, func(a, b Departure) bool {
					return a.At == b.At && bytes.Equal(a.Packet, b.Packet)
				}) {
				t.Error("the same seed gives other departures")
			}
		})
	}
}

func TestADelayIsAddedAndJitterKeepsTheOrder(t *testing.T) {
	l := newLink(Rule{Delay: 50 * time.Millisecond})
	for i, d := range offer(l, every(50, time.Millisecond)...) {
		if want := time.Duration(50+i) * time.Millisecond; d.At != want {
			t.Fatalf("packet %d leaves at %v, must be %v", i, d.At, want)
		}
	}
	l = newLink(Rule{Delay: 50 * time.Millisecond, Jitter: 20 * time.Millisecond})
	times := every(5000, 100*time.Microsecond)
	last, spread := time.Duration(0), map[time.Duration]bool{}
	for i, d := range offer(l, times...) {
		late := d.At - times[i]
		spread[late.Round(time.Millisecond)] = true
		if d.At < last || late < 50*time.Millisecond || late > 70*time.Millisecond {
			t.Fatalf("packet %d leaves at %v, the one before at %v", i, d.At, last)
		}
		last = d.At
		l.Left(d.Waits)
	}
	if len(spread) < 5 {
		t.Errorf("all are late by %v", spread)
	}
}

func TestReorderedPacketsAreOvertaken(t *testing.T) {
	l := newLink(Rule{Reorder: 0.2})
	out := offer(l, every(1000, time.Millisecond)...)
	overtaken := int64(0)
	for i, d := range out[:len(out)-30] {
		if slices.ContainsFunc(out[i+1:i+30], func(o Departure) bool { return o.At < d.At }) {
			overtaken++
		}
	}
	if c := l.Counts(); overtaken < c.Reordered*8/10 || overtaken == 0 {
		t.Errorf("%d were overtaken, counts are %+v", overtaken, c)
	}
}

func TestARateIsKeptAndItsQueueBounded(t *testing.T) {
	const rate = 10_000
	l := newLink(Rule{Rate: rate})
	size := len(udp(0))
	out := offer(l, every(20_000, 100*time.Microsecond)...) // 290 kB/s for 2 s
	sent := size * len(out)
	last := out[len(out)-1].At
	if got := float64(sent) / last.Seconds(); math.Abs(got-rate) > rate/100 {
		t.Errorf("%.0f bytes a second pass, must be %d", got, rate)
	}
	if last > 2*time.Second+rateQueue+during(minQueue, rate) {
		t.Errorf("the last one leaves at %v: the queue has no bound", last)
	}
	if c := l.Counts(); c.Overflowed+c.Delivered != c.Packets || c.Overflowed == 0 {
		t.Errorf("counts are %+v", c)
	}
}

func TestAJamLetsGoInOrderWhenItEnds(t *testing.T) {
	l := newLink(Rule{Jam: true})
	if out := offer(l, every(100, time.Millisecond)...); len(out) != 0 {
		t.Fatalf("%d passed the jam", len(out))
	}
	out := l.Set(time.Second, Rule{}, nil)
	if len(out) != 100 {
		t.Fatalf("%d of 100 were let go", len(out))
	}
	for i, d := range out {
		if d.At != time.Second || !bytes.Equal(d.Packet, udp(byte(i))) {
			t.Fatalf("packet %d leaves as %+v", i, d)
		}
	}
	if c := l.Counts(); c.Jammed != 100 || c.Delivered != 100 || l.waiting != 0 {
		t.Errorf("counts are %+v, %d bytes wait", c, l.waiting)
	}
}

func TestAJamThatBecomesACutLosesWhatItKept(t *testing.T) {
	l := newLink(Rule{Jam: true})
	offer(l, every(10, 0)...)
	if out := l.Set(1, Rule{Drop: true}, nil); len(out) != 0 || l.Counts().Cut != 10 {
		t.Errorf("%d were let go, counts are %+v", len(out), l.Counts())
	}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	for name, r := range map[string]Rule{
		"jam": {Jam: true}, "delay": {Delay: time.Minute}, "duplicates": {Delay: 1, Duplicate: 1},
		"reordered": {Reorder: 1},
	} {
		l := newLink(r)
		big := append(udp(0), make([]byte, 60_000)...)
		var out []Departure
		for range 200 {
			out = l.Offer(0, big, out)
		}
		if l.waiting > MaxWaiting || l.waiting < MaxWaiting/2 {
			t.Errorf("%s: %d bytes wait, at most %d may", name, l.waiting, MaxWaiting)
		}
		c := l.Counts()
		if c.Overflowed == 0 || c.Delivered+c.Overflowed+c.Jammed != c.Packets {
			t.Errorf("%s: counts are %+v", name, c)
		}
		for _, d := range out {
			l.Left(d.Waits)
		}
		l.Set(0, Rule{}, nil)
		if l.waiting != 0 {
			t.Errorf("%s: %d bytes wait in the end", name, l.waiting)
		}
	}
}

func TestWhatLeavesLaterIsACopy(t *testing.T) {
	for name, r := range map[string]Rule{"delay": {Delay: 1}, "jam": {Jam: true}} {
		l := newLink(r)
		p := udp(7)
		out := l.Offer(0, p, nil)
		clear(p)
		out = l.Set(1, Rule{}, out)
		if len(out) != 1 || !bytes.Equal(out[0].Packet, udp(7)) {
			t.Errorf("%s: the packet changed with the buffer: %+v", name, out)
		}
	}
}

func TestRulesOutOfBoundsAreRefused(t *testing.T) {
	for _, r := range []Rule{
		{Loss: -0.1}, {Loss: 1.1}, {Duplicate: math.NaN()}, {Reorder: 2}, {Corrupt: -1},
		{Delay: -1}, {Delay: MaxDelay + 1}, {Jitter: -1}, {Jitter: MaxDelay + 1}, {Rate: -1},
	} {
		if err := r.Validate(); err == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
	ok := Rule{
		Drop: true, Jam: true, Reset: true, Loss: 1, Duplicate: 1, Reorder: 1, Corrupt: 1,
		Delay: MaxDelay, Jitter: MaxDelay, Rate: 1,
	}
	if err := ok.Validate(); err != nil {
		t.Error(err)
	}
}

func TestCountsAddUp(t *testing.T) {
	a := Counts{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	if got := a.Plus(a).Minus(a); got != a {
		t.Errorf("%+v, must be %+v", got, a)
	}
	if got, want := a.Bites(), int64(4+5+6+7+8+9+10+11+12); got != want {
		t.Errorf("%d bites, must be %d", got, want)
	}
}
