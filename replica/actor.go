// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"
	"sync/atomic"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// minter issues the dots of one (partition, role) store: what this node owns of a
// partition, or what it keeps for others. It is owned by the shard of its partition: no
// lock.
type minter struct {
	node    kv.NodeID
	actor   vclock.Actor // 0 until the first mint of this life
	counter uint64       // high-water mark: the last issued. Invariant: never falls
	// stamp is the clock: the last stamp issued, but for those that had to follow one from
	// further ahead than ahead milliseconds. Invariant: never falls
	stamp kv.Stamp
	ahead int64

	// lost: a dot was issued for an object that was not stored, so the store lacks a dot of
	// its own and the incarnation is over. It is noticed outside of the shard.
	lost atomic.Bool

	// marked is the incarnation that a clean stop left, as its last dot; zero where there
	// is none. It says nothing any more once actor is set, and is gone when that ends.
	marked vclock.Dot
}

// next issues the next dot and a stamp that follows floor and the clock. Where floor is
// further ahead of now than a working clock could be, the stamp follows it and the clock
// does not: a wrong clock must not spread from the key that it was written to (TRAPS K1).
//
// Where no incarnation is under way it resumes the marked one, if resume says that
// the store may, or begins a new one with incarnation's random bits.
func (m *minter) next(now int64, floor kv.Stamp, resume bool, incarnation func() uint64) (
	vclock.Dot, kv.Stamp, error,
) {
	if m.actor == 0 && resume {
		m.actor, m.counter = m.marked.Actor, m.marked.Counter
	}
	if m.actor == 0 {
		actor, err := vclock.NewActor(uint16(m.node), incarnation())
		if err != nil {
			return vclock.Dot{}, 0, fmt.Errorf("begin an incarnation: %w", err)
		}
		m.actor, m.counter = actor, 0
	}
	if m.counter >= vclock.MaxCounter {
		return vclock.Dot{}, 0, kv.ErrExhausted
	}
	m.counter++
	m.stamp = m.stamp.Next(now)
	stamp := max(m.stamp, floor.Next(now))
	if stamp <= kv.StampAt(now+m.ahead) {
		m.stamp = stamp
	}
	return vclock.Dot{Actor: m.actor, Counter: m.counter}, stamp, nil
}

// begins reports whether the next dot is the first of an incarnation.
func (m *minter) begins(resume bool) bool {
	return m.actor == 0 && (!resume || m.marked.IsZero())
}

// end finishes the incarnation, the marked one too: the store may lack dots of its
// own. The next mint begins another (TRAPS C2, C3).
func (m *minter) end() {
	m.actor, m.counter, m.marked = 0, 0, vclock.Dot{}
}

// letGo ends the incarnation before the store lets go of an object with this context, if
// any of its dots is in it: what the next mint of the key is based on would lack it, and
// call it overwritten (TRAPS C14). A marked one ends with it: the mark on the disk went
// before the first change of this life, so nothing can bring the incarnation back.
func (m *minter) letGo(c vclock.Context) {
	if last := m.last(); !last.IsZero() && c.Max(last.Actor) > 0 {
		m.end()
	}
}

// last is the newest dot of the incarnation that is under way or could be resumed.
func (m *minter) last() vclock.Dot {
	if m.actor == 0 {
		return m.marked
	}
	return vclock.Dot{Actor: m.actor, Counter: m.counter}
}

// present is the last dot of the incarnation that the next mint goes on with, zero
// where it would begin another. A marked one that may not be resumed is as good as
// ended: of a copy of an older directory it says nothing.
func (m *minter) present(resume bool) vclock.Dot {
	if m.actor == 0 && !resume {
		return vclock.Dot{}
	}
	return m.last()
}

// beyond reports whether c holds dots of an incarnation above its last: in a client's
// context, that it is made up; in stored or replicated data, that this store was rolled
// back without noticing (TRAPS C3, C8). Ended and foreign incarnations are not judged.
func beyond(c vclock.Context, last vclock.Dot) bool {
	return !last.IsZero() && c.Max(last.Actor) > last.Counter
}
