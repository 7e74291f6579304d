// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// TestMillionOperationsAreJudgedWithinAMinute: on one core, of keys and of locks.
func TestMillionOperationsAreJudgedWithinAMinute(t *testing.T) {
	ops, most := 20_000, time.Minute
	if os.Getenv("DYNO_LONG") != "" {
		ops = 1_000_000
	}
	rng := rand.New(rand.NewPCG(1, 1))
	keys, err := Generate(rng, Shape{
		Ops: ops, Keys: max(ops/500, 1), Processes: 50, N: 3, R: 2, W: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	locks, err := GenerateLocks(rng, LockShape{Attempts: ops / 2, Locks: 8, Clients: 8, Holders: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for name, h := range map[string]*history.History{"keys": keys, "locks": locks} {
		began := time.Now()
		report, err := Check(h, DefaultConfig())
		took := time.Since(began)
		if err != nil || report.Verdict != Valid {
			t.Errorf("%s: %v, error %v", name, report, err)
		}
		t.Logf("%s: %d operations in %v", name, len(h.Ops), took)
		if took > most {
			t.Errorf("%s: %d operations took %v, must be %v", name, len(h.Ops), took, most)
		}
	}
}
