// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/nemesis"
	"github.com/dyno-kv/dyno/jepsen/report"
)

func TestACrashIsAskedForOnce(t *testing.T) {
	cfg := &Config{Dir: t.TempDir(), Nodes: 3}
	files, err := openCrashFiles(cfg)
	if err != nil {
		t.Fatal(err)
	}
	holds := func(want string) {
		t.Helper()
		got, err := os.ReadFile(filepath.Join(cfg.Dir, "n2.crash"))
		if err != nil || string(got) != want {
			t.Errorf("the file of n2 has %q, %v", got, err)
		}
	}
	holds("")
	if err := files.ask(1, "a/long-name", 300); err != nil {
		t.Fatal(err)
	}
	holds("a/long-name 300\n")
	if err := files.ask(1, "b/short", 7); err != nil {
		t.Fatal(err)
	}
	holds("b/short 7\n")
	if err := files.forget(1); err != nil {
		t.Fatal(err)
	}
	holds("")
	want := CrashVariable + "=" + filepath.Join(cfg.Dir, "n3.crash")
	if got := files.environ(2); !slices.Equal(got, []string{want}) {
		t.Errorf("the environment of n3 has %v", got)
	}
}

// TestProcessesAreKilledAtFailpoints: while they serve, and while they stop.
func TestProcessesAreKilledAtFailpoints(t *testing.T) {
	if os.Getenv("DYNO_LONG") == "" {
		t.Skip("a run of its own; DYNO_LONG=1 makes it, and `make jepsen-smoke` has such faults")
	}
	crash := func(at time.Duration, node int, point string, n int) nemesis.Fault {
		return nemesis.Fault{
			Kind: nemesis.CrashAt, At: nemesis.Span(at), For: nemesis.Span(4 * time.Second),
			Nodes: []int{node}, N: n, Point: point,
		}
	}
	plan := &nemesis.Plan{
		Version: nemesis.Version, Nodes: 3, Duration: nemesis.Span(nemesis.LeastDuration),
		Faults: []nemesis.Fault{
			crash(time.Second, 0, "storage/before-publish", 3),
			crash(5500*time.Millisecond, 1, "node/before-clean-mark", 1),
		},
	}
	if err := plan.Validate(); err != nil {
		t.Fatal(err)
	}
	run, found, _ := play(t, Config{
		Binary: build(t, "-tags", "failpoints"), Seed: 1, Rate: 300, Plain: true, Plan: plan,
		Points: []string{"storage/before-publish", "node/before-clean-mark"},
	})
	if found.Verdict != checker.Valid {
		t.Errorf("%s", found)
	}
	want := []report.Count{{Name: "killed at its point", Value: 1}}
	for _, f := range run.Faults {
		if f.Error != "" || !slices.Equal(f.Counts, want) {
			t.Errorf("%s %v: %v, error %q", f.Kind, f.Detail, f.Counts, f.Error)
		}
	}
	if len(run.Faults) != len(plan.Faults) {
		t.Errorf("%d faults were played", len(run.Faults))
	}
}
