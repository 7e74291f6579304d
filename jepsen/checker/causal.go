// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"cmp"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// checkRegisters judges the keys with siblings, and the sessions on them.
func checkRegisters(x *index) (causal, sessions *Result) {
	causal = &Result{Checker: "causal", Verdict: Valid}
	sessions = &Result{Checker: "session", Verdict: Valid}
	var c counts
	for i := range x.keys {
		key := &x.keys[i]
		if key.family != registers {
			continue
		}
		g := newGraph(x, key, causal)
		if len(g.writes) > x.cfg.MaxWrites {
			causal.unsure("key %s has %d writes, more than MaxWrites", key.name, len(g.writes))
			continue
		}
		g.build()
		s := newSweep(g, sessions, &c)
		s.run()
	}
	c.tell(causal, sessions)
	return causal, sessions
}

// counts are over all keys.
type counts struct {
	keys, writes, reads, strict, stale, final, siblings int
	ownReads, ownStale, seenReads, seenStale, elsewhere int
}

func (c *counts) tell(causal, sessions *Result) {
	causal.stat("keys", float64(c.keys))
	causal.stat("writes", float64(c.writes))
	causal.stat("reads", float64(c.reads))
	causal.stat("strict-reads", float64(c.strict))
	causal.stat("final-reads", float64(c.final))
	causal.stat("most-siblings", float64(c.siblings))
	causal.stat("stale-rate", rate(c.stale, c.reads))
	sessions.stat("own-write-reads", float64(c.ownReads))
	sessions.stat("own-write-stale-rate", rate(c.ownStale, c.ownReads))
	sessions.stat("own-write-reads-elsewhere", float64(c.elsewhere))
	sessions.stat("repeated-reads", float64(c.seenReads))
	sessions.stat("not-monotonic-rate", rate(c.seenStale, c.seenReads))
	if c.reads == 0 {
		causal.unsure("no read was ok")
	}
}

func rate(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// sweep goes over the operations of one key in the order in which they were invoked.
type sweep struct {
	*graph
	sessionOut *Result
	counts     *counts

	next     int    // into acked
	known    levels // acknowledged puts before now
	dead     levels // what acknowledged deletes before now covered
	everSeen set    // shown by atomic reads that were complete before now

	shown, below set // S and anc(S) of the read at hand
	allowed      set // they, and what may be gone otherwise
	scratch      set

	sessions map[int]*session
	rounds   map[uint8]*round
}

func newSweep(g *graph, sessions *Result, c *counts) *sweep {
	n := len(g.writes)
	return &sweep{
		graph: g, sessionOut: sessions, counts: c, everSeen: newSet(n),
		shown: newSet(n), below: newSet(n), allowed: newSet(n), scratch: newSet(n),
		sessions: make(map[int]*session), rounds: make(map[uint8]*round),
	}
}

func (s *sweep) run() {
	ops := s.x.h.Ops
	order := slices.Clone(s.key.ops)
	slices.SortStableFunc(order, func(a, b int32) int {
		return cmp.Compare(ops[a].Invoked, ops[b].Invoked)
	})
	s.counts.keys++
	s.counts.writes += len(s.writes)
	for _, i := range order {
		op := &ops[i]
		switch {
		case op.Outcome != history.OK:
		case op.Kind == history.Get:
			s.advance(op.Invoked)
			s.show(i, op)
			s.read(i, op)
		case op.Kind == history.Put:
			if len(op.Read) > 0 {
				s.show(i, op)
			}
			one := s.session(op.Process)
			one.own.add(int(s.x.local[i]))
			one.wroteAt = op.Node
		case op.Kind == history.Delete:
			dead := s.session(op.Process).dead.at(s.x.levelOf(op), len(s.writes))
			dead.join(s.anc[s.x.local[i]])
		}
	}
	s.finish()
}

// finish says what the key lacks to be judged.
func (s *sweep) finish() {
	if !s.x.cfg.Final || len(s.writes) == 0 {
		return
	}
	if _, ok := s.rounds[s.x.rounds]; !ok || s.x.rounds == 0 {
		s.out.unsure("key %s has no final read that was ok", s.key.name)
	}
}

// advance takes in what was complete before a time.
func (s *sweep) advance(now int64) {
	ops := s.x.h.Ops
	for ; s.next < len(s.acked) && ops[s.acked[s.next]].Completed < now; s.next++ {
		i := s.acked[s.next]
		op, w, n := &ops[i], int(s.x.local[i]), len(s.writes)
		switch op.Kind {
		case history.Put:
			s.known.at(s.x.levelOf(op), n).add(w)
		case history.Delete:
			s.dead.at(s.x.levelOf(op), n).join(s.anc[w])
		default:
			for _, v := range op.Read {
				if j, why := s.x.phantom(s.key.name, v, op.Completed); why == "" {
					s.everSeen.add(int(s.x.local[j]))
				}
			}
		}
	}
}

// show finds S and anc(S), by rules 1, 2 and 4.
func (s *sweep) show(i int32, op *history.Op) {
	clear(s.shown)
	clear(s.below)
	twice, twins := -1, 0
	for _, v := range op.Read {
		j, why := s.x.phantom(s.key.name, v, op.Completed)
		if why == "" && s.deletes.has(int(s.x.local[j])) {
			why = "is a delete"
		}
		if why != "" {
			s.x.violate(s.out, "phantom", s.key.name, path(j, i),
				"%s is shown, which %s", v, why)
			continue
		}
		w := int(s.x.local[j])
		switch {
		case s.shown.has(w) && s.op(w).Moved:
			twins++
		case s.shown.has(w):
			twice = w
		}
		s.shown.add(w)
		s.below.join(s.anc[w])
	}
	s.counts.siblings = max(s.counts.siblings, len(op.Read))
	if twice >= 0 {
		s.x.violate(s.out, "explosion", s.key.name, path(s.writes[twice], i),
			"%s is shown more than once", s.op(twice).Value)
	} else if most := s.x.cfg.MaxSiblings; most > 0 && len(op.Read)-twins > most {
		s.x.violate(s.out, "explosion", s.key.name, path(i),
			"%d siblings are shown, there can be %d", len(op.Read), most)
	}
	s.falseSiblings(i)
	s.expired(i, op)
}

func (s *sweep) falseSiblings(i int32) {
	copy(s.scratch, s.shown)
	s.scratch.keep(s.below)
	s.scratch.remove(s.doubled)
	for d, found := range s.untold {
		if s.x.h.Ops[i].Final == 0 && s.below.has(d) {
			s.scratch.remove(found)
		}
	}
	w := s.scratch.first()
	if w < 0 {
		return
	}
	by := s.overwriter(w, s.shown)
	path := func() []int32 { return append(s.chain(w, by), i) }
	s.x.violate(s.out, "false-sibling", s.key.name, path,
		"%s is shown beside %s, which overwrote it", s.op(w).Value, s.op(by).Value)
}

// read checks what a read must show, and must not show any more.
func (s *sweep) read(i int32, op *history.Op) {
	copy(s.allowed, s.shown)
	s.allowed.join(s.below)
	s.allowed.join(s.hiddenBy(op.Completed))
	s.counts.reads++
	needs := s.x.needs(op)
	if needs <= s.x.h.Header.N {
		s.counts.strict++
	}
	s.lost(i, op, needs)
	s.resurrected(i, needs)
	s.checkSession(i, op)
	if op.Final > 0 {
		s.counts.final++
		s.final(i, op)
	}
}

// lost is rule 3, and the promise of atomic reads to each other.
func (s *sweep) lost(i int32, op *history.Op, needs int) {
	clear(s.scratch)
	s.known.above(needs, s.scratch)
	s.scratch.remove(s.allowed)
	if w := s.scratch.first(); w >= 0 {
		s.x.violate(s.out, "lost-update", s.key.name, s.lostPath(w, i),
			"%s was acknowledged at %s, and the read that begins at %s shows neither it nor "+
				"what overwrote it: %v (%d such writes)", s.op(w).Value,
			history.Clock(s.op(w).Completed), history.Clock(op.Invoked), op.Read, s.scratch.len())
	}
	clear(s.scratch)
	s.known.above(0, s.scratch)
	s.scratch.remove(s.allowed)
	if s.scratch.first() >= 0 {
		s.counts.stale++
	}
	if !op.Atomic || !s.x.cfg.Strict {
		return
	}
	copy(s.scratch, s.everSeen)
	s.scratch.remove(s.allowed)
	if w := s.scratch.first(); w >= 0 {
		s.x.violate(s.out, "atomic", s.key.name, path(s.writes[w], i),
			"%s was shown by an atomic read before, and this one shows neither it nor what "+
				"overwrote it: %v", s.op(w).Value, op.Read)
	}
}

// lostPath tells who wrote w, who overwrote it before the read ended without being shown,
// and who missed both.
func (s *sweep) lostPath(w int, read int32) func() []int32 {
	return func() []int32 {
		ops := []int32{s.writes[w]}
		for d := range s.writes {
			if op := s.op(d); s.anc[d].has(w) && op.Outcome == history.OK && len(ops) < 4 &&
				op.Invoked < s.x.h.Ops[read].Completed {
				ops = append(ops, s.writes[d])
			}
		}
		return append(ops, read)
	}
}

// resurrected is rule 6.
func (s *sweep) resurrected(i int32, needs int) {
	clear(s.scratch)
	s.dead.above(needs, s.scratch)
	s.scratch.keep(s.shown)
	s.scratch.remove(s.doubled)
	w := s.scratch.first()
	if w < 0 {
		return
	}
	read := &s.x.h.Ops[i]
	for d := range s.deletes.all {
		if op := s.op(d); op.Outcome == history.OK && op.Completed < read.Invoked &&
			s.anc[d].has(w) && s.x.levelOf(op) >= needs {
			s.x.violate(s.out, "resurrection", s.key.name,
				func() []int32 { return append(s.chain(w, d), i) }, "%s is shown, which %s deleted at %s",
				s.op(w).Value, op.Value, history.Clock(op.Completed))
			return
		}
	}
}

// final is rule 8, as far as clients can see it: the final reads of one round agree,
// but for values whose time may end between them. Those that asked fewer than all replicas
// may have found different ones.
func (s *sweep) final(i int32, op *history.Op) {
	if s.rounds[op.Final] == nil {
		s.rounds[op.Final] = &round{first: -1}
	}
	r := s.rounds[op.Final]
	if s.x.needs(op) > 0 {
		return
	}
	if r.first < 0 {
		r.first = i
		return
	}
	clear(s.scratch)
	for _, v := range s.x.h.Ops[r.first].Read {
		if j, why := s.x.phantom(s.key.name, v, op.Completed); why == "" {
			s.scratch.add(int(s.x.local[j]))
		}
	}
	now, open := slices.Clone(s.shown), s.unsettled(op.Completed)
	now.remove(open)
	s.scratch.remove(open)
	if !s.scratch.equal(now) {
		s.x.violate(s.out, "divergence", s.key.name, path(r.first, i),
			"two final reads of round %d differ: %v and %v",
			op.Final, s.x.h.Ops[r.first].Read, op.Read)
	}
}

// round is one of final reads.
type round struct{ first int32 } // of all replicas; -1: none
