// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPutsAreMeasured(t *testing.T) {
	r, err := measurePuts(t.TempDir(), 4, 100*time.Millisecond, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	if r.Waiters != 4 || r.PutsPerS <= 0 || r.P50Micros <= 0 || r.P99Micros < r.P50Micros {
		t.Errorf("%+v", r)
	}
	if p50, p99, err := measureFsync(t.TempDir()); err != nil || p50 <= 0 || p99 < p50 {
		t.Errorf("fsync: %v, %v, %v", p50, p99, err)
	}
}

func TestRunLeavesNothingBehindAndNamesFaults(t *testing.T) {
	dir := t.TempDir()
	if err := run(dir, "1,2", 20*time.Millisecond, 100, false); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v, %v are left", left, err)
	}
	for _, waiters := range []string{"", "0", "many"} {
		if err := run(dir, waiters, time.Millisecond, 100, false); err == nil {
			t.Errorf("%q waiters were accepted", waiters)
		}
	}
}
