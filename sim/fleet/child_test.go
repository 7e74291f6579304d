// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// What the pretended process does goes by the kind of its first load.
const (
	doValid   = "valid"
	doInvalid = "invalid"
	doPanic   = "panic"
	doSilent  = "silent"
	doHang    = "hang"
	doEat     = "eat"
	doDie     = "die"
	doRace    = "race"
	doTalk    = "talk"
	doFail    = "fail"
	doStay    = "stay"
)

// mine marks the folders of this test's processes.
const mine = "of-a-test-of-the-fleet"

// pretend is the process of a test.
func pretend(planFile, dir string) int {
	p, err := ReadPlan(planFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := os.WriteFile(filepath.Join(dir, mine), nil, 0o644); err != nil {
		return 1
	}
	result := good(p)
	result.Damage = map[string]int64{"variables": int64(len(os.Environ()))}
	result.Edits = strings.Join(os.Environ(), "\n")
	switch p.Loads[0].Kind {
	case doInvalid:
		result = breaks(p, "lost-update")
	case doPanic:
		fmt.Fprintln(os.Stderr, "some log")
		panic("it is broken")
	case doSilent:
		return 0
	case doHang:
		child := exec.Command("/bin/sleep", "600") // it has no PATH; must end with its group
		child.Stdout = os.Stdout
		fmt.Fprintln(os.Stderr, child.Start())
		time.Sleep(time.Hour)
	case doEat:
		for eaten := [][]byte{}; ; time.Sleep(time.Millisecond) {
			eaten = append(eaten, []byte(strings.Repeat("x", 4<<20)))
		}
	case doStay:
		held, err := hold(filepath.Join(dir, mine))
		if err == nil {
			err = os.WriteFile(held.Name(), fmt.Append(nil, os.Getppid()), 0o644)
		}
		time.Sleep(time.Hour)
		fmt.Fprintln(os.Stderr, held, err)
	case doDie:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case doFail:
		fmt.Println("--- FAIL: trial (0.00s)\n    child.go:44: disk is full")
		return 1
	case doTalk:
		fmt.Println(strings.Repeat("talk ", 1<<20))
	}
	if err := WriteResult(filepath.Join(dir, trial.ResultFile), result); err != nil {
		return 1
	}
	if err := os.WriteFile(filepath.Join(dir, trial.HistoryFile), []byte("history\n"), 0o644); err != nil {
		return 1
	}
	if p.Loads[0].Kind == doRace {
		fmt.Fprintln(os.Stderr, "==================\nWARNING: DATA RACE\nWrite at 0x1 by goroutine 2:")
		return 66
	}
	return 0
}

// parent is a process that starts another one, which stays, and waits for it.
func parent() int {
	path, err := os.Executable()
	if err == nil {
		c := &Children{Program: &Program{Path: path}}
		_, err = c.Run(context.Background(), does(doStay), RunOptions{})
	}
	fmt.Fprintln(os.Stderr, "it has ended:", err)
	return 1
}

func children(t *testing.T) *Children {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	return &Children{Program: &Program{Path: path, Replayable: true, Edits: "e", Mutant: true}}
}

func does(what string) *plan.Plan {
	p := simple(5)
	p.Loads = []plan.Load{{Kind: what, Sessions: 1}}
	return p
}

func TestWhateverBecomesOfAProcessIsAResult(t *testing.T) {
	for _, tc := range []struct {
		what, rule string
		verdict    checker.Verdict
		text       string
	}{
		{doValid, "", checker.Valid, ""},
		{doTalk, "", checker.Valid, ""},
		{doInvalid, "lost-update", checker.Invalid, "it is broken"},
		{doPanic, ruleCrash, checker.Invalid, "panic: it is broken\n\ngoroutine 1 [running]:"},
		{doRace, ruleRace, checker.Invalid, "WARNING: DATA RACE\nWrite at"},
		{doFail, ruleChild, checker.Unknown, "disk is full"},
		{doSilent, ruleChild, checker.Unknown, "result.json"},
		{doHang, ruleTimeout, checker.Unknown, "ran for 1s"},
		{doEat, ruleMemory, checker.Unknown, "more than 268435456 bytes"},
		{doDie, ruleKilled, checker.Unknown, "somebody killed it"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			c := children(t)
			c.Memory = 256 << 20
			if tc.what == doHang {
				c.Limit = time.Second
			}
			r, err := c.Run(t.Context(), does(tc.what), RunOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict != tc.verdict {
				t.Errorf("verdict %s, want %s: %v", r.Verdict, tc.verdict, r.Problems)
			}
			if tc.rule != "" && (len(r.Problems) == 0 || r.Problems[0].Rule != tc.rule ||
				!strings.Contains(r.Problems[0].Text, tc.text)) {
				t.Errorf("problems %v, want %s: %s", r.Problems, tc.rule, tc.text)
			}
			if r.Plan.Seed != 5 || r.CPU == 0 || r.Peak == 0 || r.Wall == 0 && tc.what != doValid {
				t.Errorf("result %+v", r)
			}
			for _, dir := range []string{os.TempDir(), memoryDisk} {
				if left, _ := filepath.Glob(filepath.Join(dir, "dyno-sim-*", mine)); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			}
		})
	}
}

// TestAProcessEndsWithItsGroup: what hangs has started another process.
func TestAProcessEndsWithItsGroup(t *testing.T) {
	c := children(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	began := time.Now()
	_, err := c.Run(ctx, does(doHang), RunOptions{})
	// The other one has the process's output: were it alive, Wait would take its delay.
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) >= grace {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

// TestAProcessKnowsNothingOfItsSurroundings: nothing of this side's environment may change
// a run.
func TestAProcessKnowsNothingOfItsSurroundings(t *testing.T) {
	t.Setenv("DYNO_ENDPOINTS", "outside")
	c := children(t)
	r, err := c.Run(t.Context(), does(doValid), RunOptions{Mutant: string(mutant.All()[0].Name)})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"DYNO_SIM_SEED=5", "DYNO_SIM_ORDER=fifo", "GOGC=off", "TZ=UTC",
		mutant.Environment + "=" + string(mutant.All()[0].Name),
	} {
		if !strings.Contains(r.Edits, want) {
			t.Errorf("no %s in\n%s", want, r.Edits)
		}
	}
	if strings.Contains(r.Edits, "outside") || strings.Contains(r.Edits, "PATH=") {
		t.Errorf("it knows\n%s", r.Edits)
	}
	c.Program.Replayable = false
	if r, err = c.Run(t.Context(), does(doValid), RunOptions{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(r.Edits, "SEED") || r.Replayable {
		t.Errorf("replayable with the stock runtime: %+v", r)
	}
}

func TestTheFilesOfARunAreKeptWhereTheyAreAskedFor(t *testing.T) {
	c := children(t)
	out := filepath.Join(t.TempDir(), "seed-5")
	o := RunOptions{Keep: func(r *trial.Result) string {
		if r.Verdict == checker.Invalid {
			return out
		}
		return ""
	}}
	if _, err := c.Run(t.Context(), does(doValid), o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a valid run was kept")
	}
	if _, err := c.Run(t.Context(), does(doInvalid), o); err != nil {
		t.Fatal(err)
	}
	p, err := ReadPlan(filepath.Join(out, PlanFile))
	if err != nil || p.Seed != 5 {
		t.Errorf("plan %v, %v", p, err)
	}
	r, err := ReadResult(filepath.Join(out, trial.ResultFile))
	if err != nil || r.Verdict != checker.Invalid || r.Plan.Seed != 5 {
		t.Errorf("result %v, %v", r, err)
	}
	if text, err := os.ReadFile(filepath.Join(out, trial.HistoryFile)); err != nil || len(text) == 0 {
		t.Errorf("history: %v", err)
	}
	if _, err := os.Stat(filepath.Join(out, StderrFile)); err != nil {
		t.Error(err)
	}
}

// TestAVerdictStaysWhereItsFilesCanNotBeKept: a night must not end with a full disk.
func TestAVerdictStaysWhereItsFilesCanNotBeKept(t *testing.T) {
	c := children(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	o := RunOptions{Keep: func(*trial.Result) string { return filepath.Join(file, "seed-5") }}
	for what, verdict := range map[string]checker.Verdict{
		doInvalid: checker.Invalid, doValid: checker.Unknown,
	} {
		r, err := c.Run(t.Context(), does(what), o)
		if err != nil || r.Verdict != verdict || !slices.Contains(Rules(r), ruleFiles) {
			t.Errorf("%s: %v, %v", what, r, err)
		}
	}
}

func TestAMutantNeedsItsBuild(t *testing.T) {
	c := children(t)
	c.Program.Mutant = false
	if _, err := c.Run(t.Context(), does(doValid), RunOptions{Mutant: "x"}); !errors.Is(err, ErrNoMutants) {
		t.Errorf("error %v", err)
	}
}

func TestAProgramThatIsNotThereIsAnErrorOfTheRig(t *testing.T) {
	c := children(t)
	c.Program.Path = filepath.Join(t.TempDir(), "missing")
	if _, err := c.Run(t.Context(), does(doValid), RunOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestWhatAProcessTellsIsBounded(t *testing.T) {
	b := newBounded()
	for i := range 1000 {
		fmt.Fprintf(b, "%04d %s\n", i, strings.Repeat("x", 1000))
	}
	text := string(b.bytes())
	if len(text) > maxHead+maxTail+100 || !strings.HasPrefix(text, "0000 x") ||
		!strings.HasSuffix(text, "x\n") || !strings.Contains(text, "0999 x") ||
		!strings.Contains(text, "bytes are left out") {
		t.Errorf("%d bytes: %.40q", len(text), text)
	}
}
