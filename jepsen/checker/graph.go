// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"cmp"
	"math"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// graph is which write of one key was to overwrite which.
type graph struct {
	x   *index
	key *keyOps
	out *Result

	writes []int32 // by local number: the operation
	acked  []int32 // ok puts, ok deletes and ok atomic reads, by when they completed
	anc    []set   // by local number: what was overwritten for certain, also through others
	done   []uint8 // by local number: whether anc is complete
	// doubled are the writes that may have two dots. One of the two may stay where the other
	// was overwritten.
	doubled set
	// untold is what a delete without context must have found, of those that were tried
	// again: the second try knows the tombstone of the first and not over what it was written,
	// so that the context it gives covers that alone. An owner that has not heard of the
	// tombstone yet shows what it covers beside what was written over it.
	untold map[int]set
	// deletes are no values: a read does not list them.
	deletes set
	// expiring are the writes with a time to live.
	expiring set

	hiddenAt []int64 // ascending: from when on
	hidden   []set   // what may be gone, by what no read lists; each with all before it
}

const (
	untouched uint8 = iota
	busy
	complete
)

func newGraph(x *index, key *keyOps, out *Result) *graph {
	g := &graph{x: x, key: key, out: out}
	for _, i := range key.ops {
		op := &x.h.Ops[i]
		if op.Kind.Writes() {
			x.local[i] = int32(len(g.writes))
			g.writes = append(g.writes, i)
		}
		if op.Outcome == history.OK && (op.Kind.Writes() || op.Atomic) {
			g.acked = append(g.acked, i)
		}
	}
	slices.SortStableFunc(g.acked, func(a, b int32) int {
		return cmp.Compare(x.h.Ops[a].Completed, x.h.Ops[b].Completed)
	})
	return g
}

// build finds the ancestors. Contexts that no store can have given are violations.
func (g *graph) build() {
	n := len(g.writes)
	g.doubled, g.deletes, g.expiring = newSet(n), newSet(n), newSet(n)
	g.anc, g.done = make([]set, n), make([]uint8, n)
	g.untold = make(map[int]set)
	flat := make(set, n*len(g.doubled))
	for w := range g.writes {
		g.anc[w], flat = flat[:len(g.doubled):len(g.doubled)], flat[len(g.doubled):]
		op := g.op(w)
		if op.Doubled() {
			g.doubled.add(w)
		}
		if op.Kind == history.Delete {
			g.deletes.add(w)
		}
		if op.TTL > 0 {
			g.expiring.add(w)
		}
	}
	g.coverBlindDeletes()
	for w := range g.writes {
		g.close(w)
	}
	g.hide()
}

func (g *graph) op(w int) *history.Op { return &g.x.h.Ops[g.writes[w]] }

// close completes the ancestors of w. The recursion is as deep as the longest chain of
// overwrites whose operations stand in the history in the wrong order.
func (g *graph) close(w int) {
	if g.done[w] == complete {
		return
	}
	g.done[w] = busy
	op := g.op(w)
	for _, v := range op.Context {
		i, why := g.x.phantom(g.key.name, v, op.Invoked)
		if why != "" {
			g.x.violate(g.out, "phantom", g.key.name, path(i, g.writes[w]),
				"%s was written over %s, which %s", op.Value, v, why)
			continue
		}
		p := int(g.x.local[i])
		if g.done[p] == busy {
			g.x.violate(g.out, "phantom", g.key.name, path(i, g.writes[w]),
				"%s and %s were each written after the other was read", op.Value, v)
			continue
		}
		g.close(p)
		g.anc[w].add(p)
		g.anc[w].join(g.anc[p])
	}
	g.done[w] = complete
}

// coverBlindDeletes puts among the ancestors of a delete without context what its own
// read must have found: what was acknowledged before it, as far as the levels meet.
func (g *graph) coverBlindDeletes() {
	var blind []int32
	for w := range g.deletes.all {
		if op := g.op(w); op.Blind && op.Outcome == history.OK && g.x.cfg.Strict {
			blind = append(blind, g.writes[w])
		}
	}
	ops := g.x.h.Ops
	slices.SortStableFunc(blind, func(a, b int32) int {
		return cmp.Compare(ops[a].Invoked, ops[b].Invoked)
	})
	var by levels
	next := 0
	for _, i := range blind {
		d := &ops[i]
		for ; next < len(g.acked) && ops[g.acked[next]].Completed < d.Invoked; next++ {
			if op := &ops[g.acked[next]]; op.Kind == history.Put {
				by.at(g.x.levelOf(op), len(g.writes)).add(int(g.x.local[g.acked[next]]))
			}
		}
		read := history.Op{R: uint8(g.x.h.Header.N/2 + 1), PR: d.PW}
		read.R = max(read.R, d.R, d.W)
		anc := g.anc[g.x.local[i]]
		by.above(g.x.needs(&read), anc)
		if d.Again {
			g.untold[int(g.x.local[i])] = slices.Clone(anc)
		}
		for w := range g.expiring.all { // it deletes nothing that has ended by its own clock
			if g.x.endsFrom(g.op(w)) <= d.Completed {
				anc.drop(w)
			}
		}
	}
}

// hide finds what may be gone without anything in its place that a read lists: by a
// delete, or by a value whose time to live is over. Those that may not have been done
// count too.
func (g *graph) hide() {
	type mark struct {
		at int64
		w  int
	}
	var marks []mark
	for w := range g.writes {
		op := g.op(w)
		switch {
		case op.Outcome == history.Fail:
		case op.Kind == history.Delete:
			marks = append(marks, mark{op.Invoked, w})
		case op.TTL > 0:
			marks = append(marks, mark{g.x.endsFrom(op), w})
		}
	}
	slices.SortStableFunc(marks, func(a, b mark) int { return cmp.Compare(a.at, b.at) })
	flat := make(set, len(marks)*len(g.doubled))
	for i, m := range marks {
		s := flat[i*len(g.doubled) : (i+1)*len(g.doubled)]
		if i > 0 {
			copy(s, g.hidden[i-1])
		}
		s.join(g.anc[m.w])
		if op := g.op(m.w); op.TTL > 0 {
			s.add(m.w)
		} else if op.Blind {
			g.mayCover(op, s)
		}
		g.hiddenAt, g.hidden = append(g.hiddenAt, m.at), append(g.hidden, s)
	}
}

// mayCover adds to s what a delete without context may have found.
func (g *graph) mayCover(d *history.Op, s set) {
	until := d.Completed
	if d.Outcome == history.Info || d.Doubled() { // an attempt may go on after it
		until = math.MaxInt64
		if g.x.cfg.Linger > 0 {
			until = d.Completed + int64(g.x.cfg.Linger)
		}
	}
	for w := range g.writes {
		if g.op(w).Invoked <= until {
			s.add(w)
		}
	}
}

// hiddenBy is what may be gone by a time; nil: nothing.
func (g *graph) hiddenBy(at int64) set {
	n := upTo(g.hiddenAt, at)
	if n == 0 {
		return nil
	}
	return g.hidden[n-1]
}

// levels are sets of writes by how many replicas have acknowledged them.
type levels [history.MaxLevel + 1]set

func (l *levels) at(level, n int) set {
	if l[level] == nil {
		l[level] = newSet(n)
	}
	return l[level]
}

// above joins into s what at least so many replicas have.
func (l *levels) above(level int, s set) {
	for _, have := range l[min(level, len(l)):] {
		s.join(have)
	}
}
