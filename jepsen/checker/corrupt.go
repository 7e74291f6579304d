// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"math/rand/v2"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Corruptor spoils a valid history so that a checker must see it.
type Corruptor struct {
	Name string
	What string
	// Corrupt returns a spoiled copy of h. It reports false where h has no place for it.
	Corrupt func(rng *rand.Rand, h *history.History) (*history.History, bool)
}

// Corruptors are those of this version; the numbers are those of the design of the tests,
// and go on behind them from C11 on.
func Corruptors() []Corruptor {
	return []Corruptor{
		{"C1", "drop an acknowledged add from a final read", dropAdd},
		{"C2", "show a value that nobody wrote", addPhantom},
		{"C3", "swap two values of different keys", swapKeys},
		{"C4", "show an overwritten value next to its successor", showOverwritten},
		{"C5", "resurrect a deleted value", resurrect},
		{"C6", "show an old state after a newer one in one session", goBack},
		{"C10", "let two final reads of one round differ", diverge},
		{"C11", "count an increment twice", countTwice},
		{"C12", "forget an acknowledged increment", forget},
		{"C13", "show a value after its time is over", outlive},
	}
}

// spoil returns h with the reads of some operations replaced; h stays as it is.
func spoil(h *history.History, reads map[int][]history.Value) (*history.History, bool) {
	bad := *h
	bad.Ops = slices.Clone(h.Ops)
	for i, read := range reads {
		bad.Ops[i].Read = read
	}
	return &bad, len(reads) > 0
}

// pick draws one of the operations that fit, -1 where none does.
func pick(rng *rand.Rand, h *history.History, fits func(i int, op *history.Op) bool) int {
	var list []int
	for i := range h.Ops {
		if h.Ops[i].Outcome == history.OK && fits(i, &h.Ops[i]) {
			list = append(list, i)
		}
	}
	if len(list) == 0 {
		return -1
	}
	return list[rng.IntN(len(list))]
}

func writers(h *history.History) map[history.Value]*history.Op {
	by := make(map[history.Value]*history.Op)
	for i := range h.Ops {
		if op := &h.Ops[i]; !op.Value.IsZero() {
			by[op.Value] = op
		}
	}
	return by
}

func with(read []history.Value, more ...history.Value) []history.Value {
	return append(slices.Clone(read), more...)
}

func dropAdd(rng *rand.Rand, h *history.History) (*history.History, bool) {
	by := writers(h)
	acked := func(v history.Value) bool { return by[v] != nil && by[v].Outcome == history.OK }
	i := pick(rng, h, func(_ int, op *history.Op) bool {
		return op.Kind == history.Members && op.Final > 0 && slices.ContainsFunc(op.Read, acked)
	})
	if i < 0 {
		return nil, false
	}
	read := slices.Clone(h.Ops[i].Read)
	at := slices.IndexFunc(read, acked)
	return spoil(h, map[int][]history.Value{i: slices.Delete(read, at, at+1)})
}

func addPhantom(rng *rand.Rand, h *history.History) (*history.History, bool) {
	i := pick(rng, h, func(_ int, op *history.Op) bool {
		return op.Kind == history.Get || op.Kind == history.Members
	})
	if i < 0 {
		return nil, false
	}
	nobody := history.Value{Client: 1<<32 - 1, Seq: 1 + rng.Uint64N(1000)}
	return spoil(h, map[int][]history.Value{i: with(h.Ops[i].Read, nobody)})
}

func swapKeys(rng *rand.Rand, h *history.History) (*history.History, bool) {
	shows := func(_ int, op *history.Op) bool { return op.Kind == history.Get && len(op.Read) > 0 }
	i := pick(rng, h, shows)
	if i < 0 {
		return nil, false
	}
	j := pick(rng, h, func(n int, op *history.Op) bool {
		return shows(n, op) && op.Key != h.Ops[i].Key
	})
	if j < 0 {
		return nil, false
	}
	a, b := slices.Clone(h.Ops[i].Read), slices.Clone(h.Ops[j].Read)
	a[0], b[0] = b[0], a[0]
	return spoil(h, map[int][]history.Value{i: a, j: b})
}

func showOverwritten(rng *rand.Rand, h *history.History) (*history.History, bool) {
	by := writers(h)
	// overwritten is what the writer of v overwrote, if that is a value.
	overwritten := func(v history.Value) (history.Value, bool) {
		if by[v] == nil {
			return v, false
		}
		for _, o := range by[v].Context {
			if by[o] != nil && by[o].Kind == history.Put && !by[o].Doubled() {
				return o, true
			}
		}
		return v, false
	}
	has := func(v history.Value) bool { _, ok := overwritten(v); return ok }
	i := pick(rng, h, func(_ int, op *history.Op) bool {
		return op.Kind == history.Get && slices.ContainsFunc(op.Read, has)
	})
	if i < 0 {
		return nil, false
	}
	read := h.Ops[i].Read
	old, _ := overwritten(read[slices.IndexFunc(read, has)])
	return spoil(h, map[int][]history.Value{i: with(read, old)})
}

func resurrect(rng *rand.Rand, h *history.History) (*history.History, bool) {
	by := writers(h)
	value := func(v history.Value) bool {
		return by[v] != nil && by[v].Kind == history.Put && !by[v].Doubled()
	}
	d := pick(rng, h, func(_ int, op *history.Op) bool {
		return op.Kind == history.Delete && slices.ContainsFunc(op.Context, value)
	})
	if d < 0 {
		return nil, false
	}
	del := &h.Ops[d]
	i := pick(rng, h, func(_ int, op *history.Op) bool {
		return op.Kind == history.Get && op.Key == del.Key && op.Invoked > del.Completed &&
			(op.Final > 0 || history.Strict(del, op, h.Header.N, h.Header.Sloppy))
	})
	if i < 0 {
		return nil, false
	}
	dead := del.Context[slices.IndexFunc(del.Context, value)]
	return spoil(h, map[int][]history.Value{i: with(h.Ops[i].Read, dead)})
}

// goBack looks for a process that reads what it wrote, and reads again: the second read
// then shows what the write overwrote.
func goBack(rng *rand.Rand, h *history.History) (*history.History, bool) {
	by := writers(h)
	gone := make(map[string]bool) // a delete may excuse what is not shown
	for i := range h.Ops {
		gone[h.Ops[i].Key] = gone[h.Ops[i].Key] ||
			h.Ops[i].Kind == history.Delete || h.Ops[i].TTL > 0
	}
	type session struct {
		process int
		key     string
	}
	last := make(map[session]history.Value) // a write of the session that it has read
	old := make(map[int]history.Value)
	for i := range h.Ops {
		op := &h.Ops[i]
		s := session{op.Process, op.Key}
		if op.Kind != history.Get || op.Outcome != history.OK || gone[op.Key] {
			continue
		}
		if v, ok := last[s]; ok && history.Strict(by[v], op, h.Header.N, h.Header.Sloppy) {
			old[i] = v
		}
		for _, v := range op.Read {
			if w := by[v]; w != nil && w.Process == op.Process && w.Outcome == history.OK {
				last[s] = v
			}
		}
	}
	i := pick(rng, h, func(i int, _ *history.Op) bool { _, ok := old[i]; return ok })
	if i < 0 {
		return nil, false
	}
	var before []history.Value
	for _, v := range by[old[i]].Context {
		if by[v] != nil && by[v].Kind == history.Put {
			before = append(before, v)
		}
	}
	return spoil(h, map[int][]history.Value{i: before})
}
