// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Goal: the heap behaves as a sorted table. Method: against a map that is searched.
func TestPendingCallsAreATableInOrderOfDeadlines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPendingCalls()
		model := map[uint64]time.Time{}
		told := map[uint64]int{}
		base := time.Unix(0, 0)
		now := base
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				id := p.newID()
				if _, open := model[id]; open {
					t.Fatalf("id %d is open already", id)
				}
				deadline := base.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "deadline")))
				p.add(id, place{}, deadline, func([]byte, error) { told[id]++ })
				model[id] = deadline
			case 2:
				id := uint64(rapid.IntRange(0, len(model)+3).Draw(t, "id"))
				done := p.remove(id)
				if _, open := model[id]; open != (done != nil) {
					t.Fatalf("remove of %d: %v", id, done != nil)
				}
				delete(model, id)
			case 3:
				now = base.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "now")))
				for _, done := range p.takeExpired(now) {
					done(nil, nil)
				}
				for id, deadline := range model {
					expired := !deadline.After(now)
					if expired != (told[id] == 1) {
						t.Fatalf("call %d with %v at %v: told %d times", id, deadline, now, told[id])
					}
					if expired {
						delete(model, id)
					}
				}
			}
			var next time.Time
			for _, deadline := range model {
				if next.IsZero() || deadline.Before(next) {
					next = deadline
				}
			}
			if !p.next().Equal(next) || len(p.byID) != len(model) {
				t.Fatalf("next %v of %d, want %v of %d", p.next(), len(p.byID), next, len(model))
			}
		}
	})
}

func TestIDsStayIn32BitsAndSkipOpenCalls(t *testing.T) {
	p := newPendingCalls()
	p.last = 0xfffffffe
	first := p.newID()
	p.add(first, place{}, time.Time{}, nil)
	p.add(0, place{}, time.Time{}, nil)
	if second := p.newID(); first != 0xffffffff || second != 1 {
		t.Errorf("ids %d, %d; want %d and, 0 being open, 1", first, second, uint32(0xffffffff))
	}
}
