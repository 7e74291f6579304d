// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// TestDdminFindsWhatIsNeeded tries every pair and triple of ten.
func TestDdminFindsWhatIsNeeded(t *testing.T) {
	const n = 10
	for mask := range 1 << n {
		var needed []int
		for i := range n {
			if mask>>i&1 == 1 {
				needed = append(needed, i)
			}
		}
		asked := 0
		got, err := ddmin(n, func(subsets [][]int) (int, error) {
			return slices.IndexFunc(subsets, func(keep []int) bool {
				asked++
				for _, i := range needed {
					if !slices.Contains(keep, i) {
						return false
					}
				}
				return true
			}), nil
		})
		if err != nil || !slices.Equal(got, needed) {
			t.Fatalf("needed %v, got %v, %v", needed, got, err)
		}
		if most := n*n + 3*n; asked > most { // the bound of the paper
			t.Errorf("needed %v: asked %d times, at most %d", needed, asked, most)
		}
	}
}

// large is a plan with twenty faults, three loads and knobs.
func large() *plan.Plan {
	p := simple(1)
	p.Chaos = plan.Span(36 * time.Second)
	p.Knobs = plan.Knobs{QueueOps: 8, Timeout: plan.Span(time.Second), SmallTables: true}
	p.SeededOrder = true
	for _, kind := range []string{"register", "set", "counter"} {
		p.Loads = append(p.Loads, plan.Load{Kind: kind, Sessions: 5, Steps: 300})
	}
	p.Faults = nil
	for i := range 20 {
		p.Faults = append(p.Faults, plan.Fault{
			Kind: plan.Pause, Hosts: []int{1 + i%3}, N: i,
			At: plan.Span(i) * plan.Span(time.Second), For: plan.Span(8 * time.Second),
		})
	}
	return p
}

// twoFaults breaks its rule by faults 7 and 12 together, on a set, with a tiny queue.
func twoFaults(p *plan.Plan, _ RunOptions) (*trial.Result, error) {
	has := func(n int) bool {
		return slices.ContainsFunc(p.Faults, func(f plan.Fault) bool { return f.N == n })
	}
	set := slices.ContainsFunc(p.Loads, func(l plan.Load) bool { return l.Kind == "set" && l.Steps >= 70 })
	switch {
	case has(7) && has(12) && set && p.Knobs.QueueOps == 8:
		return breaks(p, "lost-update"), nil
	case len(p.Faults) > 2 && len(p.Faults)%2 == 0:
		return breaks(p, "another rule"), nil // must not lead the search astray
	}
	return good(p), nil
}

func TestShrinkFindsTheFaultsThatMatter(t *testing.T) {
	for _, parallel := range []int{1, 4} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			f := &fake{result: twoFaults}
			s := Shrink{Parallel: parallel}
			first := large()
			got, err := s.Run(t.Context(), f, first)
			if err != nil || got.Spent {
				t.Fatalf("%+v, %v", got, err)
			}
			p := got.Plan
			if len(p.Faults) != 2 || p.Faults[0].N != 7 || p.Faults[1].N != 12 {
				t.Errorf("faults %v", p.Faults)
			}
			if len(p.Loads) != 1 || p.Loads[0].Kind != "set" || p.Loads[0].Sessions != 1 ||
				p.Loads[0].Steps < 70 || p.Loads[0].Steps*4/5 >= 70 {
				t.Errorf("loads %v", p.Loads)
			}
			if p.Knobs != (plan.Knobs{QueueOps: 8}) || p.SeededOrder || p.Chaos >= first.Chaos {
				t.Errorf("the rest is %+v", p)
			}
			if err := p.Validate(); err != nil {
				t.Error(err)
			}
			if got.Result.Plan != p || got.Result.Problems[0].Rule != "lost-update" {
				t.Errorf("the result is not that of the plan: %v", got.Result.Problems)
			}
			if f.runs != got.Runs+1 || !reflect.DeepEqual(first, large()) {
				t.Errorf("%d runs, %d were told; or the first plan was changed", f.runs, got.Runs)
			}
			if f.most > parallel {
				t.Errorf("%d at once", f.most)
			}
		})
	}
}

// TestShrinkDependsNotOnWhoIsFirst: the same plan comes out whichever of the candidates
// that run at once ends first.
func TestShrinkDependsNotOnWhoIsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var plans []*plan.Plan
		for _, reversed := range []int{0, 1} {
			f := &fake{}
			f.result = func(p *plan.Plan, o RunOptions) (*trial.Result, error) {
				f.mu.Lock()
				n := f.runs
				f.mu.Unlock()
				time.Sleep(time.Duration((n*(1-2*reversed))%5+5) * time.Second)
				return twoFaults(p, o)
			}
			s := Shrink{Parallel: 3}
			got, err := s.Run(t.Context(), f, large())
			if err != nil {
				t.Fatal(err)
			}
			plans = append(plans, got.Plan)
		}
		if !reflect.DeepEqual(plans[0], plans[1]) {
			t.Errorf("%+v\n%+v", plans[0], plans[1])
		}
	})
}

func TestShrinkEndsWithItsBudget(t *testing.T) {
	f := &fake{result: twoFaults}
	s := Shrink{Runs: 10, Parallel: 1}
	got, err := s.Run(t.Context(), f, large())
	if err != nil || !got.Spent || got.Runs != 10 || len(got.Plan.Faults) >= 20 {
		t.Errorf("%d runs, spent %v, %d faults, %v", got.Runs, got.Spent, len(got.Plan.Faults), err)
	}
	if r, _ := twoFaults(got.Plan, RunOptions{}); r.Problems[0].Rule != "lost-update" {
		t.Errorf("what is left is %v", r.Problems)
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fake{result: func(p *plan.Plan, o RunOptions) (*trial.Result, error) {
			time.Sleep(time.Second)
			return twoFaults(p, o)
		}}
		s := Shrink{Time: 10 * time.Second, Parallel: 1}
		if got, err := s.Run(t.Context(), f, large()); err != nil || !got.Spent || got.Runs != 10 {
			t.Errorf("%d runs, spent %v, %v", got.Runs, got.Spent, err)
		}
	})
}

// TestShrinkKeepsARuleThatTellsItsPath: another rule is broken by much less, and a third
// by hand.
func TestShrinkKeepsARuleThatTellsItsPath(t *testing.T) {
	f := &fake{result: func(p *plan.Plan, o RunOptions) (*trial.Result, error) {
		r := breaks(p, "unique-dot")
		r.Problems = append(r.Problems, trial.Problem{Rule: "explosion"})
		if inner, _ := twoFaults(p, o); inner.Verdict == checker.Invalid &&
			inner.Problems[0].Rule == "lost-update" {
			r.Problems = append(r.Problems, inner.Problems[0])
			r.Report = &checker.Report{Results: []checker.Result{{Violations: []checker.Violation{
				{Rule: "lost-update", Path: []string{"put", "get"}}, {Rule: "explosion"},
			}}}}
		}
		return r, nil
	}}
	got, err := (&Shrink{}).Run(t.Context(), f, large())
	if err != nil || !slices.Equal(got.Rules, []string{"lost-update"}) || len(got.Plan.Faults) != 2 {
		t.Errorf("rules %v, %d faults, %v", got.Rules, len(got.Plan.Faults), err)
	}
	got, err = (&Shrink{Rule: "explosion"}).Run(t.Context(), f, large())
	if err != nil || len(got.Plan.Faults) != 0 {
		t.Errorf("%d faults, %v", len(got.Plan.Faults), err)
	}
	if _, err = (&Shrink{Rule: "phantom"}).Run(t.Context(), f, large()); !errors.Is(err, ErrGreen) {
		t.Errorf("a rule that is not broken: %v", err)
	}
}

func TestAValidPlanIsNotShrunk(t *testing.T) {
	f := &fake{result: func(p *plan.Plan, _ RunOptions) (*trial.Result, error) { return good(p), nil }}
	if _, err := (&Shrink{}).Run(t.Context(), f, large()); !errors.Is(err, ErrGreen) || f.runs != 1 {
		t.Errorf("%v after %d runs", err, f.runs)
	}
}

// TestAnUnknownPlanIsShrunkToo: a run that does not end may be made smaller as well.
func TestAnUnknownPlanIsShrunkToo(t *testing.T) {
	f := &fake{result: func(p *plan.Plan, _ RunOptions) (*trial.Result, error) {
		r := good(p)
		if len(p.Faults) > 0 && p.Faults[0].N <= 3 && len(p.Faults) >= 1 {
			spoil(r, trial.Problem{Rule: ruleTimeout, Unknown: true})
		}
		return r, nil
	}}
	got, err := (&Shrink{}).Run(t.Context(), f, large())
	if err != nil || len(got.Plan.Faults) != 1 || got.Result.Verdict != checker.Unknown {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAnErrorOfTheRigEndsTheSearch(t *testing.T) {
	broken := errors.New("no space")
	f := &fake{}
	f.result = func(p *plan.Plan, o RunOptions) (*trial.Result, error) {
		if len(p.Faults) < 6 {
			return nil, broken
		}
		return twoFaults(p, o)
	}
	if _, err := (&Shrink{}).Run(t.Context(), f, large()); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// TestShrinkTriesOtherSeeds: what a bug needs by chance is lost with nearly each step, and
// is there with another seed.
func TestShrinkTriesOtherSeeds(t *testing.T) {
	lucky := func(p *plan.Plan, _ RunOptions) (*trial.Result, error) {
		needed, which := 0, &plan.Plan{Seed: p.Seed}
		for _, f := range p.Faults {
			which.Faults = append(which.Faults, plan.Fault{N: f.N})
			if f.N == 7 || f.N == 12 {
				needed++
			}
		}
		if luck := keyOf(which); len(p.Faults) == 20 || needed == 2 && luck[0]%8 == 0 { // one of eight
			return breaks(p, "lost-update"), nil
		}
		return good(p), nil
	}
	faults := make(map[int]int)
	for _, tries := range []int{1, 16} {
		s := Shrink{Tries: tries, Parallel: 1}
		got, err := s.Run(t.Context(), &fake{result: lucky}, large())
		if err != nil {
			t.Fatal(err)
		}
		if r, _ := lucky(got.Plan, RunOptions{}); !Red(r) {
			t.Errorf("with %d tries the plan is valid", tries)
		}
		faults[tries] = len(got.Plan.Faults)
	}
	if faults[16] != 2 || faults[1] == 2 {
		t.Errorf("faults by tries: %v", faults)
	}
}
