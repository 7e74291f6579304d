// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"io"
	"syscall"
	"time"
)

// segment is what one Write put on the wire. No bytes: the end of the stream.
type segment struct {
	at    time.Time
	bytes []byte
}

// stream is one direction of a connection. Guarded by the network's mutex.
type stream struct {
	n      *Network
	link   *link
	number uint64
	sent   uint64

	// queue holds what is under way, in order; at never falls within it.
	queue []segment
	size  int
	// landed counts the segments at the front that had arrived when the link was
	// cut: they can be read although it is.
	landed int
	// changed wakes readers and writers.
	changed wake

	// ended: the writer closed, nothing more is written.
	ended bool
	// broken is set where the stream was reset; readers get it when they have read
	// what landed, from brokenAt on and while the link passes.
	broken   error
	brokenAt time.Time
	// gone: the reader has closed; a writer learns of it by its next segment.
	gone bool
}

func newStream(n *Network, l *link, number uint64) *stream {
	s := &stream{n: n, link: l, number: number, changed: newWake()}
	l.open[s] = struct{}{}
	return s
}

// put takes a segment; the caller has checked that there is room.
func (s *stream) put(b []byte) error {
	s.sent++
	s.n.stats.Segments++
	now := time.Now()
	d := s.n.draw(s.link, s.number, s.sent)
	if d.reset {
		s.n.stats.Resets++
		s.abort(syscall.ECONNRESET)
		return syscall.ECONNRESET
	}
	at := now.Add(d.delay)
	if d.losses > 0 {
		s.n.stats.Stalls++
		at = at.Add(s.link.faults.stall(d.losses))
	}
	if n := len(s.queue); n > 0 && at.Before(s.queue[n-1].at) {
		at = s.queue[n-1].at
	}
	s.queue = append(s.queue, segment{at: at, bytes: b})
	s.size += len(b)
	s.changed.all()
	return nil
}

// get reads what has arrived by now. Where nothing has, n and err are zero and
// wait says when the next segment comes; zero: nobody knows.
func (s *stream) get(p []byte, now time.Time) (n int, wait time.Time, err error) {
	for n < len(p) && len(s.queue) > 0 && s.arrived(now) {
		head := &s.queue[0]
		if len(head.bytes) == 0 { // the end
			if n == 0 {
				return 0, time.Time{}, io.EOF
			}
			break
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
	cut := s.link.faults.Cut
	switch {
	case len(s.queue) > 0 && !cut:
		return 0, s.queue[0].at, nil
	case len(s.queue) > 0 || s.broken == nil || cut:
		return 0, time.Time{}, nil
	case s.brokenAt.After(now):
		return 0, s.brokenAt, nil
	default:
		return 0, time.Time{}, s.broken
	}
}

// arrived reports whether the first segment can be read.
func (s *stream) arrived(now time.Time) bool {
	return s.landed > 0 || (!s.link.faults.Cut && !s.queue[0].at.After(now))
}

func (s *stream) pop() {
	s.queue[0] = segment{}
	s.queue = s.queue[1:]
	s.landed = max(0, s.landed-1)
	if len(s.queue) == 0 {
		s.queue = nil
	}
}

// settle counts what has arrived when the link is cut.
func (s *stream) settle(now time.Time) {
	for s.landed < len(s.queue) && !s.queue[s.landed].at.After(now) {
		s.landed++
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
	if !s.link.faults.Cut {
		s.settle(now)
	}
	for _, lost := range s.queue[s.landed:] {
		s.size -= len(lost.bytes)
	}
	s.queue = s.queue[:s.landed]
	s.ended = true
	s.broken = why
	s.brokenAt = now.Add(s.n.draw(s.link, s.number, s.sent).delay)
	s.changed.all()
}

// readerGone drops what nobody will read, and lets the writer learn of it.
func (s *stream) readerGone() {
	s.gone = true
	s.queue, s.size, s.landed = nil, 0, 0
	delete(s.link.open, s)
	s.changed.all()
}
