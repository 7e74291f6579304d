// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// perform runs a plan in a bubble of its own, and judges it.
func perform(t *testing.T, p *plan.Plan) *Result {
	t.Helper()
	must(t, p.Validate())
	o := Options{Dir: t.TempDir(), Log: zap.NewNop()}
	var record *Record
	synctest.Test(t, func(t *testing.T) {
		var err error
		record, err = Run(p, o)
		must(t, err)
	})
	result, err := record.Judge()
	must(t, err)
	return result
}

// small is a plan of a few seconds, without faults.
func small(seed uint64) *plan.Plan {
	return &plan.Plan{
		Version: plan.Version, Seed: seed, Engine: plan.EngineDisk, Chaos: plan.Span(8 * time.Second),
		Cluster: plan.Cluster{Nodes: 5, Replicas: 3, Partitions: 8}, Core: []int{1, 2, 3, 4}, Spare: 5,
		Link: plan.Link{Delay: plan.Span(time.Millisecond), Jitter: plan.Span(100 * time.Microsecond)},
		Sync: plan.Span(2 * time.Millisecond),
		Loads: []plan.Load{
			{Kind: "register", Sessions: 3, Steps: 200, Pause: plan.Span(20 * time.Millisecond)},
			{Kind: "set", Sessions: 2, Steps: 100, Pause: plan.Span(40 * time.Millisecond)},
		},
	}
}

// hard makes a fault of that kind surely meet something.
func hard(in *plan.Info) plan.Fault {
	f := plan.Fault{
		Kind: in.Kind, At: plan.Span(2 * time.Second), For: plan.Span(4 * time.Second),
		Hosts: []int{1}, N: 2, Share: 0.2, By: plan.Span(50 * time.Millisecond),
	}
	switch in.Kind {
	case plan.Flip, plan.Wipe, plan.Restore, plan.Clone:
		f.Hosts = []int{5}
	case plan.CrashAt, plan.SlowAt:
		f.Point = "storage/before-publish"
	case plan.FailAt:
		f.Point = "storage/before-commit"
	case plan.DiskRead: // values are read where the body is asked of
		f.Hosts, f.N = []int{3}, 1
	case plan.Stop:
		f.N = 1
	case plan.Rate:
		f.N = 16 << 10
	case plan.Resets: // with as many as of the others nobody could do anything
		f.Share = 0.02
	case plan.Halves, plan.Swizzle:
		f.Hosts = []int{1, 2}
	}
	return f
}

// groupedOwner is a host that has keys of grouped: the ring is not that of small.
const groupedOwner = 4

// grouped is small with a metadata group of the nodes' own, and some who lock.
func grouped(seed uint64) *plan.Plan {
	p := small(seed)
	p.Grouped = true
	p.Knobs.SnapshotEntries, p.Knobs.HashEvery = 16, 1
	p.Loads = append(p.Loads, plan.Load{
		Kind: plan.Locks, Sessions: 3, Steps: 40, Pause: plan.Span(100 * time.Millisecond),
	})
	return p
}

// TestEveryKindOfFaultBites, and is survived, with and without a metadata group.
func TestEveryKindOfFaultBites(t *testing.T) {
	for i, in := range plan.Kinds() {
		for _, p := range []*plan.Plan{small(uint64(i)), grouped(uint64(i))} {
			f := hard(&in)
			if p.Grouped && (in.Kind == plan.DiskRead || in.Kind == plan.DiskWrite) {
				f.Hosts = []int{groupedOwner}
			}
			p.Faults = []plan.Fault{f}
			if p.Validate() != nil || p.Grouped && in.Needs&plan.RealGroup == 0 && testing.Short() {
				continue
			}
			t.Run(fmt.Sprintf("%s/grouped=%t", in.Kind, p.Grouped), func(t *testing.T) {
				r := perform(t, p)
				if r.Verdict != checker.Valid {
					t.Errorf("%s: %+v", r.Verdict, r.Problems)
				}
				if b := r.Bites[in.Kind]; b.Set != 1 || b.Bit != 1 {
					t.Errorf("%+v; damage %v", b, r.Damage)
				}
				if p.Grouped && r.Report.Result("locks").Stat("grants") < 20 {
					t.Errorf("few locks were granted: %+v", r.Report.Result("locks"))
				}
			})
		}
	}
}

// TestDrawnPlansAreValid on each engine; what they show is not nothing.
func TestDrawnPlansAreValid(t *testing.T) {
	seeds := uint64(2)
	if testing.Short() {
		seeds = 1
	}
	for _, engine := range []plan.Engine{plan.EngineDisk, plan.EngineMemory, plan.EngineTmpfs} {
		for seed := range seeds {
			o := Drawing()
			o.Engine = engine
			r := perform(t, plan.Draw(seed, o))
			if r.Verdict != checker.Valid {
				t.Errorf("%s, seed %d: %s: %+v", engine, seed, r.Verdict, r.Problems)
			}
			if r.Operations < 500 || r.OK < r.Operations/2 || r.Messages < 1000 || len(r.Hash) != 64 {
				t.Errorf("%s, seed %d: %d operations, %d ok, %d messages, hash %q", engine, seed,
					r.Operations, r.OK, r.Messages, r.Hash)
			}
		}
	}
}

func TestAPlanThatIsNoneIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := small(1)
		p.Loads[0].Kind = "bonds"
		if _, err := Run(p, Options{Log: zap.NewNop()}); err == nil {
			t.Error("a load that nobody knows was run")
		}
		p = small(1)
		p.Core = nil
		if _, err := Run(p, Options{Log: zap.NewNop()}); err == nil {
			t.Error("an invalid plan was run")
		}
	})
}

func TestVerdictsAreTheWorstOfTheProblems(t *testing.T) {
	broken, unsure := Problem{Rule: "a"}, Problem{Rule: "b", Unknown: true}
	for _, c := range []struct {
		problems []Problem
		want     checker.Verdict
	}{
		{nil, checker.Valid},
		{[]Problem{unsure}, checker.Unknown},
		{[]Problem{broken}, checker.Invalid},
		{[]Problem{unsure, broken, unsure}, checker.Invalid},
	} {
		if got := verdict(c.problems); got != c.want {
			t.Errorf("%+v: %s, want %s", c.problems, got, c.want)
		}
	}
}
