// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"testing"

	"github.com/dyno-kv/dyno/jepsen/history"
)

func at(node string) change { return func(o *history.Op) { o.Node = node } }

// TestSessionsKeepTheirGuaranteesFromNodeToNode: the four of them, and which rule it is
// that holds each.
func TestSessionsKeepTheirGuaranteesFromNodeToNode(t *testing.T) {
	run(t, []ruleCase{
		{"read your writes", func(s *script) {
			s.put("1.1", "-", 0, 1, at("n1"))
			s.get(1, "", 1, 2, at("n2"))
			s.final("1.1")
		}, "read-your-writes", nil},
		{"monotonic reads", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.get(2, "1.1", 0, 1, at("n1"))
			s.get(2, "", 1, 2, at("n2"))
			s.final("1.1")
		}, "monotonic-reads", nil},
		{"monotonic writes, the second over the first", func(s *script) {
			s.put("1.1", "-", 0, 1, at("n1"))
			s.put("1.2", "1.1", 2, 3, at("n2"))
			s.get(3, "1.1 1.2", 4, 5)
			s.final("1.2")
		}, "false-sibling", nil},
		{"monotonic writes, the second beside the first", func(s *script) {
			s.put("1.1", "-", 0, 1, at("n1"))
			s.put("1.2", "-", 2, 3, at("n2"))
			s.get(3, "1.2", 4, 5)
			s.final("1.1 1.2")
		}, "lost-update", nil},
		{"monotonic writes, to two keys", func(s *script) {
			s.put("1.1", "-", 0, 1, at("n1"))
			s.final("1.1")
			s.put("1.2", "-", 2, 3, at("n2"), other)
			s.get(3, "1.2", 2, 4, other)
			s.get(3, "", 4, 5)
			s.get(98, "1.2", 1000, 1001, other, last)
		}, "lost-update", nil},
		{"writes follow reads, over what was read", func(s *script) {
			s.put("1.1", "-", 0, 9) // not acknowledged before it is overwritten
			s.get(2, "1.1", 1, 2, at("n1"))
			s.put("2.1", "1.1", 3, 4, at("n2"))
			s.get(3, "1.1 2.1", 5, 6)
			s.final("2.1")
		}, "false-sibling", nil},
		{"writes follow reads, beside what was read", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.get(2, "1.1", 0, 2, at("n1"))
			s.put("2.1", "-", 3, 4, at("n2"))
			s.get(3, "2.1", 5, 6)
			s.final("1.1 2.1")
		}, "lost-update", nil},
		{"writes follow reads, after an atomic one", func(s *script) {
			s.put("1.1", "-", 0, 9)
			s.get(2, "1.1", 1, 2, at("n1"), atomic)
			s.put("2.1", "-", 3, 4, at("n2"))
			s.get(3, "2.1", 5, 6, atomic)
			s.final("1.1 2.1")
		}, "atomic", nil},
	})
}

// other moves an operation to another key.
func other(o *history.Op) { o.Key = "other" }

func TestReadsThroughOtherNodesAreCounted(t *testing.T) {
	s := &script{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
	s.put("1.1", "-", 0, 1, at("n1"))
	s.get(1, "1.1", 1, 2, at("n1"))
	s.get(1, "1.1", 2, 3, at("n2"))
	s.get(1, "1.1", 3, 4, at("n3"))
	s.final("1.1")
	r := check(t, &s.h, small()).Result("session")
	all, elsewhere := r.Stat("own-write-reads"), r.Stat("own-write-reads-elsewhere")
	if all != 3 || elsewhere != 2 {
		t.Errorf("%g reads of own writes, %g through other nodes", all, elsewhere)
	}
}

func TestWhatAMajorityCanAnswerIsCountedForItself(t *testing.T) {
	s := &script{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
	s.h.Events = []history.Event{{From: 500, Until: 600, Name: "partition", Outage: true}}
	s.put("1.1", "-", 0, 1)                // counts
	s.get(2, "1.1", 2, 3)                  // counts
	s.get(3, "", 2, 3, fail)               // counts
	s.get(4, "", 2, 3, fail, levelsAre(1)) // counts
	s.get(5, "", 550, 551, fail)           // in the outage
	s.get(6, "", 2, 3, fail, func(o *history.Op) { o.R = 3 })
	s.put("7.1", "-", 0, 1, fail, func(o *history.Op) { o.W = 3 })
	s.get(8, "", 2, 3, fail, func(o *history.Op) { o.Pinned = true })
	s.final("1.1") // of all replicas
	r := check(t, &s.h, small()).Result("availability")
	for name, want := range map[string]float64{
		"operations": 8, "ok-rate": 3.0 / 8, "operations-majority": 4, "ok-rate-majority": 0.5,
	} {
		if got := r.Stat(name); got != want {
			t.Errorf("%s is %g, want %g", name, got, want)
		}
	}
}
