// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
)

// losing is grouped with a host that loses its data once and is filled again.
func losing(seed uint64, kind plan.Kind) *plan.Plan {
	p := grouped(seed)
	p.Faults = []plan.Fault{{
		Kind: kind, At: plan.Span(2 * time.Second), For: plan.Span(4 * time.Second),
		Hosts: []int{5}, N: 1,
	}}
	return p
}

// TestAHostThatLostItsDataIsFilledAndThenCounts: all is asked of it that is asked of others,
// in the final reads and on its disk; and strict reads go on meanwhile.
func TestAHostThatLostItsDataIsFilledAndThenCounts(t *testing.T) {
	for i, kind := range []plan.Kind{plan.Wipe, plan.Restore} {
		r := perform(t, losing(uint64(i), kind))
		if r.Verdict != checker.Valid {
			t.Errorf("%s: %s: %+v", kind, r.Verdict, r.Problems)
		}
		// The old copy comes when the loads are nearly over.
		reads := r.Damage["strict reads during refills"] > 0 || kind == plan.Restore
		if r.Damage["refills"] != 1 || !reads {
			t.Errorf("%s: damage %v", kind, r.Damage)
		}
	}
}

// TestARefillThatDoesNotEndIsRed: an owner whose data is gone for good, and who is not let
// go, keeps it from its end.
func TestARefillThatDoesNotEndIsRed(t *testing.T) {
	booted(t, losing(1, plan.Wipe), func(r *run) {
		h := r.hosts[4]
		r.losePower(h)
		must(t, h.Disk.Wipe())
		r.loseAll(h, &fault{Fault: &r.plan.Faults[0], bit: true})
		other := r.hosts[3]
		r.losePower(other)
		other.down++
		if r.awaitRefills() || r.empty() != h {
			t.Error("a store is full without what an owner has that is down")
		}
		if len(r.problems) != 1 || r.problems[0].Rule != "refill" {
			t.Errorf("%+v", r.problems)
		}
		r.back(other)
		if !r.awaitRefills() || h.lost {
			t.Error("it is not full when that one is back")
		}
	})
}
