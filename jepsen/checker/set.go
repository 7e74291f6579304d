// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"cmp"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// checkSets judges sets, element by element. An element is known from its
// acknowledgement on, or from the first read on that shows it. It is
//
//	stable      the last read that began after it was known shows it
//	stale       stable, but an earlier read after it was known lacks it
//	lost        the last such read lacks it
//	never-read  there is no such read
func checkSets(x *index) *Result {
	r := &Result{Checker: "set", Verdict: Valid}
	var c setCounts
	for i := range x.keys {
		if x.keys[i].family == sets {
			newElements(x, &x.keys[i], r, &c).run()
		}
	}
	r.stat("elements", float64(c.elements))
	r.stat("stable", float64(c.stable))
	r.stat("stale", float64(c.stale))
	r.stat("lost", float64(c.lost))
	r.stat("never-read", float64(c.never))
	r.stat("reads", float64(c.reads))
	slices.Sort(c.ages)
	for _, q := range []struct {
		name string
		at   float64
	}{{"stale-ms-p50", 0.5}, {"stale-ms-p99", 0.99}, {"stale-ms-max", 1}} {
		if n := len(c.ages); n > 0 {
			r.stat(q.name, float64(c.ages[int(q.at*float64(n-1))])/1e6)
		}
	}
	if c.reads == 0 {
		r.unsure("no read of a set was ok")
	}
	return r
}

type setCounts struct {
	elements, stable, stale, lost, never, reads int
	ages                                        []int64 // how long stale elements were missed
}

// elements is one set. Adds are numbered as writes are (index.local).
type elements struct {
	x      *index
	key    *keyOps
	out    *Result
	counts *setCounts

	adds      []int32
	reads     []int32 // ok, by when they were invoked
	knownBy   []knowing
	present   set
	lastShown []int32 // by add: the last read that shows it, as a place in reads; -1: none
	lastLack  []int32 // the last read that lacks it although it was known
	knownAt   []int64
}

// knowing is when an add became known.
type knowing struct {
	at  int64
	add int
}

func newElements(x *index, key *keyOps, out *Result, c *setCounts) *elements {
	e := &elements{x: x, key: key, out: out, counts: c}
	for _, i := range key.ops {
		switch op := &x.h.Ops[i]; {
		case op.Kind == history.Add:
			x.local[i] = int32(len(e.adds))
			e.adds = append(e.adds, i)
		case op.Outcome == history.OK:
			e.reads = append(e.reads, i)
		}
	}
	slices.SortStableFunc(e.reads, func(a, b int32) int {
		return cmp.Compare(x.h.Ops[a].Invoked, x.h.Ops[b].Invoked)
	})
	e.present = newSet(len(e.adds))
	e.lastShown = slices.Repeat([]int32{-1}, len(e.adds))
	e.lastLack = slices.Repeat([]int32{-1}, len(e.adds))
	return e
}

func (e *elements) run() {
	if len(e.adds) > e.x.cfg.MaxWrites {
		e.out.unsure("set %s has %d adds, more than MaxWrites", e.key.name, len(e.adds))
		return
	}
	e.learn()
	known, next, final := newSet(len(e.adds)), 0, false
	for n, i := range e.reads {
		op := &e.x.h.Ops[i]
		for ; next < len(e.knownBy) && e.knownBy[next].at < op.Invoked; next++ {
			known.add(e.knownBy[next].add)
		}
		e.read(int32(n), i, op, known)
		final = final || op.Final > 0 && op.Final == e.x.rounds
	}
	for w := range e.adds {
		e.judge(w)
	}
	e.counts.reads += len(e.reads)
	if e.x.cfg.Final && !final && len(e.adds) > 0 {
		e.out.unsure("set %s has no final read that was ok", e.key.name)
	}
}

// learn finds when each element became known.
func (e *elements) learn() {
	const never = int64(1<<63 - 1)
	e.knownAt = slices.Repeat([]int64{never}, len(e.adds))
	for w, i := range e.adds {
		if op := &e.x.h.Ops[i]; op.Outcome == history.OK {
			e.knownAt[w] = op.Completed
		}
	}
	for _, i := range e.reads {
		op := &e.x.h.Ops[i]
		for _, v := range op.Read {
			if j, why := e.x.phantom(e.key.name, v, op.Completed); why == "" {
				w := e.x.local[j]
				e.knownAt[w] = min(e.knownAt[w], op.Completed)
			}
		}
	}
	for w, at := range e.knownAt {
		if at < never {
			e.knownBy = append(e.knownBy, knowing{at, w})
		}
	}
	slices.SortStableFunc(e.knownBy, func(a, b knowing) int { return cmp.Compare(a.at, b.at) })
}

func (e *elements) read(n, i int32, op *history.Op, known set) {
	clear(e.present)
	for _, v := range op.Read {
		j, why := e.x.phantom(e.key.name, v, op.Completed)
		if why != "" {
			e.x.violate(e.out, "phantom", e.key.name, path(j, i),
				"element %s is shown, which %s", v, why)
			continue
		}
		w := int(e.x.local[j])
		if e.present.has(w) {
			e.x.violate(e.out, "explosion", e.key.name, path(j, i),
				"element %s is shown more than once", v)
		}
		e.present.add(w)
		e.lastShown[w] = n
	}
	needs := e.x.needs(op)
	lacks := slices.Clone(known)
	lacks.remove(e.present)
	for w := range lacks.all {
		e.lastLack[w] = n
		add := &e.x.h.Ops[e.adds[w]]
		acked := add.Outcome == history.OK && add.Completed < op.Invoked
		if acked && (needs == 0 || e.x.levelOf(add) >= needs) {
			e.x.violate(e.out, "lost-update", e.key.name, path(e.adds[w], i),
				"element %s was acknowledged at %s, and the read that begins at %s lacks it",
				add.Value, history.Clock(add.Completed), history.Clock(op.Invoked))
		}
	}
}

// judge classes one element. Where final reads are to come they alone can fail what levels
// do not promise, and have done so by now.
func (e *elements) judge(w int) {
	add := &e.x.h.Ops[e.adds[w]]
	if add.Outcome == history.Fail {
		return
	}
	e.counts.elements++
	shown, lacked := e.lastShown[w], e.lastLack[w]
	switch {
	case shown < 0 && lacked < 0:
		e.counts.never++
	case lacked > shown:
		e.counts.lost++
		if add.Outcome == history.OK && !e.x.cfg.Final {
			e.x.violate(e.out, "lost", e.key.name, path(e.adds[w], e.reads[lacked]),
				"element %s is known since %d, and the last read lacks it", add.Value, e.knownAt[w])
		}
	default:
		e.counts.stable++
		if lacked >= 0 {
			e.counts.stale++
			e.counts.ages = append(e.counts.ages,
				e.x.h.Ops[e.reads[lacked]].Invoked-e.knownAt[w])
		}
	}
}
