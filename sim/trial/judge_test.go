// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/sim"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/whitebox"
)

func TestARunThatServesLittleIsRed(t *testing.T) {
	faults := []plan.Fault{{Kind: plan.Loss}}
	for _, c := range []struct {
		faults  []plan.Fault
		all, ok int
		red     bool
	}{
		{faults, 100, 79, true}, {faults, 100, 80, false}, {faults, 99, 0, false},
		{nil, 1000, 989, true}, {nil, 1000, 990, false},
	} {
		r := &run{plan: &plan.Plan{Faults: c.faults}}
		r.available(c.all, c.ok)
		if red := len(r.problems) > 0; red != c.red {
			t.Errorf("%d faults, %d of %d ok: %v", len(c.faults), c.ok, c.all, r.problems)
		}
	}
}

// TestNodesThatTellNothingAreNotBelieved: what white-box rules say of no event is not known.
func TestNodesThatTellNothingAreNotBelieved(t *testing.T) {
	r := &run{plan: &plan.Plan{}, white: whitebox.New()}
	ops := []history.Op{
		{Kind: history.Put, Outcome: history.OK}, {Kind: history.Put, Outcome: history.Info},
		{Kind: history.Delete, Outcome: history.OK}, {Kind: history.Get, Outcome: history.OK},
	}
	r.heard(ops)
	if len(r.problems) != 1 || !r.problems[0].Unknown {
		t.Errorf("of one write the nodes told nothing: %v", r.problems)
	}
	r = &run{plan: &plan.Plan{}, white: whitebox.New()}
	r.white.Take(trace.Event{Kind: trace.Acknowledged, Need: 1})
	if r.heard(ops); len(r.problems) != 0 {
		t.Errorf("they told of it: %v", r.problems)
	}
}

// TestADamagedCopyHidesNoOther: the others are still compared with each other.
func TestADamagedCopyHidesNoOther(t *testing.T) {
	booted(t, small(1), func(r *run) {
		if _, done := r.hosts[0].Disk.FlipBit(sim.Control, r.source("bits")); !done {
			t.Fatal("nothing to damage")
		}
		copies := func(values ...string) (out []copyOf) {
			for i, v := range values {
				out = append(out, copyOf{r.hosts[i], []byte(v)})
			}
			return out
		}
		if !r.agree("k", copies("x", "a", "a")) {
			t.Errorf("a damaged copy was compared: %v", r.problems)
		}
		if r.agree("k", copies("x", "a", "b")) {
			t.Error("two copies differ beside a damaged one, and nobody sees it")
		}
	})
}

// TestEveryLevelIsDemandedOfAWholeCluster, and every final read; a majority is enough while
// a host is gone.
func TestEveryLevelIsDemandedOfAWholeCluster(t *testing.T) {
	booted(t, small(1), func(r *run) {
		r.open(r.hosts)
		r.demand("whole", r.whole(), false)
		r.finalReads(1)
		if len(r.problems) > 0 {
			t.Fatal(r.problems)
		}
		gone := r.hosts[4]
		r.network.exile(gone.Addr, nil)
		r.network.apply()
		time.Sleep(calm)
		r.open(r.hosts[:4])
		if r.demand("a core", r.plan.Cluster.Majority(), false); len(r.problems) > 0 {
			t.Fatal(r.problems)
		}
		if r.demand("not whole", r.whole(), false); len(r.problems) != 1 {
			t.Errorf("all replicas were demanded of 4 hosts of 5: %v", r.problems)
		}
		if r.finalReads(2); len(r.problems) != 2 {
			t.Errorf("final reads of 4 hosts of 5: %v", r.problems)
		}
		r.network.cuts[exileKey] = nil
		r.network.apply()
	})
}

// TestNothingIsLeftOutOfFinalReads unless a host has lost what it had, or may have.
func TestNothingIsLeftOutOfFinalReads(t *testing.T) {
	booted(t, small(1), func(r *run) {
		levels := func() (out []uint8) {
			before := len(r.record.History().Ops)
			r.finalReads(1)
			for _, op := range r.record.History().Ops[before:] {
				if !slices.Contains(out, op.R) {
					out = append(out, op.R)
				}
			}
			return out
		}
		if got := levels(); !slices.Equal(got, []uint8{3}) {
			t.Errorf("with a spare host that has lost nothing: levels %v", got)
		}
		r.hosts[4].lost = true
		if got := levels(); !slices.Equal(got, []uint8{2}) {
			t.Errorf("with a host that has lost its data: levels %v", got)
		}
	})
}

// TestWhatSuffersFromAnOutage is not what had to succeed; a host that is away spoils only
// what was asked of it alone.
func TestWhatSuffersFromAnOutage(t *testing.T) {
	booted(t, small(1), func(r *run) {
		op := func(node string, pinned bool) *history.Op {
			now := r.now()
			return &history.Op{Node: node, Pinned: pinned, Invoked: now, Completed: now + 1}
		}
		r.losePower(r.hosts[0])
		r.watchOutages()
		during := []*history.Op{op("n1", true), op("n2", true), op("n1", false)}
		r.hosts[0].retry = 0
		r.start(r.hosts[0])
		if !r.await(r.hosts, "a start", true) {
			t.Fatal(r.problems)
		}
		r.watchOutages()
		time.Sleep(2 * recovery)
		after := op("n1", true)
		for i, want := range []bool{true, false, false} {
			if got := r.suffers(during[i]); got != want {
				t.Errorf("operation %d, one host away: suffers %t", i, got)
			}
		}
		if r.suffers(after) {
			t.Error("an operation suffers from what is long over")
		}
		for _, h := range r.hosts[:2] {
			r.losePower(h)
		}
		r.watchOutages()
		all := op("n3", false)
		r.endOutages()
		if !r.suffers(all) {
			t.Error("two hosts of five are gone, and with them majorities: that is total")
		}
	})
}

// TestResetsAreAnOutageOfWhoNeedsAllReplicas, and of nobody else.
func TestResetsAreAnOutageOfWhoNeedsAllReplicas(t *testing.T) {
	for replicas, want := range map[int]bool{2: true, 3: false} {
		p := small(1)
		p.Cluster.Replicas, p.Spare, p.Core = replicas, 0, []int{1, 2, 3, 4, 5}
		booted(t, p, func(r *run) {
			if r.torn() {
				t.Errorf("%d replicas: torn in peace", replicas)
			}
			r.network.bends[0] = bend{change: func(f *memnet.Faults) { f.Reset = 0.01 }}
			now := r.now()
			op := &history.Op{Invoked: now, Completed: now + 1}
			r.watchOutages()
			r.endOutages()
			if got := r.suffers(op); got != want {
				t.Errorf("%d replicas: suffers %t", replicas, got)
			}
		})
	}
}

// TestTinyQueuesExcuseOneInAHundred, and nothing else does.
func TestTinyQueuesExcuseOneInAHundred(t *testing.T) {
	for _, c := range []struct {
		knobs plan.Knobs
		want  int
	}{{plan.Knobs{MaxRequests: 8}, 99}, {plan.Knobs{QueueOps: 8}, 99}, {plan.Knobs{BatchOps: 1}, 100}} {
		r := &run{plan: &plan.Plan{Knobs: c.knobs}}
		if got := r.leastDemanded(); got != c.want {
			t.Errorf("%+v: %d %%, want %d", c.knobs, got, c.want)
		}
	}
}

// TestWhatCountsConfirmedOwnersAsksTheGroup, atomic reads too; where something stands in for
// the group it is there.
func TestWhatCountsConfirmedOwnersAsksTheGroup(t *testing.T) {
	for _, c := range []struct {
		op   history.Op
		want bool
	}{
		{history.Op{R: 2}, false}, {history.Op{W: 2}, false}, {history.Op{R: 2, PR: 1}, true},
		{history.Op{W: 2, PW: 2}, true}, {history.Op{R: 2, Atomic: true}, true},
	} {
		for _, grouped := range []bool{true, false} {
			r := &run{plan: &plan.Plan{Grouped: grouped}}
			if got := r.asksTheGroup(&c.op); got != (c.want && grouped) {
				t.Errorf("grouped %t, %+v: %t", grouped, c.op, got)
			}
		}
	}
}
