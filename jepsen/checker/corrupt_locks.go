// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"math/rand/v2"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// LockCorruptors spoil histories with locks.
func LockCorruptors() []Corruptor {
	return []Corruptor{
		{"C7", "grant a lock that somebody holds", secondHolder},
		{"C8", "give two grants one fence", equalFences},
		{"C14", "grant a lock to a session that is closed", deadSession},
		{"C15", "swap the fences of two grants, one after the other", swapFences},
	}
}

// regrant changes a grant, and all that names it.
func regrant(h *history.History, i int, change func(l *history.Lock)) {
	old := h.Ops[i].Lock
	for j := range h.Ops {
		l := &h.Ops[j].Lock
		held := l.Session == old.Session && l.Holder == old.Holder && l.Holder > 0
		if held || h.Ops[j].Kind == history.ForceRelease && l.Fence == old.Fence {
			fence := l.Fence > 0
			change(l)
			if !fence {
				l.Fence = 0
			}
		}
	}
}

func cloned(h *history.History) *history.History {
	bad := *h
	bad.Ops = slices.Clone(h.Ops)
	return &bad
}

// secondHolder looks for an attempt that began while a lock was held for certain, and has it
// granted before the holder's release began.
func secondHolder(rng *rand.Rand, h *history.History) (*history.History, bool) {
	type place struct{ of, until int }
	var places []place
	held := make(map[attempt]int)
	for i := range h.Ops {
		if op := &h.Ops[i]; op.Granted() && !op.Lock.Shared {
			held[attempt{op.Lock.Session, op.Lock.Holder}] = i
		}
	}
	used := make(map[uint64]bool)
	for i := range h.Ops {
		op := &h.Ops[i]
		used[op.Lock.Fence] = true
		of, ok := held[attempt{op.Lock.Session, op.Lock.Holder}]
		if op.Kind == history.Release && op.Lock.Released && ok {
			places = append(places, place{of, i})
		}
	}
	rng.Shuffle(len(places), func(a, b int) { places[a], places[b] = places[b], places[a] })
	for _, p := range places {
		first, release := &h.Ops[p.of], &h.Ops[p.until]
		i := pick(rng, h, func(_ int, op *history.Op) bool {
			return op.Refused() && op.Key == first.Key && op.Invoked > first.Completed &&
				op.Invoked < release.Invoked
		})
		if i < 0 || used[first.Lock.Fence+1] {
			continue
		}
		bad := cloned(h)
		op := &bad.Ops[i]
		op.Lock.Fence, op.Completed = first.Lock.Fence+1, min(op.Completed, release.Invoked-1)
		return bad, true
	}
	return nil, false
}

func equalFences(rng *rand.Rand, h *history.History) (*history.History, bool) {
	granted := func(_ int, op *history.Op) bool { return op.Granted() }
	i := pick(rng, h, granted)
	j := pick(rng, h, func(n int, op *history.Op) bool { return granted(n, op) && n != i })
	if i < 0 || j < 0 {
		return nil, false
	}
	bad := cloned(h)
	regrant(bad, i, func(l *history.Lock) { l.Fence = h.Ops[j].Lock.Fence })
	return bad, true
}

// deadSession has a grant, and all that follows from it, be one of a session that was closed
// before.
func deadSession(rng *rand.Rand, h *history.History) (*history.History, bool) {
	last := int64(0)
	for i := range h.Ops {
		if h.Ops[i].Granted() {
			last = max(last, h.Ops[i].Invoked)
		}
	}
	j := pick(rng, h, func(_ int, op *history.Op) bool {
		return op.Kind == history.SessionClose && op.Completed < last
	})
	if j < 0 {
		return nil, false
	}
	i := pick(rng, h, func(_ int, op *history.Op) bool {
		return op.Granted() && op.Invoked > h.Ops[j].Completed
	})
	if i < 0 {
		return nil, false
	}
	bad := cloned(h)
	regrant(bad, i, func(l *history.Lock) {
		if l.Holder > 0 { // what takes it away by force has another session
			l.Session, l.Lost = h.Ops[j].Lock.Session, true
			l.Holder += 1 << 40 // a number that nobody has had
		}
	})
	return bad, true
}

func swapFences(rng *rand.Rand, h *history.History) (*history.History, bool) {
	i := pick(rng, h, func(_ int, op *history.Op) bool { return op.Granted() })
	if i < 0 {
		return nil, false
	}
	first := &h.Ops[i]
	j := pick(rng, h, func(_ int, op *history.Op) bool {
		return op.Granted() && op.Invoked > first.Completed
	})
	if j < 0 {
		return nil, false
	}
	bad := cloned(h)
	a, b := first.Lock.Fence, h.Ops[j].Lock.Fence
	regrant(bad, i, func(l *history.Lock) { l.Fence = b })
	regrant(bad, j, func(l *history.Lock) { l.Fence = a })
	return bad, true
}
