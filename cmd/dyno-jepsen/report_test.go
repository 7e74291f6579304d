// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/report"
)

func TestWhatARunLeavesIsWhatAReportReads(t *testing.T) {
	dir := t.TempDir()
	h, err := checker.GenerateLocks(rand.New(rand.NewPCG(1, 2)), checker.DefaultLockShape())
	if err != nil {
		t.Fatal(err)
	}
	if err := writeHistory(filepath.Join(dir, report.HistoryFile), h); err != nil {
		t.Fatal(err)
	}
	found, err := checker.Check(h, checker.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	run := report.RunOf(h)
	run.Judged = []checker.Result{{Checker: "hand-over", Verdict: checker.Unknown, Why: "nobody died"}}
	found = withJudged(found, run)
	page, err := leave(dir, h, run, found)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(page); err != nil {
		t.Error(err)
	}
	for _, again := range []bool{false, true} {
		in, err := reportInput(dir, again)
		if err != nil {
			t.Fatal(err)
		}
		if in.Report.Verdict != checker.Unknown || in.Report.Result("hand-over") == nil ||
			in.Report.Result("locks") == nil || len(in.Orders) != lockPictures {
			t.Errorf("again %t: %s with %d pictures", again, in.Report, len(in.Orders))
		}
	}
}

func TestProgramTellsWhatItWasBuiltFrom(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, toolchain := builtFrom(own); toolchain != runtime.Version() {
		t.Errorf("toolchain %q, must be %q", toolchain, runtime.Version())
	}
	if commit, toolchain := builtFrom(filepath.Join("testdata", "script")); commit+toolchain != "" {
		t.Errorf("a folder was built from %s by %s", commit, toolchain)
	}
}
