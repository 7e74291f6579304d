// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"bytes"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func generate(t testing.TB, seed uint64, shape Shape) *history.History {
	t.Helper()
	h, err := Generate(seeded(seed), shape)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func check(t testing.TB, h *history.History, cfg Config) *Report {
	t.Helper()
	r, err := Check(h, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// shapeOf varies levels and crowding with the seed.
func shapeOf(seed uint64) Shape {
	s := DefaultShape()
	switch seed % 4 {
	case 1:
		s.N, s.R, s.W = 5, 3, 3
	case 2:
		s.N, s.R, s.W = 3, 3, 1
	case 3:
		s.Keys, s.Processes = 6, 12
	}
	return s
}

func TestUntouchedHistoriesStayGreen(t *testing.T) {
	seeds := uint64(400)
	if os.Getenv("DYNO_LONG") == "1" {
		seeds = 4000
	}
	stale, most := 0.0, 0.0
	for seed := range seeds {
		cfg := DefaultConfig()
		cfg.Grain = 0 // there is one clock, and nothing is cut off it
		r := check(t, generate(t, seed, shapeOf(seed)), cfg)
		if r.Verdict != Valid {
			t.Fatalf("seed %d: %s", seed, r)
		}
		stale = max(stale, r.Result("session").Stat("not-monotonic-rate"))
		most = max(most, r.Result("causal").Stat("most-siblings"))
	}
	// Green must not come from histories in which nothing happens.
	if stale == 0 || most < 3 {
		t.Errorf("not-monotonic rate up to %g, up to %g siblings", stale, most)
	}
}

func TestEachCorruptorTurnsTheVerdictRed(t *testing.T) {
	rules := map[string][]string{
		"C1": {"lost-update", "divergence"},
		"C2": {"phantom"},
		"C3": {"phantom"},
		"C4": {"false-sibling"},
		"C5": {"resurrection", "false-sibling"}, // a sibling may be the deleted one's successor
		"C6": {"read-your-writes"},

		"C10": {"divergence"},
		"C11": {"bounds"},
		"C12": {"bounds"},
		"C13": {"expired"},
	}
	for _, c := range Corruptors() {
		t.Run(c.Name, func(t *testing.T) {
			turnsRed(t, c, rules[c.Name], func(seed uint64) *history.History {
				return generate(t, seed, shapeOf(seed))
			})
		})
	}
}

// turnsRed has a corruptor spoil a hundred histories: each that it finds a place in must
// break one of the rules, and the history that it was given must stay as it was.
func turnsRed(
	t *testing.T, c Corruptor, rules []string, generated func(seed uint64) *history.History,
) {
	done := 0
	for seed := range uint64(100) {
		h := generated(seed)
		bad, ok := c.Corrupt(seeded(seed), h)
		if !ok {
			continue
		}
		done++
		r := check(t, bad, DefaultConfig())
		if r.Verdict != Invalid || !broke(r, rules) {
			t.Fatalf("seed %d: %s: %s", seed, c.What, r)
		}
		if !reflect.DeepEqual(h, generated(seed)) {
			t.Fatalf("seed %d: the corruptor changed its operand", seed)
		}
	}
	if done < 80 {
		t.Errorf("only %d of 100 histories had a place for it", done)
	}
}

func broke(r *Report, rules []string) bool {
	for _, res := range r.Results {
		for _, v := range res.Violations {
			if slices.Contains(rules, v.Rule) {
				return true
			}
		}
	}
	return false
}

func TestTheSameSeedGivesTheSameHistoryAndTheSameReport(t *testing.T) {
	for seed := range uint64(8) {
		a, b := generate(t, seed, shapeOf(seed)), generate(t, seed, shapeOf(seed))
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d: histories differ", seed)
		}
		bad, ok := showOverwritten(seeded(seed), a)
		if !ok {
			t.Fatalf("seed %d: nothing was overwritten", seed)
		}
		x, y := check(t, bad, DefaultConfig()), check(t, bad, DefaultConfig())
		if !reflect.DeepEqual(x, y) {
			t.Fatalf("seed %d: reports differ:\n%s\n%s", seed, x, y)
		}
	}
}

func TestAHistoryIsJudgedTheSameFromItsFile(t *testing.T) {
	h := generate(t, 7, DefaultShape())
	var file bytes.Buffer
	if err := history.WriteAll(&file, h); err != nil {
		t.Fatal(err)
	}
	again, err := history.ReadAll(&file, len(h.Ops))
	if err != nil {
		t.Fatal(err)
	}
	a, b := check(t, h, DefaultConfig()), check(t, again, DefaultConfig())
	if a.String() != b.String() {
		t.Errorf("%s\n%s", a, b)
	}
}

func TestGenerateRefusesShapesWhoseHistoriesWouldNotBeValid(t *testing.T) {
	for _, s := range []Shape{
		{},
		{Ops: 1, Keys: 1, Processes: 1, N: 3, R: 1, W: 2},
		{Ops: 1, Keys: 1, Processes: 1, N: 3, R: 1, W: 3},
		{Ops: 1, Keys: 1, Processes: 1, N: 2, R: 3, W: 1},
	} {
		if _, err := Generate(seeded(1), s); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}

// large is a history over many keys, each with some hundred writes.
func large(t testing.TB, ops int) *history.History {
	shape := DefaultShape()
	shape.Ops, shape.Keys, shape.Processes = ops, max(ops/500, 8), 50
	return generate(t, 1, shape)
}

// A million operations are checked in a minute, and a tenth of it in less than that: the
// cost of a history grows with its length, not with the square of it.
func TestLongHistoriesAreCheckedInAMinute(t *testing.T) {
	ops, bound := 100_000, 20*time.Second // a quarter of a second, on a quiet machine
	if os.Getenv("DYNO_LONG") == "1" {
		ops, bound = 1_000_000, time.Minute
	}
	checkedWithin(t, large(t, ops), bound)
}

func checkedWithin(t *testing.T, h *history.History, bound time.Duration) {
	t.Helper()
	begun := time.Now()
	r := check(t, h, DefaultConfig())
	took := time.Since(begun)
	t.Logf("%d operations in %v: %s", len(h.Ops), took, r)
	if r.Verdict != Valid || took > bound {
		t.Errorf("%s after %v", r.Verdict, took)
	}
}

func BenchmarkCheck(b *testing.B) {
	h := large(b, 50_000)
	b.ReportAllocs()
	for b.Loop() {
		if r := check(b, h, DefaultConfig()); r.Verdict != Valid {
			b.Fatal(r)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(h.Ops)), "ns/op-checked")
}
