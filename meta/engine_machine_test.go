// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/dyno-kv/dyno/meta/state"
)

var errTestMachine = errors.New("the machine of a test was told to fail")

// testMachine is the state of a process. All of a rig share a log, against which each
// applied entry is checked.
type testMachine struct {
	log *committedLog

	mu    sync.Mutex
	state *state.State // nil before the first snapshot
	fail  uint64       // apply fails at this index
	skew  uint64       // at this index the state goes wrong
}

var _ applier = (*testMachine)(nil)

func (m *testMachine) applied() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return 0
	}
	return m.state.Index()
}

func (m *testMachine) apply(index, term uint64, entry []byte) (state.Applied, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case index == m.fail:
		return state.Applied{}, errTestMachine
	case m.state != nil && index <= m.state.Index():
		m.log.check(index, term, entry, nil)
		return state.Applied{}, nil
	case m.state == nil:
		return state.Applied{}, fmt.Errorf("entry %d before any snapshot", index)
	}
	if index == m.skew {
		entry = state.AppendEntry(nil, state.Token{}, skewCommand())
	}
	applied, err := m.state.Apply(index, term, entry)
	if err == nil && m.skew == 0 {
		m.log.check(index, term, entry, m.state)
	}
	return applied, err
}

// skewCommand changes any state.
func skewCommand() state.Command {
	return state.RegisterMember{Name: "ghost", Weight: 1, Addresses: state.Addresses{
		Client: "ghost:1", Peer: "ghost:2", Gossip: "ghost:3",
	}}
}

func (m *testMachine) restore(index, term uint64, snapshot []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != nil && m.state.Index() >= index {
		return nil
	}
	s, err := state.Restore(snapshot)
	if err != nil {
		return err
	}
	m.state = s
	m.log.compare(s, index, term)
	return nil
}

func (m *testMachine) snapshot() (index, term uint64, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return 0, 0, nil
	}
	return m.state.Index(), m.state.Term(), m.state.Snapshot(nil)
}

func (m *testMachine) read(f func(*state.State)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.state)
}

// follow applies what the log has and the machine has not.
func (m *testMachine) follow() {
	if base := m.log.base; m.applied() < base.Index() {
		must(m.log.t, m.restore(base.Index(), base.Term(), m.log.first))
	}
	for {
		e, ok := m.log.entry(m.applied() + 1)
		if !ok {
			return
		}
		_, err := m.apply(e.index, e.term, e.data)
		must(m.log.t, err)
	}
}

// committedLog is what the members of a rig have applied: each index is one entry, for
// all and for ever, and leads to one state (TRAPS L6).
type committedLog struct {
	t     testing.TB
	base  *state.State // before the first entry: founded, or recovered
	first []byte       // its snapshot

	mu      sync.Mutex
	entries []committedEntry // those after base
}

type committedEntry struct {
	index, term uint64
	data        []byte
	hash        [32]byte
}

func newCommittedLog(t testing.TB) *committedLog { return &committedLog{t: t} }

// begin begins a history after a state.
func (c *committedLog) begin(s *state.State) {
	c.base, c.first, c.entries = s, s.Snapshot(nil), nil
}

// check compares an entry, and at every eighth index the state after it, if there is one,
// with what others have applied at that index.
func (c *committedLog) check(index, term uint64, data []byte, s *state.State) {
	var hash [32]byte
	if s != nil && index%8 == 0 {
		hash = s.Hash()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if index <= c.base.Index() {
		return // of the history before
	}
	at := int(index - c.base.Index() - 1)
	switch {
	case at == len(c.entries) && s != nil:
		c.entries = append(c.entries, committedEntry{
			index: index, term: term, data: bytes.Clone(data), hash: hash,
		})
	case at >= len(c.entries):
		c.t.Errorf("entry %d applied before any other member applied entry %d", index, int(c.base.Index())+len(c.entries)+1)
	case c.entries[at].term != term || !bytes.Equal(c.entries[at].data, data):
		c.t.Errorf("entry %d is of term %d here, of term %d elsewhere: a committed entry was lost",
			index, term, c.entries[at].term)
	case s != nil && c.entries[at].hash != hash:
		c.t.Errorf("the states differ after entry %d", index)
	}
}

// compare compares a restored state.
func (c *committedLog) compare(s *state.State, index, term uint64) {
	if s.Index() != index || s.Term() != term {
		c.t.Errorf("a snapshot at %d of term %d has a state at %d of term %d",
			index, term, s.Index(), s.Term())
	}
	if e, ok := c.entry(index); ok && index%8 == 0 && e.hash != s.Hash() {
		c.t.Errorf("the states differ after a snapshot at %d", index)
	}
}

func (c *committedLog) entry(index uint64) (committedEntry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := int(index) - int(c.base.Index()) - 1
	if at < 0 || at >= len(c.entries) {
		return committedEntry{}, false
	}
	return c.entries[at], true
}
