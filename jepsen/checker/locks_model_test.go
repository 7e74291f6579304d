// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

func generateLocks(t testing.TB, seed uint64, shape LockShape) *history.History {
	t.Helper()
	h, err := GenerateLocks(seeded(seed), shape)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// lockShapeOf varies crowding with the seed.
func lockShapeOf(seed uint64) LockShape {
	s := DefaultLockShape()
	switch seed % 4 {
	case 1:
		s.Locks, s.Clients, s.Holders = 1, 6, 1
	case 2:
		s.Locks, s.Clients, s.Holders = 6, 8, 3
	case 3:
		s.Locks, s.Clients, s.Holders = 2, 2, 4
	}
	return s
}

func TestUntouchedHistoriesOfLocksStayGreen(t *testing.T) {
	seeds := uint64(150)
	if os.Getenv("DYNO_LONG") == "1" {
		seeds = 5000
	}
	found := make(map[string]float64)
	for seed := range seeds {
		r := check(t, generateLocks(t, seed, lockShapeOf(seed)), DefaultConfig())
		if r.Verdict != Valid {
			t.Fatalf("seed %d: %s", seed, r)
		}
		for _, s := range append(r.Result("locks").Stats, r.Result("lock-order").Stats...) {
			found[s.Name] = max(found[s.Name], s.Value)
		}
	}
	// Green must not come from histories in which nothing happens.
	for _, name := range []string{"grants", "refused", "sessions-lost", "most-unsure"} {
		if found[name] == 0 {
			t.Errorf("no history has %s", name)
		}
	}
	t.Log(found)
}

func TestEachCorruptorOfLocksTurnsTheVerdictRed(t *testing.T) {
	rules := map[string][]string{
		"C7":  {"two-holders"},
		"C8":  {"equal-fences"},
		"C14": {"dead-session"},
		"C15": {"fence-order"},
	}
	for _, c := range LockCorruptors() {
		t.Run(c.Name, func(t *testing.T) {
			turnsRed(t, c, rules[c.Name], func(seed uint64) *history.History {
				return generateLocks(t, seed, lockShapeOf(seed))
			})
		})
	}
}

func TestTheSameSeedGivesTheSameHistoryOfLocks(t *testing.T) {
	for seed := range uint64(8) {
		a := generateLocks(t, seed, lockShapeOf(seed))
		if b := generateLocks(t, seed, lockShapeOf(seed)); !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d: histories differ", seed)
		}
		bad, _ := equalFences(seeded(seed), a)
		x, y := check(t, bad, DefaultConfig()), check(t, bad, DefaultConfig())
		if !reflect.DeepEqual(x, y) {
			t.Fatalf("seed %d: reports differ:\n%s\n%s", seed, x, y)
		}
	}
}

// TestLocksAndKeysAreJudgedSideBySide: one history, both kinds of operations.
func TestLocksAndKeysAreJudgedSideBySide(t *testing.T) {
	h, locks := generate(t, 1, DefaultShape()), generateLocks(t, 1, DefaultLockShape())
	for i := range locks.Ops {
		locks.Ops[i].Process += DefaultShape().Processes
	}
	h.Ops = mergeOps(h.Ops, locks.Ops)
	r := check(t, h, DefaultConfig())
	for _, name := range []string{"causal", "set", "counter", "availability", "locks", "lock-order"} {
		if r.Result(name) == nil {
			t.Errorf("no result of %s", name)
		}
	}
	if r.Verdict != Valid {
		t.Error(r)
	}
}

func largeLocks(t testing.TB, attempts int) *history.History {
	return generateLocks(t, 1, LockShape{Attempts: attempts, Locks: 20, Clients: 25, Holders: 2})
}

// A million operations are judged by the rules in seconds, and by the search in the minute
// that everything has.
func TestLongHistoriesOfLocksAreCheckedInAMinute(t *testing.T) {
	attempts, bound := 20_000, 20*time.Second
	if os.Getenv("DYNO_LONG") == "1" {
		attempts, bound = 620_000, time.Minute
	}
	checkedWithin(t, largeLocks(t, attempts), bound)
}
