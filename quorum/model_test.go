// SPDX-License-Identifier: Apache-2.0

package quorum_test

import (
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// The models check the rules, not an implementation: a write that is acknowledged by
// package quorum is seen by every read that starts later and ends by package quorum,
// whatever the coordinators know, while moves go on by the steps and conditions of
// package ring and replicas accept by its rule. All interleavings are tried. Each rule
// that is taken away must bring a read that misses the write, as in the tables of TRAPS
// 5.2 and 5.3; a model that finds nothing then would prove nothing.

var (
	moveL = ring.Move{Slot: 2, From: nodeL, To: nodeX}
	moveB = ring.Move{Slot: 1, From: nodeB, To: nodeY}
)

// quorums are the combinations with w + r > 3, as columns of the tables.
var quorums = [...]struct{ w, r int }{{1, 3}, {2, 2}, {3, 1}, {2, 3}, {3, 3}}

// expect checks one model.
func expect(t *testing.T, m rules, violation bool) {
	t.Helper()
	v := m.check()
	t.Logf("w=%d r=%d: %d worlds, %d events to a violation", m.w, m.r, v.worlds,
		len(v.schedule))
	if violation != (v.schedule != nil) {
		t.Errorf("w=%d r=%d: violation %v, want %v\n%s", m.w, m.r, !violation, violation,
			strings.Join(v.schedule, "\n"))
	}
}

func TestModelOfOneMove(t *testing.T) {
	for _, c := range []struct {
		name  string
		bend  func(*rules)
		fails bool // where w + r = n + 1; where more overlap, one miss does no harm
	}{
		{"the protocol", func(*rules) {}, false},
		{"every replica fences", func(m *rules) { m.everyoneFences = true }, false},
		{"w+1 acks", func(m *rules) { m.ack = ackPlusPending }, false},
		{"w of old and of new", func(m *rules) { m.ack = ackJoint }, false},
		{"X loses its store while it is filled", func(m *rules) { m.replaced = true }, false},
		{"T12 X loses its store and its copy still counts", func(m *rules) {
			m.replaced, m.unbound = true, true
		}, true},
		{"T12 X loses its store and is copied again without a new fence", func(m *rules) {
			m.replaced, m.unnoticed = true, true
		}, true},
		{"copy before L is fenced", func(m *rules) { m.copyUnfenced = true }, true},
		{"T6 finish before L is fenced", func(m *rules) { m.finishUnfenced = true }, true},
		{"T1 acks of the old set", func(m *rules) { m.ack = ackOld }, true},
		{"T3 copy from A and B", func(m *rules) {
			m.copyFrom = []kv.NodeID{nodeA, nodeB}
		}, true},
		{"T3 copy from A", func(m *rules) { m.copyFrom = []kv.NodeID{nodeA} }, true},
		{"T4 check before apply", func(m *rules) { m.checkEarly = true }, true},
		{"T5 the fence is forgotten", func(m *rules) { m.forgets = true }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, q := range quorums {
				m := rules{w: q.w, r: q.r, moves: []ring.Move{moveL}}
				c.bend(&m)
				expect(t, m, c.fails && q.w+q.r == 4)
			}
		})
	}
}

func TestModelOfTheSingleFlip(t *testing.T) {
	// TRAPS 5.2: all four rules lose acknowledged writes, T2 in the last case.
	for _, c := range []struct {
		name string
		ack  ackRule
	}{
		{"w of the old set", ackOld},
		{"w of all", ackAny},
		{"w+1 of all", ackPlusPending},
		{"w of old and of new", ackJoint},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, q := range quorums {
				expect(t, rules{w: q.w, r: q.r, moves: []ring.Move{moveL}, singleFlip: true,
					everyoneFences: true, ack: c.ack}, q.w+q.r == 4)
			}
		})
	}
}

func TestModelOfAnAbortedMove(t *testing.T) {
	// T16: the joiner must be fenced before writes shrink to the old set.
	for _, q := range quorums {
		m := rules{w: q.w, r: q.r, moves: []ring.Move{moveL}, aborts: true}
		expect(t, m, false)
		m.restoreUnfenced = true
		expect(t, m, q.w+q.r == 4)
	}
}

func TestModelOfTwoMovesInOnePartition(t *testing.T) {
	// T9: slots are counted one by one, so moves of different slots do no harm.
	both := []ring.Move{moveB, moveL}
	for _, c := range []struct {
		name  string
		model rules
		fails bool
	}{
		{"slots", rules{w: 2, r: 2}, false},
		{"slots, w=3", rules{w: 3, r: 1}, false},
		{"w + moving slots", rules{w: 2, r: 2, ack: ackPlusPending}, false},
		{"w of old and of new", rules{w: 2, r: 2, ack: ackJoint}, true},
		{"w of old and of new, one at a time", rules{w: 2, r: 2, ack: ackJoint, serial: true},
			false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.model.moves = both
			expect(t, c.model, c.fails)
		})
	}
}
