// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/nemesis"
	"github.com/dyno-kv/dyno/jepsen/network"
	"github.com/dyno-kv/dyno/jepsen/report"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEveryKindCanBePlayed: a plan has no kind that nobody knows how to do.
func TestEveryKindCanBePlayed(t *testing.T) {
	known := actions()
	for _, in := range nemesis.Kinds() {
		if known[in.Kind] == nil {
			t.Errorf("nobody knows how to do %s", in.Kind)
		}
		delete(known, in.Kind)
	}
	for k := range known {
		t.Errorf("%s is no kind", k)
	}
}

func TestOfTwoRulesTheWorseHolds(t *testing.T) {
	delay := network.Rule{Delay: time.Second, Rate: 100}
	for _, c := range []struct{ a, b, want network.Rule }{
		{network.Rule{}, delay, delay},
		{delay, network.Rule{}, delay},
		{delay, network.Rule{Drop: true}, network.Rule{Drop: true, Delay: time.Second, Rate: 100}},
		{delay, network.Rule{Rate: 7, Loss: 0.5}, network.Rule{Delay: time.Second, Rate: 7, Loss: 0.5}},
		{network.Rule{Jam: true}, network.Rule{Reset: true}, network.Rule{Jam: true, Reset: true}},
	} {
		if got := both(c.a, c.b); got != c.want {
			t.Errorf("%+v and %+v: %+v, want %+v", c.a, c.b, got, c.want)
		}
	}
}

// TestKeysAreLeftBeforeTheyAreWornOut: no key has more steps than its checker likes, and all
// that were used are read in the end.
func TestKeysAreLeftBeforeTheyAreWornOut(t *testing.T) {
	for _, kind := range workload.Kinds() {
		s := newShelf(3, kind, 0, workload.Options{N: 3, Nodes: 3})
		rng := rand.New(rand.NewPCG(1, 1))
		steps := make(map[string]int)
		for range 30_000 {
			step, err := s.next(rng)
			if err != nil {
				t.Fatal(err)
			}
			steps[step.Key]++
		}
		if len(s.all) < 3 {
			t.Errorf("%s: %d sets of keys", kind, len(s.all))
		}
		read := make(map[string]bool)
		for _, step := range s.finals(2, 1) {
			if step.Final != 2 || step.Levels.R != 1 || read[step.Key] {
				t.Errorf("%s: final read %+v", kind, step)
			}
			read[step.Key] = true
		}
		for key, n := range steps {
			if n > 2*mostSteps || !read[key] {
				t.Errorf("%s: %q has %d steps, read in the end: %t", kind, key, n, read[key])
			}
		}
	}
}

func TestThroughputIsThatOfTheMiddleSecond(t *testing.T) {
	h := &history.History{}
	add := func(second, n int, final uint8) {
		for range n {
			h.Ops = append(h.Ops, history.Op{
				Completed: int64(second) * int64(time.Second), Outcome: history.OK, Final: final,
			})
		}
	}
	add(0, 10, 0)
	add(1, 30, 0)
	add(2, 20, 0)
	add(2, 500, 1)
	add(9, 500, 0)
	want := []float64{20, 10, 30}
	for i, s := range Throughput(h, 3*time.Second).Stats {
		if s.Value != want[i] {
			t.Errorf("%s is %g, want %g", s.Name, s.Value, want[i])
		}
	}
}

func build(t *testing.T, flags ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the race detector would not be in the processes; `make test` runs them")
	}
	binary := filepath.Join(t.TempDir(), "dyno")
	args := append([]string{"build", "-o", binary}, append(flags, "../../cmd/dyno")...)
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return binary
}

func play(t *testing.T, cfg Config) (*report.Run, *checker.Report, *history.History) {
	t.Helper()
	cfg.Dir, cfg.Nodes, cfg.Duration = t.TempDir(), 3, nemesis.LeastDuration
	cfg.Tell = func(s string) { t.Log(time.Now().Format("05.000"), s) }
	run, err := Play(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(cfg.Dir, report.HistoryFile))
	if err != nil {
		t.Fatal(err)
	}
	h, err := history.ReadAll(file, maxOps)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	judge := checker.DefaultConfig()
	judge.MinAvailable = leastWithoutFallbacks
	found, err := checker.Check(h, judge)
	if err != nil {
		t.Fatal(err)
	}
	return run, found, h
}

// TestARunWithKills is a short look; `make jepsen` is the long one.
func TestARunWithKills(t *testing.T) {
	run, found, h := play(t, Config{
		Binary: build(t), Seed: 5, Rate: 400, Plain: true,
		Kinds: []nemesis.Kind{nemesis.Kill, nemesis.Pause, nemesis.Wipe},
	})
	if found.Verdict != checker.Valid {
		t.Errorf("%s", found)
	}
	for _, r := range run.Judged {
		if r.Verdict != checker.Valid {
			t.Errorf("%s: %s %s %v", r.Checker, r.Verdict, r.Why, r.Violations)
		}
		if r.Checker == "lww sanity" && r.Stats[1].Value == 0 {
			t.Error("no loss was seen where there must be some")
		}
	}
	bit := 0
	for _, f := range run.Faults {
		if f.Bit {
			bit++
		}
	}
	if bit == 0 || len(h.Events) == 0 || len(h.Ops) < 1000 {
		t.Errorf("%d faults met something, %d events, %d operations", bit, len(h.Events), len(h.Ops))
	}
	rounds := make(map[string]int)
	for i := range h.Ops {
		if op := &h.Ops[i]; op.Final > 0 {
			rounds[fmt.Sprint(op.Final, op.R)]++
		}
	}
	if rounds["1 1"] == 0 || rounds["2 2"] != rounds["1 1"] || rounds["3 3"] != rounds["1 1"] {
		t.Errorf("final reads by round and level: %v", rounds)
	}
}
