// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"slices"
	"time"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
)

// lingerFor is how long an Acquire that will only queue waits for company. Whoever has
// released a lock that many want asks for it again at once, and the next holder releases
// it a moment later: where the first went alone, that release would wait for its sync.
// Longer than a client takes between a grant and its release of it, shorter than anybody
// notices who waits for a lock.
const lingerFor = 2 * time.Millisecond

// patient returns the Acquire that a proposal consists of, if it will only queue as far as
// the state tells now; else nil.
func (e *engine) patient(commands [][]byte) *locks.Acquire {
	if len(commands) != 1 || !state.IsAcquire(commands[0]) {
		return nil
	}
	c, err := state.DecodeCommand(commands[0])
	if err != nil {
		return nil // whoever proposed it hears why
	}
	acquire, is := c.(state.Acquire)
	a := locks.Acquire(acquire)
	if !is || !e.wouldQueue(&a) {
		return nil
	}
	return &a
}

func (e *engine) wouldQueue(a *locks.Acquire) (would bool) {
	e.env.machine.read(func(s *state.State) { would = s.Locks().WouldQueue(*a) })
	return would
}

// lingering is what the loop knows of proposals that have time. Nothing that is due waits
// for one that has.
type lingering struct {
	timer *time.Timer
	// held says that all that waits has time, until the timer fires.
	held bool
}

func newLingering() lingering {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return lingering{timer: t}
}

// joined notes a proposal, the n-th that waits.
func (l *lingering) joined(p *proposal, n int) {
	switch {
	case p.acquire == nil:
		l.over()
	case n == 1:
		l.held = true
		l.timer.Reset(lingerFor)
	}
}

// over ends the hold.
func (l *lingering) over() {
	l.held = false
	l.timer.Stop()
}

// holds reports whether what waits is to wait on.
func (l *loop) holds() bool {
	return l.linger.held && len(l.waiting) < state.MaxCommands
}

// moved looks, after entries were applied, whether what waits still has time: the lock that
// it would have queued for may be free.
func (l *loop) moved() {
	if l.linger.held && slices.ContainsFunc(l.waiting, func(p *proposal) bool {
		return !l.e.wouldQueue(p.acquire)
	}) {
		l.linger.over()
	}
}
