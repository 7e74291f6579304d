// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"math/rand/v2"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/storage"
)

// member is one member that hints are for, as its deliverer sees it. It is owned by Run.
type member struct {
	id     kv.NodeID
	alive  bool
	pauses pauses
	queue  []replica.HintCell // yet to be passed, in order
	pass   *pass              // under way; nil: the next of the queue
	open   int                // hints on their way. Invariant: <= Window
	// looked is when a queue was given last, and mark the newest mark then.
	looked time.Time
	mark   uint64
	again  time.Duration // after looked, the next queue is due
	stuck  bool          // something of the queue can not be delivered now
}

// offer gives the member its cells, unless it has some, or had them lately and no mark was
// set since.
func (m *member) offer(
	now time.Time, cells []replica.HintCell, newest uint64, every time.Duration,
) {
	busy := m.pass != nil || len(m.queue) > 0 || m.open > 0 // what is on its way is still listed
	if busy || !m.alive || now.Before(m.looked.Add(m.again)) && newest == m.mark {
		return
	}
	m.queue, m.looked, m.mark, m.again = cells, now, newest, every
	if m.stuck { // what is stuck is so for long, and to send it costs something
		m.again, m.stuck = stuckFactor*every, false
	}
}

// stuckFactor is how many times as rarely hints are sent again that their member can take
// as little as before: it can not read its own copy, or holds newer data.
const stuckFactor = 12

// idle reports whether nothing is lost with the member.
func (m *member) idle() bool {
	return m.open == 0 && m.pass == nil && len(m.queue) == 0 && !m.pauses.paused()
}

// look notes whether the member seems alive; one that comes back is tried at once.
func (m *member) look(now time.Time, alive bool) {
	if alive && !m.alive {
		m.pauses.reset()
		m.looked, m.again = now, 0
	}
	m.alive = alive
	if !alive {
		m.breakOff()
	}
}

// ready reports whether there is something to do for the member.
func (m *member) ready(now time.Time) bool {
	return m.alive && (m.pass != nil || len(m.queue) > 0) && m.pauses.over(now)
}

// until is after how long the member is to be looked at again: at most every, for what is on
// its way wakes when it comes back. Gossip tells who is back before there is a connection,
// so one that does not seem alive is looked at more often.
func (m *member) until(now time.Time, every time.Duration) time.Duration {
	switch {
	case !m.alive:
		return min(every, m.pauses.least)
	case m.open > 0:
		return every
	}
	return min(every, max(m.pauses.left(now), m.looked.Add(m.again).Sub(now)))
}

// breakOff ends the passes for the member: what they had to bring stays for the next.
func (m *member) breakOff() { m.pass, m.queue = nil, nil }

// pauses are those after failures: each twice as long as the one before, up to a bound,
// less some jitter, so that not all fallbacks of a member come at the same time.
type pauses struct {
	least, most time.Duration
	fails       int
	end         time.Time
}

func (p *pauses) fail(now time.Time, r *rand.Rand) {
	pause := p.least << min(p.fails, 20)
	pause = min(pause, p.most)
	pause -= time.Duration(r.Int64N(int64(pause)/4 + 1))
	p.fails++
	p.end = now.Add(pause)
}

func (p *pauses) reset()                           { p.fails, p.end = 0, time.Time{} }
func (p *pauses) paused() bool                     { return p.fails > 0 }
func (p *pauses) over(now time.Time) bool          { return !now.Before(p.end) }
func (p *pauses) left(now time.Time) time.Duration { return max(0, p.end.Sub(now)) }

// pass goes once through the hints of a cell. It is owned by Run.
type pass struct {
	at    replica.HintCell
	mark  uint64 // the newest when it began
	from  storage.Position
	page  []replica.Hint
	more  bool // after the page; before the first one, too
	open  int  // hints on their way
	dirty bool // something was not delivered
}

// listed reports whether all that the pass was to bring is on its way or was.
func (p *pass) listed() bool { return len(p.page) == 0 && !p.more }
