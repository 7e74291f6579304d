// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"io"
	"syscall"
	"time"
)

// streamBytes is how much one direction of a stream holds before writers wait;
// streamSegments bounds what many short writes cost beside their bytes.
const (
	streamBytes    = 256 << 10
	streamSegments = 8 << 10
)

// room is how many bytes may be written now.
func (s *stream) room() int {
	if len(s.queue) >= streamSegments {
		return 0
	}
	return streamBytes - s.size
}

// segment is what one Write put on the wire. No bytes: the end of the stream.
type segment struct {
	// at is when it arrives, unless it waits to be sent; delay is what was drawn.
	at    time.Time
	delay time.Duration
	waits bool
	// begun: some of it was read.
	begun bool
	bytes []byte
}

// landed reports whether the segment has arrived by now.
func (g *segment) landed(now time.Time) bool { return !g.waits && !g.at.After(now) }

// cable is what both directions of a connection share.
type cable struct{ reset bool }

// stream is one direction of a connection. Guarded by the network's mutex.
type stream struct {
	// Immutable.
	n        *Network
	link     *link
	number   uint64
	from, to Addr
	cable    *cable

	sent uint64
	// queue holds what is under way, in order; at never falls within it, and what
	// waits is at its end.
	queue []segment
	size  int
	// changed wakes readers and writers.
	changed wake

	// ended: the writer closed, nothing more is written.
	ended bool
	// broken is set where the stream was reset; readers get it when they have read
	// what landed. reset is the message that tells them.
	broken error
	reset  segment
	// told: the reader has seen the end, or the reset.
	told bool
	// gone: the reader has closed; a writer learns of it by its next segment.
	gone bool
}

// put takes a segment; the caller has checked that there is room.
func (s *stream) put(b []byte) error {
	s.sent++
	stats := &s.n.stats
	stats.Segments++
	d := s.link.draw(s.number, s.sent)
	if d.reset {
		stats.ResetsDrawn++
		s.abort(syscall.ECONNRESET)
		return syscall.ECONNRESET
	}
	g := segment{bytes: b, delay: d.delay, waits: s.link.holds()}
	if d.slow {
		stats.Slowed++
	}
	if d.losses > 0 {
		stats.Stalls++
		g.delay += s.link.faults.stall(d.losses)
	}
	if s.link.cut {
		stats.CutBytes += uint64(len(b))
	}
	if s.link.fromPaused || s.link.toPaused {
		stats.PausedBytes += uint64(len(b))
	}
	s.queue = append(s.queue, g)
	s.size += len(b)
	if !g.waits {
		s.depart(len(s.queue)-1, time.Now())
	}
	s.changed.all()
	return nil
}

// depart sends the i-th segment, behind those before it.
func (s *stream) depart(i int, now time.Time) {
	g := &s.queue[i]
	g.waits = false
	g.at = s.link.depart(now, len(g.bytes)).Add(g.delay)
	if i > 0 && g.at.Before(s.queue[i-1].at) {
		g.at = s.queue[i-1].at
	}
}

// get reads what has arrived by now. Where nothing has, n and err are zero and
// wait says when the next segment comes; zero: nobody knows.
func (s *stream) get(p []byte, now time.Time) (n int, wait time.Time, err error) {
	for n < len(p) && len(s.queue) > 0 && s.queue[0].landed(now) {
		head := &s.queue[0]
		if len(head.bytes) == 0 { // the end
			if n == 0 {
				s.tell(KindEnd)
				return 0, time.Time{}, io.EOF
			}
			break
		}
		if !head.begun {
			head.begun = true
			s.n.deliver(KindBytes, string(s.from), string(s.to), head.bytes)
		}
		c := copy(p[n:], head.bytes)
		head.bytes = head.bytes[c:]
		n += c
		s.size -= c
		if len(head.bytes) == 0 {
			s.pop()
		}
	}
	if n > 0 {
		s.changed.all()
		return n, time.Time{}, nil
	}
	next := &s.reset
	if len(s.queue) > 0 {
		next = &s.queue[0]
	}
	switch {
	case len(s.queue) == 0 && s.broken == nil, next.waits:
		return 0, time.Time{}, nil
	case next == &s.reset && next.landed(now):
		s.tell(KindReset)
		return 0, time.Time{}, s.broken
	default:
		return 0, next.at, nil
	}
}

// tell says once how the stream ended for its reader.
func (s *stream) tell(kind Kind) {
	if !s.told {
		s.told = true
		s.n.deliver(kind, string(s.from), string(s.to), nil)
	}
}

func (s *stream) pop() {
	s.queue[0] = segment{}
	s.queue = s.queue[1:]
	if len(s.queue) == 0 {
		s.queue = nil
	}
}

// recall takes back what is under way when the link is cut.
func (s *stream) recall(now time.Time) {
	for i := range s.queue {
		if g := &s.queue[i]; !g.waits && !g.landed(now) {
			g.waits = true
			s.n.stats.CutBytes += uint64(len(g.bytes))
		}
	}
	s.reset.waits = s.broken != nil && !s.reset.landed(now)
}

// release sends what waited for the link.
func (s *stream) release(now time.Time) {
	for i := range s.queue {
		if s.queue[i].waits {
			s.depart(i, now)
		}
	}
	if s.reset.waits {
		s.reset.waits = false
		s.reset.at = now.Add(s.reset.delay)
	}
}

// end puts the end of the stream behind what is under way.
func (s *stream) end() {
	if s.ended || s.broken != nil {
		return
	}
	s.ended = true
	_ = s.put(nil) // a reset that is drawn here ends the stream as well
}

// abort resets the stream: what has not landed is lost.
func (s *stream) abort(why error) {
	if s.broken != nil {
		return
	}
	now := time.Now()
	keep := 0
	for keep < len(s.queue) && s.queue[keep].landed(now) {
		keep++
	}
	ended := s.ended && keep == len(s.queue)
	for _, lost := range s.queue[keep:] {
		s.size -= len(lost.bytes)
	}
	clear(s.queue[keep:])
	s.queue = s.queue[:keep]
	s.ended = true
	s.broken = why
	s.reset.delay = s.link.draw(s.number, s.sent).delay
	s.reset.at = now.Add(s.reset.delay)
	s.reset.waits = s.link.holds()
	s.changed.all()
	if !ended && !s.cable.reset {
		s.cable.reset = true
		s.n.stats.Resets++
	}
}

// readerGone drops what nobody will read, and lets the writer learn of it.
func (s *stream) readerGone() {
	s.gone = true
	s.queue, s.size = nil, 0
	s.link.forget(s)
	s.changed.all()
}
