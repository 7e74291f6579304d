// SPDX-License-Identifier: Apache-2.0

package quorum_test

import (
	"slices"
	"strings"
	"testing"
)

// The model of refills checks the rule of docs/adr/0022 as those of moves do theirs: a
// write that is acknowledged, and of whose holders fewer than w are lost at a time, is seen
// by every read that starts later and ends, whatever the coordinators know, while up to two
// stores are lost and filled again by the conditions of package ring.

func TestModelOfARefill(t *testing.T) {
	for _, c := range []struct {
		name string
		bend func(*refillRules)
		// fails are the w and r, as wr, for which the rule is needed.
		fails []int
	}{
		{"the protocol", func(*refillRules) {}, nil},
		{"T3 copy before the sources are fenced", func(m *refillRules) {
			m.copyUnfenced = true
		}, []int{22, 31, 23}},
		{"T3 copy from one owner", func(m *refillRules) { m.oneSource = true }, []int{22, 23}},
		{"no fence of itself", func(m *refillRules) { m.noSelfFence = true }, []int{22}},
		{"T5 the fence is forgotten", func(m *refillRules) { m.forgets = true },
			[]int{22, 31, 23}},
		{"T4 check before apply", func(m *refillRules) { m.checkEarly = true },
			[]int{22, 31, 23}},
		{"M22 it answers reads while it is filled", func(m *refillRules) { m.readsEarly = true },
			[]int{22, 31}},
		{"T15 its acks count while it is filled", func(m *refillRules) { m.acksEarly = true },
			[]int{22}},
		{"T12 the copy of a lost life counts", func(m *refillRules) { m.unbound = true },
			[]int{22, 31}},
		// The operator's word was wrong. What is lost then is what T8 says, not more.
		{"T8 the lost store runs on", func(m *refillRules) { m.runsOn = true }, []int{13, 31}},
		{"T8 the lost store runs on under the instance of the new one", func(m *refillRules) {
			m.runsOn, m.sameInstance = true, true
		}, []int{13, 22, 31}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, q := range quorums {
				breaks := slices.Contains(c.fails, 10*q.w+q.r)
				if testing.Short() && !breaks && len(c.fails) > 0 {
					continue // that a rule is not needed everywhere is no news
				}
				m := refillRules{w: q.w, r: q.r}
				c.bend(&m)
				v := m.check()
				t.Logf("w=%d r=%d: %d worlds, %d events to a violation", m.w, m.r, v.worlds,
					len(v.schedule))
				if breaks != (v.schedule != nil) {
					t.Errorf("w=%d r=%d: violation %v, want %v\n%s", m.w, m.r, !breaks, breaks,
						strings.Join(v.schedule, "\n"))
				}
			}
		})
	}
}
