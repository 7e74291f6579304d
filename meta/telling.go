// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"math"
	"slices"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
)

// told is what a tracer hears of an entry: which grants it made and ended. Of sessions
// that end, the table tells only that they do: what they held has to be seen before.
type told struct {
	commands []state.Command
	held     []heldLock
}

// heldLock is a grant of a session that an entry may end.
type heldLock struct {
	name    string
	session locks.SessionID
	fence   kv.Fence
}

// beforeEntry reads an entry for the tracer. It costs a walk over all locks where
// sessions may expire, and so only a rig pays for it. m.mu is held.
func (m *machine) beforeEntry(entry []byte) (t told) {
	_, commands, err := state.DecodeEntry(entry)
	if err != nil {
		return t // apply says so
	}
	t.commands = commands
	for _, c := range commands {
		expire, ok := c.(state.SessionExpire)
		if !ok {
			continue
		}
		for _, lock := range m.state.Locks().Locks("", "", math.MaxInt) {
			for _, h := range lock.Holders {
				if slices.Contains(expire.IDs, h.Session) {
					t.held = append(t.held, heldLock{lock.Name, h.Session, h.Fence})
				}
			}
		}
	}
	return t
}

// afterEntry tells the tracer of grants that began and ended. m.mu is held.
func (m *machine) afterEntry(t told, index uint64, applied *state.Applied) {
	for i, c := range t.commands {
		result := &applied.Results[i].Lock
		if a, ok := c.(state.Acquire); ok && result.Code == locks.CodeOK && result.Index == index {
			m.tell(trace.LockGranted, a.Name, a.Session, result.Fence)
		}
	}
	for i := range applied.Events {
		switch e := &applied.Events[i]; e.Kind {
		case locks.EventReleased:
			m.tell(trace.LockExpired, e.Name, e.Session, e.Fence)
		case locks.EventEnded:
			for _, h := range t.held {
				if e.Holder == 0 && h.session == e.Session {
					m.tell(trace.LockExpired, h.name, h.session, h.fence)
				}
			}
		case locks.EventGranted:
			m.tell(trace.LockGranted, e.Name, e.Session, e.Fence)
		}
	}
}

func (m *machine) tell(
	kind trace.Kind, name string, session locks.SessionID, fence kv.Fence,
) {
	m.trace.Emit(trace.Event{
		Kind: kind, Key: []byte(name), Request: session[:], Value: uint64(fence),
	})
}
