// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Shape says what histories [Generate] makes.
type Shape struct {
	Ops       int // without the final reads
	Keys      int // of them, about one in eight is a set, and one in eight a counter
	Processes int
	N, R, W   int // R + W > N, and 2 R > N
}

// DefaultShape is small, and has conflicts.
func DefaultShape() Shape { return Shape{Ops: 600, Keys: 8, Processes: 6, N: 3, R: 2, W: 2} }

func (s Shape) check() error {
	switch {
	case s.Ops < 1 || s.Keys < 1 || s.Processes < 1:
		return errors.New("checker: a shape needs operations, keys and processes")
	case s.N < 1 || s.N > history.MaxLevel || min(s.R, s.W) < 1 || max(s.R, s.W) > s.N:
		return fmt.Errorf("checker: %d of %d and %d of %d are no levels", s.R, s.N, s.W, s.N)
	case s.R+s.W <= s.N || 2*s.R <= s.N:
		return errors.New("checker: levels must meet, or the history would not be valid")
	}
	return nil
}

// Generate makes a valid history from a model: replicas that keep siblings, messages that
// come late, in another order, or not before all is healed at the end, writes of unknown
// outcome that are done anyway, later, or never, values that end.
func Generate(rng *rand.Rand, shape Shape) (*history.History, error) {
	if err := shape.check(); err != nil {
		return nil, err
	}
	m := &model{
		rng: rng, shape: shape, left: shape.Ops,
		h: &history.History{Header: history.Header{
			Version: history.Version, N: shape.N, Mode: "model",
		}},
	}
	for k := range shape.Keys {
		m.keys = append(m.keys, newModelKey(k, shape.N))
	}
	for p := range shape.Processes {
		m.procs = append(m.procs, &modelProc{id: p, known: make(map[*modelKey]known)})
		m.after(m.pause(), func() { m.start(m.procs[p]) })
	}
	for m.step() {
	}
	m.finalReads()
	return m.h, nil
}

// model is a cluster without faults of its own, in which anything may be late.
type model struct {
	rng   *rand.Rand
	shape Shape
	h     *history.History
	keys  []*modelKey
	procs []*modelProc

	timeline
	left int // operations still to begin
}

// timeline is what happens, one after the other.
type timeline struct {
	now    int64
	events events
	made   int // events so far: those of one time run in the order of their making
}

// modelProc is a client with a session.
type modelProc struct {
	id    int
	seq   uint64
	known map[*modelKey]known
}

// known is a context: what it covers, and the values that a history has for it.
type known struct {
	covers cover
	values []history.Value
}

type event struct {
	at   int64
	made int
	run  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].made < e[j].made
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}

func (t *timeline) after(d int64, run func()) {
	t.made++
	heap.Push(&t.events, event{t.now + d, t.made, run})
}

func (t *timeline) step() bool {
	if len(t.events) == 0 {
		return false
	}
	e := heap.Pop(&t.events).(event)
	t.now = e.at
	e.run()
	return true
}

// hop is how long a message takes: none at times, so that times are equal.
func (m *model) hop() int64 { return m.rng.Int64N(2_000) }

// late is how long one takes that was lost, or whose target was away.
func (m *model) late() int64 { return m.rng.Int64N(100_000) }

func (m *model) pause() int64 { return m.rng.Int64N(5_000) }

func (m *model) start(p *modelProc) {
	if m.left == 0 {
		return
	}
	m.left--
	k := m.keys[m.rng.IntN(len(m.keys))]
	op := &history.Op{
		Process: p.id, Key: k.name, Invoked: m.now, Outcome: history.OK,
		Node: fmt.Sprintf("n%d", 1+m.rng.IntN(m.shape.N)),
	}
	switch {
	case k.family == registers && (m.rng.IntN(2) == 0 || k.full()):
		m.get(p, k, op)
	case k.family == registers:
		m.write(p, k, op)
	case m.rng.IntN(2) == 0 || k.full():
		m.simpleRead(p, k, op)
	default:
		m.simpleWrite(p, k, op)
	}
}

// end records an operation, and lets its process go on.
func (m *model) end(p *modelProc, op *history.Op) {
	op.Completed = m.now
	m.h.Ops = append(m.h.Ops, *op)
	m.after(m.pause(), func() { m.start(p) })
}

func (m *model) value(p *modelProc) history.Value {
	p.seq++
	return history.Value{Client: uint32(p.id) + 1, Seq: p.seq}
}

// luck draws the outcome of a write.
func (m *model) luck() history.Outcome {
	switch n := m.rng.IntN(100); {
	case n < 2:
		return history.Fail
	case n < 6:
		return history.Info
	default:
		return history.OK
	}
}

// finalReads come when all messages have, and all values with a time to live have ended:
// each key by two processes.
func (m *model) finalReads() {
	m.now += 2 * int64(outlived)
	for _, k := range m.keys {
		k.heal()
		for range 2 {
			m.now++
			op := history.Op{
				Process: m.rng.IntN(m.shape.Processes), Key: k.name, Invoked: m.now,
				Completed: m.now, Outcome: history.OK, Kind: history.Get,
				R: uint8(m.shape.N), PR: uint8(m.shape.N), Final: 1,
			}
			switch k.family {
			case registers:
				op.Read = k.valuesOf(k.replicas[0].live, m.now)
			case sets:
				op.Kind, op.Read = history.Members, append(op.Read, k.members...)
			default:
				op.Kind, op.Total = history.Total, k.total
			}
			m.h.Ops = append(m.h.Ops, op)
		}
	}
}
