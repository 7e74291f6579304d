// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"syscall"
	"time"
)

// Faults is what one direction between two hosts does to what passes it. The zero
// value delivers at once and loses nothing. Chances are 0 to 1.
type Faults struct {
	// Delay is what everything takes, Jitter the most that is drawn on top.
	Delay, Jitter time.Duration
	// Loss is the chance that a packet vanishes, and that a segment of a stream has
	// to be sent again: it and what is behind it come Stall later, doubled each
	// time it is lost again.
	Loss float64
	// Stall is the first pause of a stream after a loss. 0 means 200 ms.
	Stall time.Duration
	// Twice is the chance that a packet comes twice, each with its own delay.
	Twice float64
	// Reset is the chance, for each segment, that it resets its stream.
	Reset float64
	// Cut lets nothing pass. Streams hold what they have; packets vanish.
	Cut bool
}

const (
	defaultStall = 200 * time.Millisecond
	// maxLosses bounds how often one segment is lost: 200 ms doubled 6 times is
	// 12.8 s, beyond which a cut is the better model.
	maxLosses = 6
)

// link is one direction between two hosts. Guarded by the network's mutex.
type link struct {
	pair
	faults Faults
	// changed wakes those who wait for the link to be healed.
	changed wake
	// streams and sent number the connections and packets, for the draws.
	streams, sent uint64
	// open holds the streams that pass here.
	open map[*stream]struct{}
}

// SetDefaults sets the faults of every link, those included that have their own.
func (n *Network) SetDefaults(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.defaults = f
	for _, l := range n.links {
		n.set(l, f)
	}
}

// SetFaults sets the faults from one host to another, in this direction only.
func (n *Network) SetFaults(from, to string, f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.set(n.link(host(from), host(to)), f)
}

// Faults returns those from one host to another.
func (n *Network) Faults(from, to string) Faults {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link(host(from), host(to)).faults
}

// Cut cuts the link from one host to another, in this direction only.
func (n *Network) Cut(from, to string) { n.setCut(from, to, true) }

// Mend undoes Cut.
func (n *Network) Mend(from, to string) { n.setCut(from, to, false) }

func (n *Network) setCut(from, to string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.link(host(from), host(to))
	f := l.faults
	f.Cut = cut
	n.set(l, f)
}

// Partition cuts every link between hosts of different groups, both ways, and
// mends those within a group. Links of hosts that are in no group stay as they are.
// A grudge, where who cuts whom is not symmetric, is set by Cut.
func (n *Network) Partition(groups ...[]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, group := range groups {
		for j, other := range groups {
			for _, from := range group {
				for _, to := range other {
					if from == to {
						continue
					}
					l := n.link(host(from), host(to))
					f := l.faults
					f.Cut = i != j
					n.set(l, f)
				}
			}
		}
	}
}

// Heal mends every link that is cut; other faults stay.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.defaults.Cut = false
	for _, l := range n.links {
		f := l.faults
		f.Cut = false
		n.set(l, f)
	}
}

// set changes the faults of a link. What has landed by now stays landed.
func (n *Network) set(l *link, f Faults) {
	if f.Cut && !l.faults.Cut {
		now := time.Now()
		for s := range l.open {
			s.settle(now)
		}
	}
	l.faults = f
	l.changed.all()
}

// Kill does to a host what the end of its process does: its listeners and packet
// sockets close, and its connections are reset. What it had sent and has landed
// can still be read; the other side learns of the reset as soon as the link lets
// it. The host may listen again at once.
func (n *Network) Kill(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for addr, l := range n.listeners {
		if host(addr) == name {
			n.closeListener(l)
		}
	}
	for addr, p := range n.packets {
		if host(addr) == name {
			n.closePacket(p)
		}
	}
	for _, l := range n.links {
		for s := range l.open {
			if name == l.from {
				s.abort(syscall.ECONNRESET)
			}
			if name == l.to {
				s.readerGone()
			}
		}
	}
}

// drawn is what a segment or packet meets.
type drawn struct {
	delay time.Duration
	// losses is how often it is lost before it passes.
	losses int
	twice  bool
	again  time.Duration
	reset  bool
}

// draw decides about one segment or packet, by a hash of what names it.
func (n *Network) draw(l *link, stream, segment uint64) drawn {
	h := mix(n.seed)
	for _, s := range []string{l.from, l.to} {
		for i := range len(s) {
			h = mix(h ^ uint64(s[i]))
		}
		h = mix(h ^ 0x100)
	}
	h = mix(mix(h^stream) ^ segment)
	f := &l.faults
	var d drawn
	d.delay = f.Delay + fraction(h, 1, f.Jitter)
	d.again = f.Delay + fraction(h, 2, f.Jitter)
	d.reset = chance(h, 3, f.Reset)
	d.twice = chance(h, 4, f.Twice)
	for d.losses < maxLosses && chance(h, 5+uint64(d.losses), f.Loss) {
		d.losses++
	}
	return d
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

// stall is how long a stream stops for a segment that is lost so often.
func (f *Faults) stall(losses int) time.Duration {
	first := f.Stall
	if first == 0 {
		first = defaultStall
	}
	return first * (1<<losses - 1)
}
