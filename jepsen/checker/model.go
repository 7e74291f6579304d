// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"fmt"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// modelWrites is how many writes a key of the model takes; then it is only read.
const modelWrites = 512

// cover is a set of the writes of one key.
type cover [modelWrites / 64]uint64

func (c *cover) add(w int) { set(c[:]).add(w) }

// object is what a replica has of a key: the writes that nobody has overwritten, and all
// that it has ever seen.
type object struct{ live, seen cover }

// merge takes in another replica's: what one lacks although it has seen it is overwritten.
func (o *object) merge(p *object) {
	for i := range o.live {
		o.live[i] = o.live[i]&p.live[i] | o.live[i]&^p.seen[i] | p.live[i]&^o.seen[i]
		o.seen[i] |= p.seen[i]
	}
}

// put writes w over what a context covers.
func (o *object) put(w int, covers *cover) {
	for i := range o.live {
		o.live[i] &^= covers[i]
		o.seen[i] |= covers[i]
	}
	o.live.add(w)
	o.seen.add(w)
}

type modelKey struct {
	name    string
	family  family
	deletes bool // some keys are never deleted
	mortal  bool // and on some most values end

	replicas []object
	writes   []history.Value
	kinds    []history.Kind
	ends     []int64 // 0: it stays

	members []history.Value // of a set
	total   int64           // of a counter
}

func newModelKey(k, n int) *modelKey {
	key := &modelKey{
		name: fmt.Sprintf("k%d", k), family: registers, deletes: k%2 == 0, mortal: k%8 == 4 || k%8 == 7,
	}
	switch k % 8 {
	case 3:
		key.family = sets
	case 5:
		key.family = counters
	default:
		key.replicas = make([]object, n)
	}
	return key
}

func (k *modelKey) full() bool {
	return len(k.writes) == modelWrites || len(k.members) >= modelWrites
}

func (k *modelKey) heal() {
	var all object
	for i := range k.replicas {
		all.merge(&k.replicas[i])
	}
	for i := range k.replicas {
		k.replicas[i] = all
	}
}

// valuesOf lists what a client is shown: deletes are no values, nor is what has ended.
func (k *modelKey) valuesOf(live cover, now int64) []history.Value {
	var out []history.Value
	for w := range set(live[:]).all {
		if k.kinds[w] == history.Put && (k.ends[w] == 0 || k.ends[w] > now) {
			out = append(out, k.writes[w])
		}
	}
	return out
}

// sample reads some replicas, each at its own time, and merges them.
func (m *model) sample(k *modelKey, n int, then func(got *object, from []int)) {
	got, from, wait := &object{}, m.rng.Perm(m.shape.N)[:n], n
	for _, i := range from {
		m.after(m.hop(), func() {
			got.merge(&k.replicas[i])
			if wait--; wait == 0 {
				then(got, from)
			}
		})
	}
}

func (m *model) get(p *modelProc, k *modelKey, op *history.Op) {
	op.Kind, op.R, op.Atomic = history.Get, uint8(m.shape.R), m.rng.IntN(10) == 0
	m.sample(k, m.shape.R, func(got *object, from []int) {
		op.Read = k.valuesOf(got.live, m.now)
		if op.Atomic { // what it shows is first made known to as many as it asked
			for _, i := range from {
				k.replicas[i].merge(got)
			}
		}
		m.after(m.hop(), func() {
			p.known[k] = known{got.seen, op.Read}
			m.end(p, op)
		})
	})
}

// write draws a put or a delete, with what the process knows of the key or without.
func (m *model) write(p *modelProc, k *modelKey, op *history.Op) {
	op.Kind, op.Value, op.W = history.Put, m.value(p), uint8(m.shape.W)
	if k.deletes && m.rng.IntN(6) == 0 {
		op.Kind = history.Delete
	}
	w := len(k.writes)
	k.writes, k.kinds = append(k.writes, op.Value), append(k.kinds, op.Kind)
	k.ends = append(k.ends, 0)
	if k.mortal && op.Kind == history.Put && m.rng.IntN(4) > 0 {
		op.TTL = 1 + m.rng.Int64N(100_000)
	}
	with, ok := p.known[k]
	if ok && m.rng.IntN(8) > 0 {
		op.Context = with.values
	} else {
		op.Blind, with = true, known{}
	}
	op.Outcome = m.luck()
	switch {
	case op.Outcome == history.Fail:
		m.after(m.hop(), func() { m.end(p, op) })
	case op.Outcome == history.Info:
		m.after(5_000, func() { m.end(p, op) })
		if m.rng.IntN(3) > 0 { // it is done, sooner or later
			m.after(m.late(), func() { m.mint(p, k, op, w, with) })
		}
	default:
		m.after(m.hop(), func() { m.mint(p, k, op, w, with) })
	}
}

// mint begins a write at its owner; a delete without context finds first what it deletes.
func (m *model) mint(p *modelProc, k *modelKey, op *history.Op, w int, with known) {
	if op.TTL > 0 {
		k.ends[w] = m.now + op.TTL
	}
	if op.Blind && op.Kind == history.Delete {
		level := max(m.shape.N/2+1, m.shape.R, m.shape.W)
		m.sample(k, level, func(got *object, _ []int) {
			m.spread(p, k, op, w, known{covers: got.seen})
		})
		return
	}
	m.spread(p, k, op, w, with)
}

// spread applies a write at one replica and sends the object to the others. The w-th
// replica that has it acknowledges it.
func (m *model) spread(p *modelProc, k *modelKey, op *history.Op, w int, with known) {
	order := m.rng.Perm(m.shape.N)
	k.replicas[order[0]].put(w, &with.covers)
	sent, have := k.replicas[order[0]], 0
	apply := func(i int) {
		k.replicas[i].merge(&sent)
		if have++; have == m.shape.W && op.Outcome == history.OK {
			m.after(m.hop(), func() {
				covers := with.covers
				covers.add(w)
				p.known[k] = known{covers, []history.Value{op.Value}}
				m.end(p, op)
			})
		}
	}
	for n, i := range order {
		switch {
		case n == 0:
			apply(i)
		case n < m.shape.W && op.Outcome == history.OK:
			m.after(m.hop(), func() { apply(i) })
		case m.rng.IntN(4) > 0: // the rest may come late, or not before the end
			m.after(m.late(), func() { apply(i) })
		}
	}
}

// simpleRead and simpleWrite are of sets and counters: each is done at one moment.
func (m *model) simpleRead(p *modelProc, k *modelKey, op *history.Op) {
	op.Kind, op.R = history.Total, uint8(m.shape.R)
	if k.family == sets {
		op.Kind = history.Members
	}
	m.after(m.hop(), func() {
		op.Read, op.Total = append(op.Read, k.members...), k.total
		if k.family == sets {
			op.Total = 0
		}
		m.after(m.hop(), func() { m.end(p, op) })
	})
}

func (m *model) simpleWrite(p *modelProc, k *modelKey, op *history.Op) {
	op.Kind, op.W, op.Outcome = history.Increment, uint8(m.shape.W), m.luck()
	if k.family == sets {
		op.Kind, op.Value = history.Add, m.value(p)
	} else {
		op.Delta = m.rng.Int64N(21) - 10
	}
	do := func() {
		if k.family == sets {
			k.members = append(k.members, op.Value)
		}
		k.total += op.Delta
	}
	switch op.Outcome {
	case history.Fail:
		m.after(m.hop(), func() { m.end(p, op) })
	case history.Info:
		if m.rng.IntN(2) == 0 {
			m.after(m.late(), do)
		}
		m.after(5_000, func() { m.end(p, op) })
	default:
		m.after(m.hop(), func() {
			do()
			m.after(m.hop(), func() { m.end(p, op) })
		})
	}
}
