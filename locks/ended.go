// SPDX-License-Identifier: Apache-2.0

package locks

// endings remembers the last MaxEnded sessions that ended. Without it a SessionOpen that
// was under way for long would open its session again, and an Acquire behind it would
// lock something for a client that is gone (TRAPS L3).
type endings struct {
	ids    []SessionID // a ring once it is full
	oldest int
	known  map[SessionID]struct{}
}

func newEndings() endings { return endings{known: make(map[SessionID]struct{})} }

func (e *endings) has(id SessionID) bool {
	_, ok := e.known[id]
	return ok
}

func (e *endings) add(id SessionID) {
	if e.has(id) {
		return
	}
	e.known[id] = struct{}{}
	if len(e.ids) < MaxEnded {
		e.ids = append(e.ids, id)
		return
	}
	delete(e.known, e.ids[e.oldest])
	e.ids[e.oldest] = id
	e.oldest = (e.oldest + 1) % MaxEnded
}

// list returns the ids, the oldest first.
func (e *endings) list() []SessionID {
	if len(e.ids) == 0 {
		return nil
	}
	ids := make([]SessionID, 0, len(e.ids))
	ids = append(ids, e.ids[e.oldest:]...)
	return append(ids, e.ids[:e.oldest]...)
}
