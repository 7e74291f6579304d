// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

// follower hears what the machine applies, in order, on the goroutine that applies it
// and with the machine locked: it must not wait.
type follower interface {
	// noted is called with the events of each entry.
	noted(events []locks.Event, index uint64)
	// reset is called where events have been skipped: s is the state after them.
	reset(s *state.State)
}

// machine is the applied state. Committed entries come from the engine, from a tail, or,
// while a client becomes a seat, from both: what has been applied already is skipped.
type machine struct {
	// Immutable after newMachine.
	desk  *desk
	views *views
	trace *trace.Tracer // nil: nobody listens

	mu     sync.Mutex   // guards what follows
	state  *state.State // nil before the first snapshot
	recent recent
	waits  awaiting
	// leading hears of everything while this member leads; nil otherwise.
	leading follower
	// halted is why this copy can not go on.
	halted error
}

func newMachine(desk *desk, views *views, t *trace.Tracer) *machine {
	return &machine{desk: desk, views: views, trace: t, recent: recent{limit: recentBytes}}
}

// apply takes a committed entry from the engine. The error says that this copy has
// halted. An entry that was applied before is skipped, and its results are not told again:
// nobody who proposes waits for them here, as a leader has applied all that was committed
// before its term.
func (m *machine) apply(index, term uint64, entry []byte) (state.Applied, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.take(index, term, entry)
}

// follow takes committed entries that another member of that generation says it has
// applied, the first of them at index. The error is errGap where they do not fit this
// copy, which then is as before; any other says that it has halted.
func (m *machine) follow(g kv.Generation, entries []wire.MetaEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		if m.state == nil || m.state.Generation() != g || e.Index > m.state.Index()+1 {
			return errGap
		}
		if e.Term < m.state.Term() && e.Index > m.state.Index() {
			return errGap
		}
		if _, err := m.take(e.Index, e.Term, e.Data); err != nil {
			return err
		}
	}
	return nil
}

// errGap: the entries do not follow those that were applied.
var errGap = errors.New("meta: the entries do not follow this member's state")

// take applies an entry. m.mu is held.
func (m *machine) take(index, term uint64, entry []byte) (state.Applied, error) {
	switch {
	case m.halted != nil:
		return state.Applied{}, m.halted
	case m.state == nil:
		return state.Applied{}, m.halt(fmt.Errorf("entry %d came before a snapshot", index))
	case index <= m.state.Index():
		return state.Applied{}, nil
	}
	var before told
	if m.trace.Enabled() {
		before = m.beforeEntry(entry)
	}
	applied, err := m.state.Apply(index, term, entry)
	if err != nil {
		return state.Applied{}, m.halt(err)
	}
	if m.trace.Enabled() {
		m.afterEntry(before, index, &applied)
	}
	m.recent.add(committed{Term: term, Data: entry})
	if applied.View {
		m.views.offer(m.state.View())
	}
	if len(applied.Events) > 0 {
		m.desk.note(applied.Events)
	}
	if m.leading != nil {
		m.leading.noted(applied.Events, index)
	}
	m.waits.reached(index)
	return applied, nil
}

// agrees reports whether the state has the entry of an index in that term, of one generation;
// true where that is not known.
func (m *machine) agrees(index, term uint64, of kv.Generation) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil || term == 0 || m.state.Generation() != of {
		return true
	}
	if index == m.state.Index() {
		return m.state.Term() == term
	}
	before, known := m.recent.term(index)
	return !known || before == term
}

// give stops this copy for good, from outside.
func (m *machine) give(why error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.halt(why)
}

// halt stops this copy for good. m.mu is held.
func (m *machine) halt(why error) error {
	m.halted = fmt.Errorf("%w: %w", ErrHalted, why)
	return m.halted
}

// restore puts a snapshot in the state's place, unless the state has come as far by
// itself. A snapshot of another generation counts always: the log of this one may have
// been given up. The error says what is wrong with the snapshot; the state is as before.
func (m *machine) restore(index, term uint64, snapshot []byte) error {
	restored, err := state.Restore(snapshot)
	if err != nil {
		return fmt.Errorf("meta: restore a snapshot: %w", err)
	}
	if restored.Index() != index || restored.Term() != term {
		return fmt.Errorf("meta: the snapshot of entry %d, term %d, is one of entry %d, term %d",
			index, term, restored.Index(), restored.Term())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.halted != nil {
		return m.halted
	}
	if old := m.state; old != nil && old.Generation() == restored.Generation() &&
		old.Index() >= restored.Index() {
		return nil
	}
	m.adopt(restored)
	return nil
}

// adopt begins anew with a state. m.mu is held.
func (m *machine) adopt(s *state.State) {
	m.state = s
	m.recent.reset(s.Index() + 1)
	m.views.offer(s.View())
	m.desk.restored()
	if m.leading != nil {
		m.leading.reset(s)
	}
	m.waits.reached(s.Index())
}

// lead has f hear everything from here on, beginning with the state as it is; nil ends
// it.
func (m *machine) lead(f follower) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leading = f
	if f != nil && m.state != nil {
		f.reset(m.state)
	}
}

// read shows the state, which f must neither change nor keep; nil before the first.
func (m *machine) read(f func(*state.State)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.state)
}

// place is how far the state has come: index and generation, 0 before the first.
func (m *machine) place() (index uint64, generation kv.Generation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return 0, 0
	}
	return m.state.Index(), m.state.Generation()
}

// reached is place, and tells the term of that entry as well.
func (m *machine) reached() (index, term uint64, generation kv.Generation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return 0, 0, 0
	}
	return m.state.Index(), m.state.Term(), m.state.Generation()
}

// applied is the index of the newest entry that was applied.
func (m *machine) applied() uint64 {
	index, _ := m.place()
	return index
}

// await waits until the state has come to an index, or ctx ends.
func (m *machine) await(ctx context.Context, index uint64) error {
	m.mu.Lock()
	if m.state != nil && m.state.Index() >= index {
		m.mu.Unlock()
		return nil
	}
	a := m.waits.add(index)
	m.mu.Unlock()
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits.remove(a)
	return ctx.Err()
}

// awaitFor is await, for at most so long. It reports whether the state has come there.
func (m *machine) awaitFor(ctx context.Context, index uint64, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return m.await(ctx, index) == nil
}

// after returns entries that follow index, about so many bytes of them; ok is false where
// only a snapshot helps. The entries must not be changed.
func (m *machine) after(index uint64, bytes int) (entries []committed, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return nil, true
	}
	return m.recent.after(index, bytes)
}

// snapshot encodes the state; index 0 before the first. It takes as long as the state is
// large, and nothing is applied meanwhile.
func (m *machine) snapshot() (index, term uint64, snapshot []byte) {
	index, term, _, snapshot = m.export()
	return index, term, snapshot
}

// export is snapshot, and tells the generation as well.
func (m *machine) export() (index, term uint64, of kv.Generation, snapshot []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return 0, 0, 0, nil
	}
	s := m.state
	return s.Index(), s.Term(), s.Generation(), s.Snapshot(nil)
}
