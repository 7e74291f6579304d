// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"encoding/binary"

	"github.com/anishathalye/porcupine"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// lockState is a lock as the search knows it: who has it, and the highest fence that is
// known to have been granted. It is comparable.
type lockState struct {
	fence  uint64
	shared bool
	held   holders
	// finished are those whose attempt comes too late, wherever it is.
	finished holders
}

// holders is a set of them, two bytes each, in order.
type holders string

// place is where a holder stands, or belongs.
func (h holders) place(holder uint16) (at int, found bool) {
	for ; at < len(h); at += 2 {
		other := binary.BigEndian.Uint16([]byte(h[at:]))
		if other >= holder {
			return at, other == holder
		}
	}
	return at, false
}

func (h holders) has(holder uint16) bool {
	_, found := h.place(holder)
	return found
}

func (h holders) with(holder uint16) holders {
	at, found := h.place(holder)
	if found {
		return h
	}
	own := holders(binary.BigEndian.AppendUint16(nil, holder))
	return h[:at] + own + h[at:]
}

func (h holders) without(holder uint16) holders {
	at, found := h.place(holder)
	if !found {
		return h
	}
	return h[:at] + h[at+2:]
}

func (s lockState) granted(holder uint16, shared bool, fence uint64) lockState {
	s.fence, s.shared, s.held = max(s.fence, fence), shared, s.held.with(holder)
	return s
}

func (s lockState) without(holder uint16, finished bool) lockState {
	s.held = s.held.without(holder)
	s.shared = s.shared && s.held != ""
	if finished {
		s.finished = s.finished.with(holder)
	}
	return s
}

// free reports whether a lock of the kind may be granted.
func (s lockState) free(shared bool) bool { return s.held == "" || shared && s.shared }

// lockStep is one operation of the search.
type lockStep struct {
	kind   history.Kind // SessionClose: the holder's session ends
	holder uint16
	shared bool
	fence  uint64
	// refused, released and sure are what is known of its outcome: an acquire was told that
	// others have the lock; what ends a grant found it in place; it has taken place.
	refused, released, sure bool
	// again says that it may have been done before; late that the attempt which it ends may
	// come behind it.
	again, late bool
}

// lockModel is a lock with fences. What may never have taken place needs no second state:
// it may stand behind all that it would have changed, and an attempt behind what ended it.
func lockModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return lockState{} },
		Step: func(state, input, _ any) (bool, any) { return input.(*lockStep).next(state.(lockState)) },
	}
}

// next is the state that the operation leaves, and whether it can be here.
func (t *lockStep) next(s lockState) (bool, lockState) {
	if t.kind == history.Acquire {
		return t.acquire(s)
	}
	gone := s.without(t.holder, t.late)
	switch {
	case t.released: // it was in place
		return s.held.has(t.holder), gone
	case !t.sure || t.kind == history.Cancel || t.kind == history.SessionClose || t.again:
		return true, gone // whether it was in place or not
	default: // a release that found nothing
		return !s.held.has(t.holder), s
	}
}

func (t *lockStep) acquire(s lockState) (bool, lockState) {
	can := s.free(t.shared) && !s.held.has(t.holder) && !s.finished.has(t.holder)
	switch {
	case t.refused:
		return s.held != "", s
	case t.sure:
		return can && t.fence > s.fence, s.granted(t.holder, t.shared, t.fence)
	case can:
		return true, s.granted(t.holder, t.shared, 0)
	default:
		return true, s
	}
}
