// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"math/rand/v2"
	"time"
)

const (
	// MaxWaiting is how many bytes may wait on one link: enough for 80 MB/s at 50 ms.
	MaxWaiting = 4 << 20
	// A link with a rate keeps what passes in rateQueue, and minQueue bytes at least: a few
	// packets, so that a connection over a very slow link still moves.
	rateQueue = time.Second
	minQueue  = 4 * 1500
	// A reordered packet is held back for holdMin to holdMax longer than its turn.
	holdMin, holdMax = 2 * time.Millisecond, 20 * time.Millisecond
)

// Departure is a packet that leaves.
type Departure struct {
	// At is when, on the clock of Offer. Where it is not later than the packet was offered,
	// Packet may be the offered one; otherwise it is a copy.
	At     time.Duration
	Packet []byte
	// Back says that it goes to the sender of what was offered.
	Back bool
	// Waits are the bytes to hand to Left when it has left.
	Waits int
}

// Link is one direction between two hosts. It is for one goroutine.
type Link struct {
	rule   Rule
	rng    *rand.Rand
	counts Counts

	waiting int           // bytes, of Departures that have not left and of jammed
	jammed  [][]byte      // in the order in which they came
	last    time.Duration // when the last one leaves that was not reordered
	busy    time.Duration // until when the rate is used up
}

// New returns a healthy link.
func New(rng *rand.Rand) *Link { return &Link{rng: rng} }

// Rule is the rule as it is now.
func (l *Link) Rule() Rule { return l.rule }

// Counts are what was seen and done so far.
func (l *Link) Counts() Counts { return l.counts }

// Set changes the rule, which must be valid, and returns what a jam that ends lets go. What
// waits already leaves as it was to leave.
func (l *Link) Set(now time.Duration, r Rule, out []Departure) []Departure {
	l.rule = r
	l.last, l.busy = min(l.last, now), min(l.busy, now)
	if r.Jam {
		return out
	}
	jammed := l.jammed
	l.jammed = nil
	for _, p := range jammed {
		l.waiting -= len(p)
		if r.Drop {
			l.counts.Cut++
			continue
		}
		out = l.pass(now, p, out)
	}
	return out
}

// Left says that bytes which waited have left.
func (l *Link) Left(waited int) { l.waiting -= waited }

// Offer takes a packet, which it does not keep, and adds to out what leaves for it, and when.
func (l *Link) Offer(now time.Duration, p []byte, out []Departure) []Departure {
	l.counts.Packets++
	l.counts.Bytes += int64(len(p))
	switch r := &l.rule; {
	case r.Healthy():
		l.counts.Delivered++
		return append(out, Departure{At: now, Packet: p})
	case r.Drop:
		l.counts.Cut++
		return out
	case r.Jam && l.waiting+len(p) > MaxWaiting:
		l.counts.Overflowed++
		return out
	case r.Jam:
		l.counts.Jammed++
		l.waiting += len(p)
		l.jammed = append(l.jammed, bytes.Clone(p))
		return out
	}
	return l.pass(now, p, out)
}

// pass applies what is left of the rule to a packet.
func (l *Link) pass(now time.Duration, p []byte, out []Departure) []Departure {
	r := l.rule
	if r.Reset {
		if back, forth := Resets(p); back != nil {
			l.counts.Reset++
			out = append(out, Departure{At: now, Packet: back, Back: true})
			if forth != nil {
				out = append(out, Departure{At: now, Packet: forth})
			}
			return out
		}
	}
	if l.chance(r.Loss) {
		l.counts.Lost++
		return out
	}
	at, ok := l.turn(now, len(p))
	late := l.chance(r.Reorder)
	hold := time.Duration(0)
	if late {
		hold = holdMin + time.Duration(l.rng.Int64N(int64(holdMax-holdMin)))
	}
	if !ok || at+hold > now && l.waiting+len(p) > MaxWaiting {
		l.counts.Overflowed++
		return out
	}
	l.counts.Delivered++
	if l.chance(r.Corrupt) && Corruptible(p) {
		l.counts.Corrupted++
		p = bytes.Clone(p)
		Corrupt(l.rng, p)
	}
	if late {
		l.counts.Reordered++
		at += hold
	} else {
		l.last = at
	}
	if at > now {
		l.counts.Delayed++
	}
	out = l.depart(now, at, p, out)
	if l.chance(r.Duplicate) && l.waiting+len(p) <= MaxWaiting {
		l.counts.Duplicated++
		out = l.depart(now, at, p, out)
	}
	return out
}

// chance is true for a share of the calls. A share of 0 draws nothing.
func (l *Link) chance(share float64) bool { return share > 0 && l.rng.Float64() < share }

// turn is when a packet leaves that is not reordered; not ok: too much is before it.
func (l *Link) turn(now time.Duration, size int) (time.Duration, bool) {
	at := now
	if rate := l.rule.Rate; rate > 0 {
		free := max(l.busy, now)
		queue := max(rateQueue, during(minQueue, rate))
		if free-now > queue {
			return 0, false
		}
		l.busy = free + during(size, rate)
		at = l.busy
	}
	at += l.rule.Delay
	if j := l.rule.Jitter; j > 0 {
		at += time.Duration(l.rng.Int64N(int64(j) + 1))
	}
	return max(at, l.last), true
}

// during is how long so many bytes take.
func during(size int, rate int64) time.Duration {
	return time.Duration(float64(size) / float64(rate) * float64(time.Second))
}

func (l *Link) depart(now, at time.Duration, p []byte, out []Departure) []Departure {
	d := Departure{At: at, Packet: p}
	if at > now {
		d.Packet, d.Waits = bytes.Clone(p), len(p)
		l.waiting += len(p)
	}
	return append(out, d)
}
