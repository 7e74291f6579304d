// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"cmp"
	"maps"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// lockGroup is a group that answers requests about locks one after the other.
type lockGroup struct {
	time     *timeline
	fence    uint64
	sessions map[string]*groupSession
	locks    map[string]*groupLock
}

type groupSession struct {
	ttl, deadline int64
	over          bool
	finished      map[uint64]bool // numbers of attempts
}

type groupLock struct {
	holders []groupHolder
	queue   []groupHolder
}

type groupHolder struct {
	attempt
	shared bool
	fence  uint64
	reply  func(groupReply)
}

// groupReply is what a client is told: no fence says that others have the lock.
type groupReply struct {
	outcome  history.Outcome
	fence    uint64
	released bool
	expired  bool
}

func newLockGroup(t *timeline) *lockGroup {
	return &lockGroup{
		time: t, sessions: make(map[string]*groupSession), locks: make(map[string]*groupLock),
	}
}

func (g *lockGroup) open(name string, ttl int64) {
	if g.sessions[name] == nil {
		g.sessions[name] = &groupSession{ttl: ttl, finished: make(map[uint64]bool)}
		g.renew(name)
	}
}

// renew reports whether the session lives, and lets it live on.
func (g *lockGroup) renew(name string) bool {
	s := g.sessions[name]
	if s == nil || s.over {
		return false
	}
	s.deadline = g.time.now + s.ttl
	g.time.after(s.ttl, func() {
		if !s.over && g.time.now >= s.deadline {
			g.close(name)
		}
	})
	return true
}

// close ends a session: first all that it has goes, then others are served.
func (g *lockGroup) close(name string) {
	s := g.sessions[name]
	if s == nil || s.over {
		return
	}
	s.over = true
	own := func(h groupHolder) bool { return h.session == name }
	all := slices.Sorted(maps.Keys(g.locks))
	for _, lock := range all {
		l := g.locks[lock]
		l.holders = slices.DeleteFunc(l.holders, own)
		for _, h := range l.queue {
			if own(h) {
				h.reply(groupReply{outcome: history.Fail, expired: true})
			}
		}
		l.queue = slices.DeleteFunc(l.queue, own)
	}
	for _, lock := range all {
		g.serve(lock)
	}
}

func (g *lockGroup) lock(name string) *groupLock {
	l := g.locks[name]
	if l == nil {
		l = &groupLock{}
		g.locks[name] = l
	}
	return l
}

func (l *groupLock) free(shared bool) bool {
	return len(l.holders) == 0 || shared && l.holders[0].shared
}

// serve grants the lock to as many as can have it, first come first served. A free lock is
// forgotten.
func (g *lockGroup) serve(name string) {
	l := g.lock(name)
	for len(l.queue) > 0 && l.free(l.queue[0].shared) {
		h := l.queue[0]
		l.queue = l.queue[1:]
		g.fence += 1 + g.fence%3 // other entries come between
		h.fence = g.fence
		l.holders = append(l.holders, h)
		h.reply(groupReply{outcome: history.OK, fence: h.fence})
	}
	if len(l.holders) == 0 {
		delete(g.locks, name)
	}
}

func (g *lockGroup) acquire(name string, h groupHolder, wait int64) {
	s := g.sessions[h.session]
	switch {
	case s == nil || s.over:
		h.reply(groupReply{outcome: history.Fail, expired: true})
		return
	case s.finished[h.holder]:
		h.reply(groupReply{outcome: history.Fail})
		return
	}
	l := g.lock(name)
	l.queue = append(l.queue, h)
	g.serve(name)
	refuse := func() {
		waits := func(q groupHolder) bool { return q.attempt == h.attempt }
		if i := slices.IndexFunc(l.queue, waits); i >= 0 {
			l.queue = slices.Delete(l.queue, i, i+1)
			s.finished[h.holder] = true
			h.reply(groupReply{outcome: history.OK})
			g.serve(name) // readers may have waited behind it
		}
	}
	if wait == 0 {
		refuse()
		return
	}
	g.time.after(wait, refuse)
}

// end takes away what fits, finishes the number of whoever had it, and reports whether
// there was something.
func (g *lockGroup) end(name string, fits func(groupHolder) bool) bool {
	l := g.lock(name)
	found := false
	for _, list := range []*[]groupHolder{&l.holders, &l.queue} {
		for _, h := range *list {
			if fits(h) {
				found = true
				g.sessions[h.session].finished[h.holder] = true
			}
		}
		*list = slices.DeleteFunc(*list, fits)
	}
	g.serve(name)
	return found
}

func (g *lockGroup) cancel(name string, who attempt) groupReply {
	s := g.sessions[who.session]
	if s == nil || s.over {
		return groupReply{outcome: history.Fail, expired: true}
	}
	s.finished[who.holder] = true
	g.end(name, func(h groupHolder) bool { return h.attempt == who })
	return groupReply{outcome: history.OK}
}

func (g *lockGroup) release(name string, fence uint64) groupReply {
	found := g.end(name, func(h groupHolder) bool { return h.fence == fence })
	return groupReply{outcome: history.OK, released: found}
}

// mergeOps puts the operations of two histories in the order of their ends.
func mergeOps(a, b []history.Op) []history.Op {
	all := append(slices.Clone(a), b...)
	slices.SortStableFunc(all, func(x, y history.Op) int {
		return cmp.Compare(x.Completed, y.Completed)
	})
	return all
}
