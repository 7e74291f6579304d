// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"math/bits"

	"github.com/dyno-kv/dyno/kv"
)

// inlineHelpers is how many fallbacks a write knows without a second allocation: those
// of three slots.
const inlineHelpers = 8

// slotSet is a set of slot indexes, below MaxSlots.
type slotSet uint16

func bit(slot int) slotSet { return 1 << slot }

func (s slotSet) len() int { return bits.OnesCount16(uint16(s)) }

// helper is a fallback of a write and the slots that it holds hints for.
type helper struct {
	node     kv.NodeID
	rank     uint8
	instance kv.Instance
	// Invariant: held, waiting and late are disjoint subsets of asked.
	asked   slotSet
	held    slotSet // its answer counts
	waiting slotSet // no answer yet
	late    slotSet // nor within its time
	// spent: one of its answers did not count. It is not asked again.
	spent bool
}

// hopes returns the slots that the helper stands for, or may, seen with the given
// hope, leaving aside those that it has not been asked for.
func (h *helper) hopes(hope hope) slotSet {
	switch hope {
	case certain:
		return h.held
	case hopeful:
		return h.held | h.waiting
	default:
		return h.held | h.waiting | h.late
	}
}

// enlist adds a fallback, unless it is a member or known already.
func (w *Write) enlist(node kv.NodeID, rank uint8, instance kv.Instance) {
	if node == 0 || w.isMember(node) || w.helper(node) >= 0 {
		return
	}
	w.helpers = append(w.helpers, helper{node: node, rank: rank, instance: instance})
}

// helper returns the index of a fallback, or -1.
func (w *Write) helper(node kv.NodeID) int {
	for i := range w.helpers {
		if w.helpers[i].node == node {
			return i
		}
	}
	return -1
}

// hint seats a fallback for a slot and marks it as asked.
func (w *Write) hint(index, slot int) Target {
	h := &w.helpers[index]
	w.seats = append(w.seats, seat{
		node: h.node, slot: int8(slot), fallback: true, rank: h.rank,
		standing: StandingNotAsked, expected: h.instance,
	})
	s := &w.seats[len(w.seats)-1]
	target := s.ask()
	h.asked |= bit(slot)
	w.recount(s)
	return target
}

// recount keeps a helper's sets in step with one of its seats.
func (w *Write) recount(s *seat) {
	if !s.fallback {
		return
	}
	h, slot := &w.helpers[w.helper(s.node)], bit(int(s.slot))
	h.held, h.waiting, h.late = h.held&^slot, h.waiting&^slot, h.late&^slot
	switch {
	case s.standing.counts():
		h.held |= slot
	case s.standing == StandingAsked:
		h.waiting |= slot
	case s.standing == StandingLate:
		h.late |= slot
	default:
		h.spent = true
	}
}

// nextHint chooses the fallback and the slot of the next hint; -1 if none is wanted.
// First come hints that raise the number of slots that are stood for, so that a
// pending sloppy write always has somebody to wait for or to ask (I8). Then each slot
// that nobody holds a hint for gets one even from a fallback that stands for another
// slot: it counts for nothing more, but the owner will be told of the write.
func (w *Write) nextHint() (helper, slot int) {
	missing, _ := w.missing(hopeful)
	if missing == 0 || len(w.helpers) == 0 {
		return -1, 0
	}
	matched := w.match(missing, hopeful)
	covered := slotSet(0)
	for i := range w.helpers {
		covered |= w.helpers[i].hopes(hopeful)
	}
	for slot := range w.slots {
		if (missing&^matched)&bit(slot) == 0 {
			continue
		}
		if h := w.raises(missing, slot, matched.len()); h >= 0 {
			return h, slot
		}
	}
	for slot := range w.slots {
		if (missing&^covered)&bit(slot) == 0 {
			continue
		}
		for i := range w.helpers {
			if h := &w.helpers[i]; !h.spent && h.asked&bit(slot) == 0 {
				return i, slot
			}
		}
	}
	return -1, 0
}

// raises returns the first fallback whose hint for slot would raise the number of
// slots that are stood for above matched, or -1.
func (w *Write) raises(missing slotSet, slot, matched int) int {
	for i := range w.helpers {
		h := &w.helpers[i]
		if h.spent || h.asked&bit(slot) != 0 {
			continue
		}
		h.waiting |= bit(slot)
		more := w.match(missing, hopeful).len() > matched
		h.waiting &^= bit(slot)
		if more {
			return i
		}
	}
	return -1
}

// match returns the largest set of missing slots that fallbacks can stand for, one
// each: a maximum bipartite matching by augmenting paths. Seen with the best hope, a
// fallback that never failed may yet stand for any slot.
func (w *Write) match(missing slotSet, hope hope) slotSet {
	m := matching{w: w, missing: missing, hope: hope}
	for i := range w.helpers {
		seen := slotSet(0)
		m.place(i, &seen)
	}
	return m.matched
}

// matching is the work space of match.
type matching struct {
	w       *Write
	missing slotSet
	hope    hope
	matched slotSet
	by      [MaxSlots]int // helper of each matched slot
}

// place finds a slot for a helper, moving others aside where that helps. seen bounds
// the search: each slot is tried once, so it is at most MaxSlots deep.
func (m *matching) place(index int, seen *slotSet) bool {
	h := &m.w.helpers[index]
	edges := h.hopes(m.hope)
	if m.hope == best && !h.spent && !m.w.fenced {
		edges = m.missing
	}
	for left := edges & m.missing &^ *seen; left != 0; left = edges & m.missing &^ *seen {
		slot := bits.TrailingZeros16(uint16(left))
		*seen |= bit(slot)
		if m.matched&bit(slot) == 0 || m.place(m.by[slot], seen) {
			m.matched |= bit(slot)
			m.by[slot] = index
			return true
		}
	}
	return false
}
