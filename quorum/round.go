// SPDX-License-Identifier: Apache-2.0

package quorum

import "github.com/dyno-kv/dyno/kv"

// inlineSeats is how many participants a round holds without a second allocation:
// five slots, all moving, and six fallbacks.
const inlineSeats = 16

// seat is one participant: a member of a slot, or a fallback (in writes: one hint).
type seat struct {
	node      kv.NodeID
	slot      int8 // -1: a fallback of a read
	fallback  bool
	rank      uint8
	standing  Standing
	confirmed bool
	role      kv.Role             // as stated
	version   kv.PlacementVersion // as stated
	expected  kv.Instance         // by the ring; 0: its replies never count
	reason    string
}

// round is what reads and writes share: participants, and the latched decision.
type round struct {
	slots         []kv.Slot
	version       kv.PlacementVersion
	newest        kv.PlacementVersion
	need          int
	needConfirmed int
	sloppy        bool
	decision      Decision

	// Invariant: a member has one seat, in its first slot; seats never go away.
	seats  []seat
	inline [inlineSeats]seat
}

func (r *round) start(s *Spec) {
	r.slots, r.version, r.newest = s.Slots, s.Version, s.Version
	r.need, r.needConfirmed, r.sloppy = s.Need, s.NeedConfirmed, s.Sloppy
	r.decision = Pending
	r.seats = r.inline[:0]
}

// isMember reports that node stands in one of the slots, in whatever phase.
func (r *round) isMember(node kv.NodeID) bool {
	for _, slot := range r.slots {
		if slot.Has(node) {
			return true
		}
	}
	return false
}

// sit adds a participant that has not been asked.
func (r *round) sit(s *Spec, node kv.NodeID, slot int, fallback bool) {
	r.seats = append(r.seats, seat{
		node: node, slot: int8(slot), fallback: fallback, rank: s.rank(node),
		standing: StandingNotAsked, expected: s.Instances.Instance(node),
	})
}

// idle returns the participant to ask next among the owners or the fallbacks: the
// lowest rank, and among equals the first in preference order.
func (r *round) idle(fallback bool) *seat {
	var best *seat
	for i := range r.seats {
		s := &r.seats[i]
		if s.fallback != fallback || s.standing != StandingNotAsked {
			continue
		}
		if best == nil || s.rank < best.rank {
			best = s
		}
	}
	return best
}

// ask marks a participant as asked. One that seems dead is late from the start, so
// that its replacement is asked in the same breath.
func (s *seat) ask() Target {
	s.standing = StandingAsked
	if s.rank == rankSuspect {
		s.standing = StandingLate
	}
	role := kv.RoleOwner
	if s.fallback {
		role = kv.RoleFallback
	}
	return Target{Node: s.node, Slot: int(s.slot), Role: role}
}

// judge decides what an answer that claims success is worth, the same for reads and
// writes but for the role. An answer counts only if
//
//   - it comes from the instance that the ring names: an old or cloned store's copy
//     may be gone tomorrow;
//   - its placement version is not below the round's. A replica that does not know
//     the version in a request fetches the log first (TRAPS 5.4); one that answered
//     from an older layout may have stored under a prefix that it has since given up
//     (TRAPS T11). A higher version is fine: owners accept any version, and those
//     that must not (leavers, aborted joiners) refuse below their fence, so an
//     answer given is an answer of a full member of the slot (TRAPS T21);
//   - it was given in the role that it was asked in.
func (r *round) judge(s *seat, a *Reply, roleCounts bool) Standing {
	switch {
	case s.expected == 0 || a.Instance != s.expected:
		return StandingOtherInstance
	case a.Version < r.version:
		return StandingOlderPlacement
	case !roleCounts:
		return StandingOtherRole
	case !a.Confirmed:
		return StandingUnconfirmed
	default:
		return StandingCounted
	}
}

// close records the first and only answer of a participant.
func (r *round) close(s *seat, a *Reply, standing Standing) {
	s.standing, s.reason = standing, a.Reason
	s.role, s.version, s.confirmed = a.Role, a.Version, a.Confirmed
	r.newest = max(r.newest, a.Version)
}

// Decision is the present decision.
func (r *round) Decision() Decision { return r.decision }

// Open reports whether an answer is awaited, also from who is late.
func (r *round) Open() bool {
	for i := range r.seats {
		if r.seats[i].standing.open() {
			return true
		}
	}
	return false
}

// Newest is the highest placement version that any asked replica has stated. Where
// it is above the spec's, the caller has an old ring: fetch the newer one, and try
// again if the round failed.
func (r *round) Newest() kv.PlacementVersion { return r.newest }

// settle latches the decision: neither end is ever left (I1).
func (r *round) settle(got, confirmed, best, bestConfirmed int) Decision {
	if r.decision != Pending {
		return r.decision
	}
	switch {
	case got >= r.need && confirmed >= r.needConfirmed:
		r.decision = Reached
	case best < r.need || bestConfirmed < r.needConfirmed:
		r.decision = Unreachable
	}
	return r.decision
}

// hope is how an unanswered participant is looked at.
type hope uint8

const (
	// certain: only what has been answered.
	certain hope = iota
	// hopeful: and those that have been asked and are not late.
	hopeful
	// best: and whoever may still be asked or still answer.
	best
)

// serves reports whether the participant counts, as seen with the given hope, and
// whether it counts for confirmed owners too.
func (s *seat) serves(h hope) (counts, confirmed bool) {
	switch s.standing {
	case StandingCounted:
		return true, true
	case StandingUnconfirmed:
		return true, false
	case StandingAsked:
		return h >= hopeful, h >= hopeful
	case StandingLate, StandingNotAsked:
		return h == best, h == best
	default:
		return false, false
	}
}
