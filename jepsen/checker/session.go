// SPDX-License-Identifier: Apache-2.0

package checker

import "github.com/dyno-kv/dyno/jepsen/history"

// session is what one process has done with one key so far.
type session struct {
	own      set    // its acknowledged puts
	wroteAt  string // who acknowledged the last of them
	seen     set    // what its reads have shown
	dead     levels // what its acknowledged deletes covered
	lastRead int32  // -1: none
}

func (s *sweep) session(process int) *session {
	one := s.sessions[process]
	if one == nil {
		one = &session{own: newSet(len(s.writes)), seen: newSet(len(s.writes)), lastRead: -1}
		s.sessions[process] = one
	}
	return one
}

// checkSession is rule 5. Unlike rule 3 it holds where times are equal: what a process
// did is before what it does.
func (s *sweep) checkSession(i int32, op *history.Op) {
	one := s.session(op.Process)
	s.ownWrites(i, op, one)
	s.ownDeletes(i, op, one)
	s.monotonic(i, op, one)
	one.seen.join(s.shown)
	one.lastRead = i
}

func (s *sweep) ownWrites(i int32, op *history.Op, one *session) {
	if one.own.first() < 0 {
		return
	}
	s.counts.ownReads++
	if op.Node != one.wroteAt {
		s.counts.elsewhere++
	}
	copy(s.scratch, one.own)
	s.scratch.remove(s.allowed)
	if s.scratch.first() < 0 {
		return
	}
	s.counts.ownStale++
	for w := range s.scratch.all {
		if s.promised(w, op) {
			s.x.violate(s.sessionOut, "read-your-writes", s.key.name, path(s.writes[w], i),
				"process %d wrote %s, and reads neither it nor what overwrote it: %v",
				op.Process, s.op(w).Value, op.Read)
			return
		}
	}
}

func (s *sweep) ownDeletes(i int32, op *history.Op, one *session) {
	clear(s.scratch)
	one.dead.above(s.x.needs(op), s.scratch)
	s.scratch.keep(s.shown)
	s.scratch.remove(s.doubled)
	if w := s.scratch.first(); w >= 0 {
		s.x.violate(s.sessionOut, "read-your-writes", s.key.name, path(s.writes[w], i),
			"process %d deleted %s, and reads it", op.Process, s.op(w).Value)
	}
}

func (s *sweep) monotonic(i int32, op *history.Op, one *session) {
	if one.lastRead < 0 {
		return
	}
	s.counts.seenReads++
	copy(s.scratch, one.seen)
	s.scratch.remove(s.allowed)
	if s.scratch.first() < 0 {
		return
	}
	s.counts.seenStale++
	for w := range s.scratch.all {
		if put := s.op(w); put.Outcome == history.OK && put.Completed <= s.lastRead(one) &&
			s.promised(w, op) {
			s.x.violate(s.sessionOut, "monotonic-reads", s.key.name,
				path(s.writes[w], one.lastRead, i),
				"process %d has read %s, and reads neither it nor what overwrote it: %v",
				op.Process, put.Value, op.Read)
			return
		}
	}
}

// lastRead is when the session's last read was complete. What had been acknowledged by
// then was so before the read at hand.
func (s *sweep) lastRead(one *session) int64 { return s.x.h.Ops[one.lastRead].Completed }

// promised reports whether the levels of a put and a read after it meet.
func (s *sweep) promised(w int, read *history.Op) bool {
	needs := s.x.needs(read)
	return needs == 0 || s.x.levelOf(s.op(w)) >= needs
}
