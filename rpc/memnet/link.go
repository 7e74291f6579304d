// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"slices"
	"time"
)

// Link names a direction between two hosts.
type Link struct{ From, To string }

// link is one direction between two hosts. Guarded by the network's mutex.
type link struct {
	// Immutable.
	Link
	n   *Network
	key uint64 // what its draws begin with

	faults Faults
	passage
	// changed wakes those who wait for the link to let something pass.
	changed wake
	// conns and sent number the connections and packets, for the draws.
	conns, sent uint64
	// open holds the streams that pass here and have a reader, in the order in which
	// they began.
	open []*stream
	// parked holds the packets that a paused host has sent, at most packetQueue.
	parked []packet
	// free is when what was sent last has left, where the link has a rate.
	free time.Time
}

// passage is what may pass a link.
type passage struct {
	// cut lets nothing arrive. Streams hold what they have; packets vanish.
	cut bool
	// fromPaused lets nothing leave, toPaused lets nobody read what has arrived.
	fromPaused, toPaused bool
}

// holds reports whether what is sent does not leave.
func (p *passage) holds() bool { return p.cut || p.fromPaused }

// link returns the link between two hosts, which stands as soon as it is asked for.
func (n *Network) link(from, to string) *link {
	name := Link{from, to}
	l := n.links[name]
	if l == nil {
		l = &link{Link: name, n: n, key: keyOf(n.seed, name), faults: n.defaults}
		l.fromPaused, l.toPaused = n.paused[from], n.paused[to]
		n.links[name] = l
		n.ordered = append(n.ordered, l)
	}
	return l
}

// become changes what may pass. What has landed by now stays landed; what a cut
// meets on its way is sent again when the link is mended, or vanishes if it is a
// packet.
func (l *link) become(p passage) {
	now, before := time.Now(), l.passage
	if p == before {
		return
	}
	l.passage = p
	if p.cut && !before.cut {
		l.free = time.Time{}
		for _, s := range l.open {
			s.recall(now)
		}
		l.n.dropFlying(l, now)
	}
	if before.holds() && !p.holds() {
		for _, s := range l.open {
			s.release(now)
		}
	}
	if before.fromPaused && !p.fromPaused {
		parked := l.parked
		l.parked = nil
		for _, k := range parked {
			l.n.carry(k)
		}
	}
	l.changed.all()
}

// depart is when a message that is sent now has left.
func (l *link) depart(now time.Time, size int) time.Time {
	if l.faults.Rate <= 0 {
		return now
	}
	l.n.stats.Throttled++
	if l.free.Before(now) {
		l.free = now
	}
	took := time.Duration(size) * time.Second / time.Duration(l.faults.Rate)
	l.free = l.free.Add(took)
	return l.free
}

// forget drops a stream that nobody reads any more.
func (l *link) forget(s *stream) {
	if i := slices.Index(l.open, s); i >= 0 {
		l.open = slices.Delete(l.open, i, i+1)
	}
}

// wake wakes everybody who waits for a change. It is used under the network's mutex,
// but for the waiting itself. The channel is there only while somebody wants it.
type wake struct{ c chan struct{} }

// next is closed by the next change.
func (w *wake) next() <-chan struct{} {
	if w.c == nil {
		w.c = make(chan struct{})
	}
	return w.c
}

func (w *wake) all() {
	if w.c != nil {
		close(w.c)
		w.c = nil
	}
}
