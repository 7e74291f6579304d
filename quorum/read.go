// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"fmt"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
)

// Read is one read of a key from its replicas. It is used by one goroutine, in the
// way of [Write], and must not be copied.
//
// A read that fails leaves nothing behind; its outcome is always none.
type Read struct {
	round
}

// NewRead starts a read round. It returns ErrSpec, wrapped, for a spec that can not
// be met: an atomic read of n slots needs more than half of them, so that two of
// them share one. It allocates the round and, for up to 16 participants, nothing
// else.
func NewRead(spec Spec) (*Read, error) {
	if spec.Atomic {
		if 2*spec.Need <= len(spec.Slots) {
			return nil, fmt.Errorf("%w: an atomic read of %d slots needs r above %d, not %d",
				ErrSpec, len(spec.Slots), len(spec.Slots)/2, spec.Need)
		}
		spec.NeedConfirmed = spec.Need
	}
	if err := spec.validate(); err != nil {
		return nil, err
	}
	r := &Read{}
	r.start(&spec)
	if mutant.On(mutant.ReadOneShort) {
		r.need = max(1, r.need-1)
	}
	for i, slot := range spec.Slots {
		if node := slot.Reader(); r.find(node) == nil {
			r.sit(&spec, node, i, false)
		}
	}
	if spec.Sloppy {
		r.sitFallbacks(&spec)
	}
	return r, nil
}

// sitFallbacks adds as many fallbacks as may be asked, those that seem alive first.
func (r *Read) sitFallbacks(spec *Spec) {
	limit := len(r.seats) + MaxFallbacks(len(spec.Slots))
	for rank := rankSelf; rank <= rankSuspect; rank++ {
		for _, node := range spec.Fallbacks {
			wanted := spec.rank(node) == rank && node != 0
			if wanted && len(r.seats) < limit && !r.isMember(node) && r.find(node) == nil {
				r.sit(spec, node, -1, true)
			}
		}
	}
}

// Next returns the next replica to ask, and marks it as asked; false where those
// asked suffice if they answer. One that refused, failed or is late is thereby
// replaced at once. The coordinator's own copy comes first, then the reading members
// of the other slots, then, in sloppy reads, fallbacks.
func (r *Read) Next() (Target, bool) {
	if r.decision != Pending {
		return Target{}, false
	}
	got, confirmed := r.count(hopeful)
	if got < r.need || confirmed < r.needConfirmed {
		if s := r.idle(false); s != nil {
			return s.ask(), true
		}
	}
	if got < r.need {
		if s := r.idle(true); s != nil {
			return s.ask(), true
		}
	}
	return Target{}, false
}

// Late says that target has not answered within its time. Its answer still counts;
// Next may name another one in its place.
func (r *Read) Late(target Target) {
	if s := r.find(target.Node); s != nil && s.standing == StandingAsked {
		s.standing = StandingLate
	}
}

// Add takes one replica's answer and returns the decision. Answers of nodes that
// were not asked, and all but the first of those that were, count for nothing (I3).
func (r *Read) Add(reply Reply) Decision {
	s := r.find(reply.Node)
	if s == nil || !s.standing.open() {
		return r.decision
	}
	r.close(s, &reply, r.judgeRead(s, &reply))
	got, confirmed := r.count(certain)
	bestGot, bestConfirmed := r.count(best)
	return r.settle(got, confirmed, bestGot, bestConfirmed)
}

// judgeRead decides what an answer is worth. A store that is not ready never counts:
// what it lacks is not "not found". Neither does the empty hand of a fallback, which
// never had a reason to hold the key (TRAPS S3).
func (r *Read) judgeRead(s *seat, reply *Reply) Standing {
	if reply.Result != ResultFound && reply.Result != ResultNotFound {
		return reply.Result.failure()
	}
	if !s.fallback {
		return r.judge(s, reply, reply.Role == kv.RoleOwner)
	}
	standing := r.judge(s, reply, reply.Role == kv.RoleFallback)
	if standing.counts() && reply.Result == ResultNotFound {
		return StandingEmpty
	}
	return standing
}

// count returns how many distinct nodes answer for a slot, and how many of these are
// confirmed owners. A fallback's copy stands for any one slot that has no answer.
func (r *Read) count(h hope) (got, confirmed int) {
	fallbacks := 0
	for i := range r.seats {
		s := &r.seats[i]
		counts, sure := s.serves(h)
		switch {
		case !counts:
		case s.fallback:
			fallbacks++
		default:
			got++
			if sure {
				confirmed++
			}
		}
	}
	return min(got+fallbacks, len(r.slots)), confirmed
}

// find returns the seat of a node.
func (r *Read) find(node kv.NodeID) *seat {
	for i := range r.seats {
		if s := &r.seats[i]; s.node == node {
			return s
		}
	}
	return nil
}
