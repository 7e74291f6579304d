// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

func ignore(*trial.Result) {}

func TestResultsComeInTheOrderOfSeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{result: func(p *plan.Plan, _ RunOptions) (*trial.Result, error) {
			time.Sleep(time.Duration(40-p.Seed) * time.Second) // the last is the first to end
			return good(p), nil
		}}
		s := Sweep{From: 3, Seeds: 30, Parallel: 4, Draw: simple}
		var seeds []uint64
		sum, err := s.Run(t.Context(), f, func(r *trial.Result) { seeds = append(seeds, r.Plan.Seed) })
		if err != nil || sum.Verdict != checker.Valid || sum.Seeds != 30 || sum.Valid != 30 {
			t.Fatalf("%+v, %v", sum, err)
		}
		if !slices.IsSorted(seeds) || len(seeds) != 30 || seeds[0] != 3 {
			t.Errorf("seeds %v", seeds)
		}
		if f.most != 4 {
			t.Errorf("%d ran at once, want 4", f.most)
		}
	})
}

func TestSweepEndsWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{result: func(p *plan.Plan, _ RunOptions) (*trial.Result, error) {
			time.Sleep(time.Second)
			return good(p), nil
		}}
		s := Sweep{Time: time.Minute, Parallel: 2, Draw: simple}
		sum, err := s.Run(t.Context(), f, ignore)
		if err != nil || sum.Seeds != 120 || sum.WallSeconds != 60 {
			t.Errorf("%d seeds in %g s, %v; want 120 in 60", sum.Seeds, sum.WallSeconds, err)
		}
		if sum.SeedsPerHour != 7200 || sum.FakeHours != 2 || sum.CPUSeconds != 120 {
			t.Errorf("rates: %+v", sum)
		}
	})
}

func TestSummaryAddsUp(t *testing.T) {
	f := &fake{result: func(p *plan.Plan, _ RunOptions) (*trial.Result, error) {
		switch p.Seed {
		case 2:
			return breaks(p, "lost-update"), nil
		case 3:
			r := good(p)
			spoil(r, trial.Problem{Rule: ruleTimeout, Unknown: true})
			r.Peak = 200 << 20
			return r, nil
		}
		return good(p), nil
	}}
	s := Sweep{Seeds: 5, Draw: simple}
	sum, err := s.Run(t.Context(), f, ignore)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Verdict != checker.Invalid || sum.Valid != 3 || sum.Invalid != 1 || sum.Unknown != 1 {
		t.Errorf("verdicts: %+v", sum)
	}
	if sum.Operations != 500 || sum.OKShare != 0.95 || sum.FairOK != 395 || sum.Messages != 5000 ||
		sum.Peak != 200<<20 || sum.PeakSeed != 3 || sum.Damage["processes"] != 5 ||
		sum.Points["room/point"] != 15 {
		t.Errorf("sums: %+v", sum)
	}
	if len(sum.Red) != 2 || sum.Red[0].Seed != 2 || sum.Red[0].Rules[0] != "lost-update" {
		t.Errorf("red: %+v", sum.Red)
	}
}

// TestARunThatShowsNothingIsUnknown goes through the rules of a whole sweep.
func TestARunThatShowsNothingIsUnknown(t *testing.T) {
	bites := func(n uint64) func(*trial.Result) {
		return func(r *trial.Result) {
			if r.Plan.Seed >= n {
				delete(r.Bites, plan.Kill)
			}
		}
	}
	fair := func(ok int) func(*trial.Result) { return func(r *trial.Result) { r.FairOK = ok } }
	for _, tc := range []struct {
		name   string
		seeds  int
		points []string
		change func(*trial.Result)
		want   string // part of the reason; empty: valid
	}{
		{"all well", 60, []string{"room/point"}, func(*trial.Result) {}, ""},
		{"faults bite in too few", 60, nil, bites(9), "kill was drawn in 60 seeds and met something in 9, 10"},
		{"faults bite in just enough", 60, nil, bites(10), ""},
		{"a quarter of few is asked for", 40, nil, bites(9), "10 were needed"},
		{"small sweeps are not judged by bites", 39, nil, bites(0), ""},
		{"too few succeed", 10, nil, fair(63), "630 of 800"},
		{"just enough succeed", 10, nil, fair(64), ""},
		{"few seeds may have bad luck", 9, nil, fair(10), ""},
		{"nothing had to succeed", 1, nil, func(r *trial.Result) { r.Fair = 0 }, "no operation"},
		{"a failpoint was never passed", 3, []string{"room/point", "room/other"},
			func(*trial.Result) {}, `"room/other"`},
		{"no seeds at all", -1, nil, func(*trial.Result) {}, "no seed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &fake{result: func(p *plan.Plan, _ RunOptions) (*trial.Result, error) {
				r := good(p)
				tc.change(r)
				return r, nil
			}}
			s := Sweep{Seeds: tc.seeds, Draw: simple, Points: tc.points}
			sum, err := s.Run(t.Context(), f, ignore)
			if err != nil {
				t.Fatal(err)
			}
			reasons := strings.Join(sum.Reasons, "\n")
			if tc.want == "" && (sum.Verdict != checker.Valid || reasons != "") {
				t.Errorf("%s: %s", sum.Verdict, reasons)
			}
			if tc.want != "" && (sum.Verdict != checker.Unknown || !strings.Contains(reasons, tc.want)) {
				t.Errorf("%s: %q, want %q", sum.Verdict, reasons, tc.want)
			}
		})
	}
}

func TestKindsThatAreDrawnInFewSeedsMayBiteInFewer(t *testing.T) {
	f := &fake{result: func(p *plan.Plan, _ RunOptions) (*trial.Result, error) {
		r := good(p)
		if p.Seed >= 5 { // a kill in 20 of 40 seeds
			delete(r.Bites, plan.Kill)
		}
		return r, nil
	}}
	s := Sweep{Seeds: 40, Draw: func(seed uint64) *plan.Plan {
		p := simple(seed)
		if seed >= 20 {
			p.Faults = nil
		}
		return p
	}}
	sum, err := s.Run(t.Context(), f, ignore)
	if err != nil || sum.Verdict != checker.Valid || sum.Kinds[0].Drawn != 20 ||
		sum.Kinds[0].Bit != 5 || sum.Kinds[0].Needed != 5 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestFailFastStopsAtTheFirstRedSeed(t *testing.T) {
	f := &fake{result: func(p *plan.Plan, _ RunOptions) (*trial.Result, error) {
		if p.Seed >= 6 {
			return breaks(p, "x"), nil
		}
		return good(p), nil
	}}
	s := Sweep{Seeds: 1000, Parallel: 3, FailFast: true, Draw: simple}
	sum, err := s.Run(t.Context(), f, ignore)
	if err != nil || !sum.Stopped || sum.Seeds != 7 || sum.Red[0].Seed != 6 || len(sum.Red) != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestAnErrorOfTheRigEndsTheSweep(t *testing.T) {
	broken := errors.New("no space")
	f := &fake{result: func(p *plan.Plan, _ RunOptions) (*trial.Result, error) {
		if p.Seed == 4 {
			return nil, broken
		}
		return good(p), nil
	}}
	s := Sweep{Seeds: 1000, Draw: simple}
	sum, err := s.Run(t.Context(), f, ignore)
	if !errors.Is(err, broken) || sum.Seeds != 4 || !sum.Cut || sum.Verdict != checker.Unknown {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestAnInterruptEndsTheSweep(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f := &fake{result: func(p *plan.Plan, _ RunOptions) (*trial.Result, error) {
		if p.Seed == 4 {
			cancel()
			return nil, context.Canceled
		}
		return good(p), nil
	}}
	s := Sweep{Seeds: 1000, Draw: simple}
	sum, err := s.Run(ctx, f, ignore)
	if !errors.Is(err, context.Canceled) || sum.Seeds > 4 || sum.Verdict != checker.Unknown {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestTheLastSeedEndsTheSweep(t *testing.T) {
	f := &fake{result: func(p *plan.Plan, _ RunOptions) (*trial.Result, error) { return good(p), nil }}
	s := Sweep{From: math.MaxUint64 - 2, Time: time.Hour, Draw: simple}
	var last uint64
	sum, err := s.Run(t.Context(), f, func(r *trial.Result) { last = r.Plan.Seed })
	if err != nil || sum.Seeds != 3 || last != math.MaxUint64 {
		t.Errorf("%+v, %v, last %d", sum, err, last)
	}
}

func TestTwiceComparesHashes(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(n int, r *trial.Result)
		want   checker.Verdict
	}{
		{"equal", func(int, *trial.Result) {}, checker.Valid},
		{"different", func(n int, r *trial.Result) { r.Hash += string(rune('0' + n)) }, checker.Invalid},
		{"the runtime is not the edited one", func(_ int, r *trial.Result) { r.Replayable = false },
			checker.Unknown},
		{"one without hash", func(n int, r *trial.Result) {
			if n%2 == 0 {
				r.Hash = ""
			}
		}, checker.Invalid},
		{"both crash", func(_ int, r *trial.Result) {
			r.Hash = ""
			spoil(r, trial.Problem{Rule: ruleCrash})
		}, checker.Invalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &fake{}
			n := 0
			f.result = func(p *plan.Plan, _ RunOptions) (*trial.Result, error) {
				f.mu.Lock()
				defer f.mu.Unlock()
				n++
				r := good(p)
				tc.change(n, r)
				return r, nil
			}
			out := t.TempDir()
			s := Sweep{Seeds: 1, Twice: true, Draw: simple}
			s.Options.Keep = func(r *trial.Result) string {
				if !Red(r) {
					return ""
				}
				return filepath.Join(out, "red")
			}
			sum, err := s.Run(t.Context(), f, ignore)
			if err != nil || sum.Verdict != tc.want || f.runs != 2 {
				t.Errorf("%s after %d runs, want %s: %v", sum.Verdict, f.runs, tc.want, err)
			}
			if tc.name != "different" {
				return
			}
			if sum.Red[0].Rules[0] != ruleDeterminism {
				t.Errorf("rules %v", sum.Red[0].Rules)
			}
			if _, err := os.Stat(filepath.Join(out, "red", PlanFile)); err != nil {
				t.Errorf("the plan was not kept: %v", err)
			}
		})
	}
}
