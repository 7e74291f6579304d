// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"slices"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/meta/state"
)

// reconsider compares this member's part with what the group has decided, as far as it is
// known here: a raft id that the group has given up is erased, and a new one is begun.
func (l *loop) reconsider() error {
	m, known := l.self()
	if !known {
		return nil
	}
	if l.store.exists() && l.givenUp(&m) {
		l.e.log.Info("the group has given up this member's raft id", zap.Stringer("raft-id", l.raft),
			zap.String("refused", l.refused))
		l.leave("")
		if err := l.store.end(); err != nil {
			return err
		}
		l.raft, l.seats = 0, nil
		l.sweep()
	}
	if l.store.exists() || !l.wanted(&m) {
		return nil
	}
	l.e.log.Info("this member gets a seat", zap.Stringer("raft-id", m.Raft))
	if err := l.store.begin(uint64(m.Raft), l.e.env.open); err != nil {
		return err
	}
	l.sweep()
	return l.restart(nil)
}

// self returns this member as the state knows it.
func (l *loop) self() (m state.Member, known bool) {
	l.e.env.machine.read(func(s *state.State) {
		if s != nil {
			m, known = s.Member(l.e.env.node)
		}
	})
	return m, known
}

// givenUp reports whether the raft id of the store is no more. A seat that still belongs
// to the configuration, as far as it knows, goes on until it is told: the others may need
// it to commit the change that removes it.
func (l *loop) givenUp(m *state.Member) bool {
	own := state.RaftID(l.store.state.Raft)
	if m.Raft == own || m.RaftLast < own {
		return false // it is this member's, or what is known here is old
	}
	return l.node == nil || !slices.Contains(raftIDs(l.seats), own)
}

// wanted reports whether the group wants this member as a seat under a raft id that may
// be begun with an empty log: only the very opening for which the id was made may do that,
// for an earlier one may have begun it before, and voted.
func (l *loop) wanted(m *state.Member) bool {
	return m.Raft != 0 && m.RaftFor() == l.e.env.open && !m.Left
}
