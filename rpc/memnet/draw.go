// SPDX-License-Identifier: Apache-2.0

package memnet

import "time"

// drawn is what a segment or packet meets.
type drawn struct {
	// delay is that of the message, again that of its second copy.
	delay, again time.Duration
	// late is how much later a packet comes, so that others overtake it.
	late time.Duration
	// losses is how often it is lost before it passes.
	losses             int
	slow, twice, reset bool
}

// The decisions about one message. Each has a number of its own, so that a fault
// that is switched on changes no other decision.
const (
	drawDelay uint64 = iota + 1
	drawAgain
	drawReset
	drawTwice
	drawSlow
	drawSlowBy
	drawLate
	drawLateBy
	drawLoss // and those that follow: one for each time it is lost
)

// draw decides about one segment or packet, by a hash of what names it.
func (l *link) draw(conn, message uint64) drawn {
	h := mix(mix(l.key^conn) ^ message)
	f := &l.faults
	var d drawn
	d.delay = f.Delay + fraction(h, drawDelay, f.Jitter)
	d.again = f.Delay + fraction(h, drawAgain, f.Jitter)
	if d.slow = chance(h, drawSlow, f.Slow); d.slow {
		d.delay += fraction(h, drawSlowBy, f.SlowBy)
	}
	if chance(h, drawLate, f.Reorder) {
		d.late = fraction(h, drawLateBy, f.reorderBy())
	}
	d.reset = chance(h, drawReset, f.Reset)
	d.twice = chance(h, drawTwice, f.Twice)
	for d.losses < maxLosses && chance(h, drawLoss+uint64(d.losses), f.Loss) {
		d.losses++
	}
	return d
}

// keyOf is what the seed and the names of two hosts give.
func keyOf(seed uint64, l Link) uint64 {
	h := mix(seed)
	for _, s := range []string{l.From, l.To} {
		for i := range len(s) {
			h = mix(h ^ uint64(s[i]))
		}
		h = mix(h ^ 0x100)
	}
	return h
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

// unit is a number from 0 up to 1, the i-th that h gives.
func unit(h, i uint64) float64 { return float64(mix(h+i)>>11) / (1 << 53) }

func chance(h, i uint64, p float64) bool { return p > 0 && unit(h, i) < p }

func fraction(h, i uint64, most time.Duration) time.Duration {
	return time.Duration(unit(h, i) * float64(most))
}
