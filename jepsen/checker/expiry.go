// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"math"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// A value with a time to live ends that long after its coordinator took the write, which
// was between the write's two times, by a clock that is Config.Skew wrong at most. So there
// are a time before which it has not ended for anybody, and one from which on it has for
// all; in between it may be shown by one and not by another, by turns.

// endsFrom is from when on a value may have ended; the write has a time to live.
func (x *index) endsFrom(op *history.Op) int64 {
	return op.Invoked + min(op.TTL, math.MaxInt64/4) - int64(x.cfg.Skew)
}

// endedBy is from when on it certainly has; never where its write may still be under way.
func (x *index) endedBy(op *history.Op) int64 {
	latest := op.Completed
	if op.Outcome != history.OK || op.Doubled() {
		// Another attempt at it may be taken as long as requests linger.
		if x.cfg.Linger == 0 {
			return math.MaxInt64
		}
		latest += int64(x.cfg.Linger)
	}
	return latest + min(op.TTL, math.MaxInt64/4) + int64(x.cfg.Skew+x.cfg.Grain)
}

// expired finds what is shown although its time is over. Since that holds for every read
// from then on, a value that has vanished never comes back.
func (s *sweep) expired(i int32, op *history.Op) {
	copy(s.scratch, s.shown)
	s.scratch.keep(s.expiring)
	for w := range s.scratch.all {
		if ended := s.x.endedBy(s.op(w)); op.Invoked >= ended {
			s.x.violate(s.out, "expired", s.key.name, path(s.writes[w], i),
				"%s is shown by a read that begins at %s, and its time was over at %s",
				s.op(w).Value, history.Clock(op.Invoked), history.Clock(ended))
			return
		}
	}
}

// unsettled are the values that may have ended for one reader at a time, and not for
// another.
func (s *sweep) unsettled(at int64) set {
	out := newSet(len(s.writes))
	for w := range s.expiring.all {
		if s.x.endsFrom(s.op(w)) <= at {
			out.add(w)
		}
	}
	return out
}
