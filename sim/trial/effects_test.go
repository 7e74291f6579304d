// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/sim"
	"github.com/dyno-kv/dyno/sim/plan"
)

// booted does something with a cluster that has come up, in a bubble.
func booted(t *testing.T, p *plan.Plan, do func(r *run)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, err := newRun(p, Options{Dir: t.TempDir(), Log: zap.NewNop()})
		must(t, err)
		defer r.cluster.Close()
		if !r.boot() {
			t.Fatal(r.problems)
		}
		r.chaosFrom = r.now()
		do(r)
	})
}

// faultOf is a fault of host 1, and what begins and ends it.
func (r *run) faultOf(number int, f plan.Fault) (begin, end func()) {
	f.Hosts = []int{1}
	score := r.score(&fault{Fault: &f, number: number, hosts: r.pick(f.Hosts)})
	return score[0].do, score[1].do
}

// TestAFaultThatEndsLeavesTheOthers: the shorter of two of a kind takes nothing back of the
// longer one, whichever began first.
func TestAFaultThatEndsLeavesTheOthers(t *testing.T) {
	booted(t, small(1), func(r *run) {
		h := r.hosts[0]
		free := func() uint64 {
			n, err := h.Disk.FreeBytes()
			must(t, err)
			return n
		}
		drifted := func() bool {
			before := h.Clock.Offset()
			time.Sleep(time.Second)
			return h.Clock.Offset()-before > 5*time.Millisecond
		}
		for _, c := range []struct {
			fault plan.Fault
			holds func() bool
		}{
			{plan.Fault{Kind: plan.DiskFull, N: 1000}, func() bool { return free() <= 1000 }},
			{plan.Fault{Kind: plan.ClockDrift, N: 10_000}, drifted},
		} {
			for firstEnds := range 2 {
				var begin, end [2]func()
				for i := range 2 {
					begin[i], end[i] = r.faultOf(i, c.fault)
					begin[i]()
				}
				end[firstEnds]()
				if !c.holds() {
					t.Errorf("%s: fault %d took back what another does", c.fault.Kind, firstEnds)
				}
				end[1-firstEnds]()
				if c.holds() {
					t.Errorf("%s goes on after its end", c.fault.Kind)
				}
			}
		}
	})
}

func TestEffectsEndInAnyOrder(t *testing.T) {
	var e effects[sim.Mood]
	one, two := &fault{number: 1}, &fault{number: 2}
	e.begin(one, sim.GroupFails)
	e.begin(two, sim.GroupMute)
	if got := e.newest(sim.GroupAnswers); got != sim.GroupMute {
		t.Errorf("both: %d", got)
	}
	e.end(two)
	if got := e.newest(sim.GroupAnswers); got != sim.GroupFails {
		t.Errorf("the first: %d", got)
	}
	e.end(one)
	if got := e.newest(sim.GroupAnswers); got != sim.GroupAnswers || len(e.values()) != 0 {
		t.Errorf("none: %d", got)
	}
}

// TestAnEndIsExcusedOnceOnly: a fault that may have ended one process is no excuse for a
// later one.
func TestAnEndIsExcusedOnceOnly(t *testing.T) {
	booted(t, small(1), func(r *run) {
		h := r.hosts[0]
		die := func() int {
			before := len(r.problems)
			h.LosePower()
			r.mourn(h, errors.New("it ended"), false)
			h.retry = 0
			r.start(h)
			return len(r.problems) - before
		}
		begin, end := r.faultOf(0, plan.Fault{Kind: plan.DiskWrite, N: 1 << 10})
		begin()
		if n := die(); n != 0 {
			t.Error("the end under a failing disk was not excused")
		}
		end()
		if n := die(); n != 0 {
			t.Error("the end of a process that had lived under a failing disk was not excused")
		}
		if n := die(); n != 1 {
			t.Errorf("%d problems after the end of one that nothing was done to", n)
		}
	})
}

// TestFailpointsAreArmedInProcessesToCome: what is passed by a process that starts is met too.
func TestFailpointsAreArmedInProcessesToCome(t *testing.T) {
	for _, kind := range []plan.Kind{plan.CrashAt, plan.FailAt, plan.SlowAt} {
		p := small(3)
		p.Faults = []plan.Fault{
			{Kind: plan.Kill, At: plan.Span(time.Second), For: plan.Span(time.Second), Hosts: []int{1}},
			{Kind: kind, At: plan.Span(1500 * time.Millisecond), For: plan.Span(3 * time.Second),
				Hosts: []int{1}, N: 1, By: plan.Span(time.Millisecond), Point: node.PointOpening},
		}
		r := perform(t, p)
		if r.Verdict != checker.Valid || r.Bites[kind].Bit != 1 {
			t.Errorf("%s at a start: %s, %+v, %+v", kind, r.Verdict, r.Problems, r.Bites[kind])
		}
	}
}

// TestNobodyWaitsForAHostThatStops: what else is to be done is done meanwhile.
func TestNobodyWaitsForAHostThatStops(t *testing.T) {
	booted(t, small(1), func(r *run) {
		h := r.hosts[0]
		h.arm(arming{fault: 1, point: node.PointDrain, hook: func(int64) error {
			time.Sleep(3 * time.Second)
			return nil
		}})
		before := r.now()
		if !r.stop(h) || r.now() != before || !h.Up() || h.serves() {
			t.Errorf("it took %s; up %t, serves %t", time.Duration(r.now()-before), h.Up(), h.serves())
		}
		r.passUntil(r.at() + 2*time.Second)
		if !h.Up() || h.count != 1 {
			t.Errorf("after 2 s: up %t, process %d", h.Up(), h.count)
		}
		r.passUntil(r.at() + 3*time.Second)
		if !h.Up() || h.count != 2 || len(r.problems) > 0 {
			t.Errorf("after 5 s: up %t, process %d, %v", h.Up(), h.count, r.problems)
		}
		if r.stop(h); !r.await(r.hosts, "a stop", true) || h.count != 3 {
			t.Errorf("a host that stops was taken for ready: process %d, %v", h.count, r.problems)
		}
	})
}
