// SPDX-License-Identifier: Apache-2.0

package locks

// ofHolder is the model of the commands of one number.
func (m *model) ofHolder(at At, command any) Result {
	id, holder, _ := numberOf(command)
	s := m.sessions[id]
	if c, ok := command.(Acquire); ok && c.DoneThrough >= c.Holder {
		return Result{Code: CodeInvalid}
	}
	if s == nil {
		return Result{Code: CodeSessionExpired}
	}
	found := m.number(id, holder)
	switch c := command.(type) {
	case Acquire:
		m.finishThrough(at, c)
		return m.acquire(at, s, c)
	case Cancel:
		switch {
		case found.hold == nil:
			s.done[holder] = true
			return Result{Code: CodeOK}
		case found.name != c.Name:
			return Result{Code: CodeInvalid}
		case found.hold.fence == 0:
			m.tell(EventCancelled, at, id, holder, c.Name, 0, 0)
		}
		m.remove(c.Name, found.hold)
		m.serve(at, c.Name)
		return Result{Code: CodeOK, Released: found.hold.fence != 0}
	case CancelWait:
		if found.hold == nil || found.hold.fence != 0 || found.name != c.Name {
			return Result{Code: CodeOK}
		}
		m.tell(EventWaitOver, at, id, holder, c.Name, 0, 0)
		m.remove(c.Name, found.hold)
		m.serve(at, c.Name)
		return Result{Code: CodeWaitOver}
	case Release:
		if !found.is(c.Name) || found.hold.fence != c.Fence {
			return Result{Code: CodeOK}
		}
		m.remove(c.Name, found.hold)
		m.serve(at, c.Name)
		return Result{Code: CodeOK, Released: true}
	case SetValue:
		if !found.is(c.Name) || found.hold.fence != c.Fence {
			return Result{Code: CodeLockLost}
		}
		if c.Revision > found.hold.revision {
			found.hold.value, found.hold.revision = string(c.Value), c.Revision
		}
		return Result{Code: CodeOK, Fence: found.hold.fence, Index: found.hold.index}
	}
	panic("no command of a holder")
}

// is says whether a number holds a lock of that name.
func (a active) is(name string) bool {
	return a.hold != nil && a.hold.fence != 0 && a.name == name
}

// finishThrough finishes every number up to DoneThrough.
func (m *model) finishThrough(at At, c Acquire) {
	var names []string
	for _, a := range m.numbers(c.Session) {
		if a.hold.holder > c.DoneThrough {
			continue
		}
		if a.hold.fence == 0 {
			m.tell(EventCancelled, at, c.Session, a.hold.holder, a.name, 0, 0)
		}
		m.remove(a.name, a.hold)
		names = append(names, a.name)
	}
	for n := uint64(1); n <= c.DoneThrough; n++ {
		m.sessions[c.Session].done[n] = true
	}
	m.serve(at, names...)
}

func (m *model) acquire(at At, s *modelSession, c Acquire) Result {
	found := m.number(c.Session, c.Holder)
	switch {
	case found.hold != nil && found.name != c.Name:
		return Result{Code: CodeInvalid}
	case found.hold != nil && found.hold.kind != c.Kind:
		return Result{Code: CodeConflict}
	case found.hold != nil:
		return m.answer(found)
	case s.done[c.Holder]:
		return Result{Code: CodeLockLost}
	}
	h := &modelHold{
		session: c.Session, holder: c.Holder, kind: c.Kind, value: string(c.Value),
		wait: c.Wait, index: at.Index,
	}
	switch {
	case together(m.locks[c.Name], c.Kind):
		m.grant(at, h)
	case c.Wait == 0:
		s.done[c.Holder] = true
		return Result{Code: CodeHeld}
	default:
		m.tell(EventQueued, at, c.Session, c.Holder, c.Name, 0, c.Wait)
	}
	m.locks[c.Name] = append(m.locks[c.Name], h)
	return m.answer(active{c.Name, h})
}

func (m *model) answer(a active) Result {
	if a.hold.fence != 0 {
		return Result{Code: CodeOK, Fence: a.hold.fence, Index: a.hold.index}
	}
	position := 0
	for _, h := range m.locks[a.name] {
		if h.fence == 0 {
			position++
		}
		if h == a.hold {
			break
		}
	}
	return Result{Code: CodeQueued, Index: a.hold.index, Position: position}
}

// numberOf returns whose number a command is about.
func numberOf(command any) (id SessionID, holder uint64, name string) {
	switch c := command.(type) {
	case Acquire:
		return c.Session, c.Holder, c.Name
	case Cancel:
		return c.Session, c.Holder, c.Name
	case CancelWait:
		return c.Session, c.Holder, c.Name
	case Release:
		return c.Session, c.Holder, c.Name
	case SetValue:
		return c.Session, c.Holder, c.Name
	}
	return SessionID{}, 0, ""
}
