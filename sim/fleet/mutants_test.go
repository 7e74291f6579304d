// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// caughtAt is a Runner that sees each mutant at a seed; those that it does not name never.
func caughtAt(seeds map[string]uint64) *fake {
	return &fake{result: func(p *plan.Plan, o RunOptions) (*trial.Result, error) {
		if at, ok := seeds[o.Mutant]; ok && p.Seed >= at {
			return breaks(p, "rule of "+o.Mutant), nil
		}
		r := good(p)
		if p.Seed == 1 {
			spoil(r, trial.Problem{Rule: ruleTimeout, Unknown: true}) // that is not caught
		}
		return r, nil
	}}
}

func infos(names ...string) (list []mutant.Info) {
	for _, n := range names {
		list = append(list, mutant.Info{Name: mutant.Name(n), Number: "M" + n, What: "does " + n})
	}
	return list
}

func TestMutantsTellsAfterHowManySeedsEachIsCaught(t *testing.T) {
	f := caughtAt(map[string]uint64{"a": 0, "b": 7, "c": 30})
	m := Mutants{List: infos("a", "b", "c"), Seeds: 40, Parallel: 3, Draw: simple}
	var told []mutant.Name
	score, err := m.Run(t.Context(), f, func(c Caught) { told = append(told, c.Name) })
	if err != nil || len(told) != 3 {
		t.Fatalf("%v, %v", told, err)
	}
	for i, after := range []int{1, 8, 31} {
		c := score.Mutants[i]
		if !c.Caught || c.After != after || c.Seed != uint64(after-1) || c.Rules[0] != "rule of "+string(c.Name) {
			t.Errorf("%+v, want after %d", c, after)
		}
	}
	if score.Mutants[1].Unknown != 1 {
		t.Errorf("unknown: %+v", score.Mutants[1])
	}
	if score.Caught != 3 || score.Median != 8 || score.Worst != 31 || !score.Pass {
		t.Errorf("score %+v", score)
	}
}

func TestMutantsPassOnlyIfAllAreCaughtAndHalfOfThemSoon(t *testing.T) {
	for _, tc := range []struct {
		name   string
		seeds  map[string]uint64
		pass   bool
		median float64
		worst  int
	}{
		{"one is never caught", map[string]uint64{"a": 0, "b": 0, "c": 0}, false, 1, 41},
		{"median at the bound", map[string]uint64{"a": 0, "b": 9, "c": 9, "d": 12}, true, 10, 13},
		{"median over the bound", map[string]uint64{"a": 0, "b": 9, "c": 10, "d": 12}, false, 10.5, 13},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := Mutants{List: infos("a", "b", "c", "d"), Seeds: 40, Draw: simple}
			score, err := m.Run(t.Context(), caughtAt(tc.seeds), func(Caught) {})
			if err != nil || score.Pass != tc.pass || score.Median != tc.median || score.Worst != tc.worst {
				t.Errorf("%+v, %v", score, err)
			}
		})
	}
}

// TestMutantsEndWithTheirTime: that one was not caught then says nothing, unless it had all
// of its seeds.
func TestMutantsEndWithTheirTime(t *testing.T) {
	f := caughtAt(map[string]uint64{"a": 3})
	slow := &fake{result: func(p *plan.Plan, o RunOptions) (*trial.Result, error) {
		if o.Mutant == "b" {
			time.Sleep(10 * time.Millisecond)
		}
		return f.result(p, o)
	}}
	var told int
	m := Mutants{
		List: infos("a", "b", "c"), Seeds: 100_000, Draw: simple, Time: 100 * time.Millisecond,
		Progress: func(mutant.Name, int) { told++ },
	}
	score, err := m.Run(t.Context(), slow, func(Caught) {})
	if err != nil || score.Caught != 1 || !score.Spent || score.Verdict() != checker.Unknown {
		t.Errorf("%+v, %v", score, err)
	}
	if b, c := score.Mutants[1], score.Mutants[2]; !b.Cut || !c.Cut || told < 5 {
		t.Errorf("%+v, %+v, told %d", b, c, told)
	}
	m.Seeds = 1
	m.Time = time.Hour
	if score, err = m.Run(t.Context(), f, func(Caught) {}); err != nil || score.Spent ||
		score.Verdict() != checker.Invalid {
		t.Errorf("%+v, %v", score, err)
	}
}

// TestASeedThatIsRedAnywayCatchesNobody: it would prove a blind rig to see everything.
func TestASeedThatIsRedAnywayCatchesNobody(t *testing.T) {
	f := caughtAt(map[string]uint64{"a": 9}) // beyond the last
	m := Mutants{List: infos("a", "b"), Seeds: 5, Parallel: 2, Draw: simple}
	score, err := m.Run(t.Context(), f, func(Caught) {})
	if err != nil || score.Caught != 0 {
		t.Errorf("%+v, %v", score, err)
	}
	f = &fake{result: func(p *plan.Plan, o RunOptions) (*trial.Result, error) {
		if p.Seed == 2 || o.Mutant == "a" && p.Seed == 4 {
			return breaks(p, "liveness"), nil
		}
		return good(p), nil
	}}
	m = Mutants{List: infos("a", "b"), Seeds: 10, Parallel: 2, Draw: simple}
	score, err = m.Run(t.Context(), f, func(Caught) {})
	if err != nil {
		t.Fatal(err)
	}
	a, b := score.Mutants[0], score.Mutants[1]
	if !a.Caught || a.Seed != 4 || b.Caught || len(a.Alarms) != 1 || b.Alarms[0] != 2 || score.Pass {
		t.Errorf("%+v", score)
	}
}

func TestMutantsEndWithAnErrorOfTheRig(t *testing.T) {
	broken := errors.New("no space")
	f := &fake{result: func(*plan.Plan, RunOptions) (*trial.Result, error) { return nil, broken }}
	m := Mutants{List: infos("a"), Seeds: 40, Draw: simple}
	if _, err := m.Run(t.Context(), f, func(Caught) {}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// storing is a Runner that leaves a generated history, of every other seed one of locks.
func storing(t *testing.T) *fake {
	return &fake{result: func(p *plan.Plan, o RunOptions) (*trial.Result, error) {
		r := good(p)
		dir := o.Keep(r)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		h := generated(t, p.Seed)
		if p.Seed%2 == 1 {
			h = generatedLocks(t, p.Seed)
		}
		return r, store(t, filepath.Join(dir, trial.HistoryFile), h)
	}}
}

func TestEveryCorruptorIsCaught(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, err := Corrupt(t.Context(), storing(t), Sweep{Seeds: 10, Draw: simple}, func() {})
	every := len(checker.Corruptors()) + len(checker.LockCorruptors())
	if err != nil || !c.Pass || c.Histories != 10 || len(c.Corruptors) != every {
		t.Errorf("%+v, %v", c, err)
	}
	for _, x := range c.Corruptors {
		if x.Spoiled == 0 || x.Caught != x.Spoiled {
			t.Errorf("%+v", x)
		}
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestACorruptorWithoutAPlaceIsNotCaught: a history of one read has a place for hardly any.
func TestACorruptorWithoutAPlaceIsNotCaught(t *testing.T) {
	c := newCorruptions()
	h := &history.History{Header: history.Header{Version: history.Version, N: 3, Mode: "sim"}}
	h.Ops = []history.Op{{Process: 1, Kind: history.Get, Key: "k", Outcome: history.OK}}
	if err := c.add(1, h); err != nil {
		t.Fatal(err)
	}
	if c.judge(); c.Pass {
		t.Errorf("%+v", c)
	}
}
