// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
)

// Write is one write to the replicas of a key: a put, a delete, or the write-back of
// an atomic read. It is used by one goroutine and must not be copied.
//
//	for {
//		target, more := w.Next()
//		if !more { break }
//		send(target) // or w.Add(Reply{Node, Slot, Result: ResultNotSent})
//	}
//	for w.Add(<-replies) == Pending { the loop above again }
//
// The coordinator's own mint is a reply like any other. Next goes on after Reached:
// owners that fail later still want a hint.
type Write struct {
	round
	// broken are the slots whose member has its seat in another slot: they can not be
	// completed by owners, for one node never counts twice (TRAPS S12).
	broken slotSet
	// helpers are the fallbacks, in the order in which they are asked.
	helpers []helper
	spare   [inlineHelpers]helper
	// fenced: some replica promised a newer fence. No further hint is handed out, for
	// hints are delivered as replicated data, which promises do not gate (TRAPS F8).
	fenced bool
	// stray: an answer that no longer counts said that something was stored.
	stray bool
}

// NewWrite starts a write round. It returns ErrSpec, wrapped, for a spec that can
// not be met. It allocates the round and, for up to 16 participants, nothing else.
func NewWrite(spec Spec) (*Write, error) {
	if err := spec.validate(); err != nil {
		return nil, err
	}
	w := &Write{}
	w.start(&spec)
	if mutant.On(mutant.AckOneShort) {
		w.need = max(1, w.need-1)
	}
	for i, slot := range spec.Slots {
		first, second := slot.Writers()
		w.admit(&spec, first, i)
		if second != 0 {
			w.admit(&spec, second, i)
		}
	}
	w.helpers = w.spare[:0]
	for rank := rankSelf; rank <= rankSuspect; rank++ {
		for _, node := range spec.Fallbacks {
			if len(w.helpers) < MaxFallbacks(len(spec.Slots)) && spec.rank(node) == rank {
				w.enlist(node, rank, spec.Instances.Instance(node))
			}
		}
	}
	return w, nil
}

// NewWriteBack starts the round that an atomic read needs before it may answer: the
// merged object on spec.Need slots, confirmed owners only, no fallbacks, whatever
// the spec says of them. Replicas that already hold the merged object are told to the
// round with ResultStored, after Next has named them.
func NewWriteBack(spec Spec) (*Write, error) {
	spec.NeedConfirmed = spec.Need
	spec.Sloppy = false
	spec.Fallbacks = nil
	return NewWrite(spec)
}

// admit seats a member, once: a second slot of the same node is broken.
func (w *Write) admit(spec *Spec, node kv.NodeID, slot int) {
	if w.member(node) != nil {
		w.broken |= bit(slot)
		return
	}
	w.sit(spec, node, slot, false)
}

// Next returns the next replica to ask, and marks it as asked; false where nobody is
// to be asked now. Members come first, all of them: a write goes to every slot. Then,
// for each slot whose member refused, failed or is late, a fallback that is to hold a
// hint for it, while there are fallbacks. Nothing is handed out once the quorum is
// out of reach.
func (w *Write) Next() (Target, bool) {
	if w.decision == Unreachable {
		return Target{}, false
	}
	if s := w.idle(false); s != nil {
		return s.ask(), true
	}
	if w.fenced {
		return Target{}, false
	}
	h, slot := w.nextHint()
	if h < 0 {
		return Target{}, false
	}
	return w.hint(h, slot), true
}

// Expect announces a hint out of turn, such as that of a fallback which coordinates
// because no owner can be reached (TRAPS C14). It reports whether an answer of node
// for slot is now awaited: not for a member, a slot that does not exist, a hint
// announced before, or a round that has failed.
func (w *Write) Expect(node kv.NodeID, slot int, instance kv.Instance) bool {
	if w.decision == Unreachable || node == 0 || slot < 0 || slot >= len(w.slots) {
		return false
	}
	if w.isMember(node) || w.hinted(node, slot) != nil {
		return false
	}
	h := w.helper(node)
	if h < 0 {
		w.enlist(node, rankAlive, instance)
		h = len(w.helpers) - 1
	}
	w.hint(h, slot)
	return true
}

// Late says that target has not answered within its time. Its answer still counts;
// Next may name another one in its place.
func (w *Write) Late(target Target) {
	s := w.find(target.Node, target.Slot)
	if s != nil && s.standing == StandingAsked {
		s.standing = StandingLate
		w.recount(s)
	}
}

// Add takes one replica's answer and returns the decision. Answers of nodes that
// were not asked, and all but the first of those that were, count for nothing (I3).
func (w *Write) Add(reply Reply) Decision {
	s := w.find(reply.Node, reply.Slot)
	if s == nil || !s.standing.open() {
		// It can not count, but what it says was stored must be believed (I7).
		w.stray = w.stray || (s != nil && reply.Result == ResultStored)
		return w.decision
	}
	w.close(s, &reply, w.judgeWrite(s, &reply))
	w.fenced = w.fenced || s.standing == StandingFenced
	w.recount(s)
	return w.decide()
}

// judgeWrite decides what an answer is worth. A member counts as owner; one that is
// not ready counts only where the slot's move is filling it right now: its copy is
// half of what makes the slot complete, and reads do not go there yet (TRAPS I3). An
// owner at rest that is not ready is being filled since its store was lost (TRAPS T8,
// docs/adr/0022), or is refused, and counts for nothing.
func (w *Write) judgeWrite(s *seat, reply *Reply) Standing {
	if reply.Result != ResultStored {
		return reply.Result.failure()
	}
	roleCounts := reply.Role == kv.RoleOwner
	if s.fallback {
		roleCounts = reply.Role == kv.RoleFallback
	} else if reply.Role == kv.RoleNotReady {
		slot := w.slots[s.slot]
		roleCounts = slot.Phase == kv.PhaseWriteBothReadOld && slot.Next == s.node ||
			mutant.On(mutant.FillingCounts)
	}
	return w.judge(s, reply, roleCounts)
}

// Outcome is what the write may have left behind if it is given up now: none only if
// every replica that was asked has refused before it touched anything (I7).
func (w *Write) Outcome() Outcome {
	if w.stray {
		return OutcomeUnknown
	}
	for i := range w.seats {
		if w.seats[i].standing.mayHoldWrite() {
			return OutcomeUnknown
		}
	}
	return OutcomeNone
}

// Fenced reports that some replica refused for a newer fence. Together with
// OutcomeNone it is the client's FENCED; without, nobody can tell.
func (w *Write) Fenced() bool { return w.fenced }

// Bare reports that a member of the slot did not store the write, and no fallback
// holds or may yet hold a hint for it: what is left is a marker at the coordinator,
// or anti-entropy.
func (w *Write) Bare(slot int) bool {
	if slot < 0 || slot >= len(w.slots) {
		return false
	}
	missing, _ := w.missing(hopeful)
	for i := range w.helpers {
		if w.helpers[i].hopes(best)&bit(slot) != 0 {
			return false
		}
	}
	return missing&bit(slot) != 0
}

// decide counts from scratch. What counts (I4, I5, I6):
//
//   - a slot is complete if all its members count: two while it moves;
//   - in a sloppy write, a fallback stands for one slot, whatever is missing there,
//     because its hint is addressed to the slot and goes to all members on delivery
//     (TRAPS T14); it never stands for a confirmed owner;
//   - a node stands for one slot only, so W complete slots are W distinct nodes.
func (w *Write) decide() Decision {
	got, confirmed := w.count(certain)
	bestGot, bestConfirmed := w.count(best)
	return w.settle(got, confirmed, bestGot, bestConfirmed)
}

// count returns the complete slots, and those complete by confirmed owners alone.
func (w *Write) count(h hope) (got, confirmed int) {
	missing, unconfirmed := w.missing(h)
	got = len(w.slots) - missing.len()
	if w.sloppy {
		got += w.match(missing, h).len()
	}
	return got, len(w.slots) - unconfirmed.len()
}

// missing returns the slots that their members do not complete.
func (w *Write) missing(h hope) (missing, unconfirmed slotSet) {
	missing, unconfirmed = w.broken, w.broken
	for i := range w.seats {
		s := &w.seats[i]
		if s.fallback {
			continue
		}
		counts, confirmed := s.serves(h)
		if !counts {
			missing |= bit(int(s.slot))
		}
		if !confirmed {
			unconfirmed |= bit(int(s.slot))
		}
	}
	return missing, unconfirmed
}

// find returns the seat that an answer belongs to.
func (w *Write) find(node kv.NodeID, slot int) *seat {
	if s := w.member(node); s != nil {
		return s
	}
	return w.hinted(node, slot)
}

// member returns the seat of a member.
func (w *Write) member(node kv.NodeID) *seat {
	for i := range w.seats {
		if s := &w.seats[i]; s.node == node && !s.fallback {
			return s
		}
	}
	return nil
}

// hinted returns the seat of a fallback for one slot.
func (w *Write) hinted(node kv.NodeID, slot int) *seat {
	for i := range w.seats {
		if s := &w.seats[i]; s.node == node && s.fallback && int(s.slot) == slot {
			return s
		}
	}
	return nil
}
