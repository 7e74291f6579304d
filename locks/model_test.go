// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"slices"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// The reference model: the rules of the package told with lists that are walked from
// end to end, and sets of single numbers. It knows no bounds, and takes well-formed
// commands only.

type modelSession struct {
	name    string
	owner   kv.NodeID
	ttl     time.Duration
	created uint64
	done    map[uint64]bool
}

// modelHold is somebody in the list of a lock.
type modelHold struct {
	session  SessionID
	holder   uint64
	kind     Kind
	value    string
	revision uint64
	wait     time.Duration
	index    uint64
	fence    kv.Fence // 0: waits
}

type model struct {
	fence    kv.Fence
	sessions map[SessionID]*modelSession
	// locks holds for each name those who hold it and then those who wait, in order.
	locks  map[string][]*modelHold
	ended  []SessionID
	events []Event
}

func newModel() *model {
	return &model{
		sessions: make(map[SessionID]*modelSession), locks: make(map[string][]*modelHold),
	}
}

func (m *model) apply(at At, command any) Result {
	switch c := command.(type) {
	case SessionOpen:
		return m.open(at, c)
	case SessionClose:
		m.end(at, c.ID)
		if !slices.Contains(m.ended, c.ID) {
			m.ended = append(m.ended, c.ID)
		}
		return Result{Code: CodeOK}
	case SessionExpire:
		if c.Term != at.Term {
			return Result{Code: CodeStaleTerm}
		}
		var ended []SessionID
		for _, id := range c.IDs {
			if m.sessions[id] != nil && !slices.Contains(ended, id) {
				ended = append(ended, id)
			}
		}
		m.end(at, c.IDs...)
		m.ended = append(m.ended, ended...)
		return Result{Code: CodeOK}
	case ForceRelease:
		return m.force(at, c)
	case EndDelay:
		return Result{Code: CodeOK}
	}
	return m.ofHolder(at, command)
}

func (m *model) open(at At, c SessionOpen) Result {
	s := m.sessions[c.ID]
	switch {
	case s != nil && (s.name != c.Name || s.ttl != c.TTL):
		return Result{Code: CodeConflict}
	case s != nil:
		return Result{Code: CodeOK, Index: s.created, TTL: s.ttl}
	case slices.Contains(m.ended, c.ID):
		return Result{Code: CodeSessionExpired}
	}
	m.sessions[c.ID] = &modelSession{
		name: c.Name, owner: c.Owner, ttl: c.TTL, created: at.Index, done: map[uint64]bool{},
	}
	m.tell(EventOpened, at, c.ID, 0, "", 0, c.TTL)
	return Result{Code: CodeOK, Index: at.Index, TTL: c.TTL}
}

// end ends sessions: out with all of theirs, then all queues are served.
func (m *model) end(at At, ids ...SessionID) {
	var names []string
	for _, id := range ids {
		if m.sessions[id] == nil {
			continue
		}
		for _, found := range m.numbers(id) {
			if found.hold.fence == 0 {
				m.tell(EventEnded, at, id, found.hold.holder, found.name, 0, 0)
			}
			m.remove(found.name, found.hold)
			names = append(names, found.name)
		}
		delete(m.sessions, id)
		m.tell(EventEnded, at, id, 0, "", 0, 0)
	}
	m.serve(at, names...)
}

// active is a number of a session that holds or waits.
type active struct {
	name string
	hold *modelHold
}

// numbers returns all that a session holds or waits for, in order of its numbers.
func (m *model) numbers(id SessionID) []active {
	var all []active
	for name, list := range m.locks {
		for _, h := range list {
			if h.session == id {
				all = append(all, active{name, h})
			}
		}
	}
	slices.SortFunc(all, func(a, b active) int { return int(a.hold.holder) - int(b.hold.holder) })
	return all
}

func (m *model) number(id SessionID, holder uint64) active {
	for _, a := range m.numbers(id) {
		if a.hold.holder == holder {
			return a
		}
	}
	return active{}
}

func (m *model) remove(name string, h *modelHold) {
	m.locks[name] = slices.DeleteFunc(slices.Clone(m.locks[name]),
		func(o *modelHold) bool { return o == h })
	m.sessions[h.session].done[h.holder] = true
}

// serve grants, lock after lock, whoever has only such in front of him as go together
// with him.
func (m *model) serve(at At, names ...string) {
	for _, name := range names {
		for i, h := range m.locks[name] {
			if h.fence > 0 {
				continue
			}
			if !together(m.locks[name][:i], h.kind) {
				break
			}
			m.grant(at, h)
			m.tell(EventGranted, at, h.session, h.holder, name, h.fence, 0)
		}
		if len(m.locks[name]) == 0 {
			delete(m.locks, name)
		}
	}
}

func together(front []*modelHold, kind Kind) bool {
	return !slices.ContainsFunc(front, func(h *modelHold) bool {
		return h.kind == KindExclusive || kind == KindExclusive
	})
}

func (m *model) grant(at At, h *modelHold) {
	m.fence = max(m.fence+1, kv.Fence(uint64(at.Generation)<<48|at.Index))
	h.fence, h.index = m.fence, at.Index
}

func (m *model) tell(
	kind EventKind, at At, id SessionID, holder uint64, name string, fence kv.Fence,
	span time.Duration,
) {
	m.events = append(m.events, Event{
		Kind: kind, Session: id, Holder: holder, Name: name, Fence: fence, Index: at.Index, Span: span,
	})
}

func (m *model) force(at At, c ForceRelease) Result {
	for _, h := range m.locks[c.Name] {
		if h.fence != 0 && h.fence == c.Fence {
			m.tell(EventReleased, at, h.session, h.holder, c.Name, h.fence, 0)
			m.remove(c.Name, h)
			m.serve(at, c.Name)
			return Result{Code: CodeOK, Released: true}
		}
	}
	return Result{Code: CodeOK}
}

// data is what the model would export.
func (m *model) data() Data {
	d := Data{Fence: m.fence, Ended: m.ended}
	for id, s := range m.sessions {
		through, above := intervals(s.done)
		d.Sessions = append(d.Sessions, Session{
			ID: id, Name: s.name, Owner: s.owner, TTL: s.ttl, Created: s.created,
			DoneThrough: through, Done: above,
		})
	}
	slices.SortFunc(d.Sessions, func(a, b Session) int {
		return strings.Compare(a.Name+string(a.ID[:]), b.Name+string(b.ID[:]))
	})
	for name, list := range m.locks {
		l := Lock{Name: name}
		for _, h := range list {
			if h.fence > 0 {
				l.Kind = h.kind
				l.Holders = append(l.Holders, Grant{
					Session: h.session, Holder: h.holder, Permits: 1, Fence: h.fence, Index: h.index,
					Value: copyValue([]byte(h.value)), Revision: h.revision,
				})
				continue
			}
			l.Queue = append(l.Queue, Waiter{
				Session: h.session, Holder: h.holder, Kind: h.kind, Permits: 1,
				Value: copyValue([]byte(h.value)), Wait: h.wait, Index: h.index,
			})
		}
		d.Locks = append(d.Locks, l)
	}
	slices.SortFunc(d.Locks, func(a, b Lock) int { return strings.Compare(a.Name, b.Name) })
	return d
}

// intervals writes a set of numbers as a session does.
func intervals(set map[uint64]bool) (through uint64, above []Interval) {
	for set[through+1] {
		through++
	}
	var rest []uint64
	for n := range set {
		if n > through {
			rest = append(rest, n)
		}
	}
	slices.Sort(rest)
	for _, n := range rest {
		if last := len(above) - 1; last >= 0 && above[last].Last == n-1 {
			above[last].Last = n
			continue
		}
		above = append(above, Interval{n, n})
	}
	return through, above
}
