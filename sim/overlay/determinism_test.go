// SPDX-License-Identifier: Apache-2.0

package overlay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/sim/overlay"
)

// patience bounds a child. The build may compile the standard library on a busy machine.
const patience = 5 * time.Minute

// program builds testdata/schedule, with the overlay or with the stock runtime.
func program(t *testing.T, edited bool) (path, edits string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the race detector would not be in what is built; `make test` runs it")
	}
	path = filepath.Join(t.TempDir(), "schedule.test")
	args := []string{"test", "-c", "-o", path}
	if edited {
		tc, err := overlay.Local(t.Context(), "go", ".")
		if err != nil {
			t.Fatal(err)
		}
		if tc.OS != "linux" {
			t.Skipf("the overlay edits the runtime for linux only, this is %s", tc.OS)
		}
		o, err := overlay.Generate(tc, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		args, edits = append(args, "-overlay", o.Path), o.Edits
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", append(args, "./testdata/schedule")...).CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path, edits
}

// traces runs the program once for each run, all at once, while other goroutines keep
// the processors busy: what depends on real time then differs.
func traces(t *testing.T, path string, runs []overlay.Run) [][]byte {
	t.Helper()
	dir := t.TempDir()
	var stop atomic.Bool
	var burners, children sync.WaitGroup
	for range runtime.NumCPU() {
		burners.Go(func() {
			for !stop.Load() { // busy on purpose
			}
		})
	}
	got := make([][]byte, len(runs))
	slots := make(chan struct{}, 2*runtime.NumCPU())
	for i, run := range runs {
		children.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			got[i] = trace(t, path, filepath.Join(dir, fmt.Sprint(i)), run)
		})
	}
	children.Wait()
	stop.Store(true)
	burners.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return got
}

func trace(t *testing.T, path, file string, run overlay.Run) []byte {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = append(append(os.Environ(), run.Environ()...), "DYNO_SIM_TRACE="+file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%+v: %v\n%s", run, err, out)
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%+v: %v", run, err)
	}
	return text
}

// difference shows the first line in which two traces differ, "" where there is none.
func difference(a, b []byte) string {
	if bytes.Equal(a, b) {
		return ""
	}
	x, y := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d: %q and %q", i+1, x[i], y[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(x), len(y))
}

// TestDeterminism: the same seed gives the same trace in every process, another seed or
// another order another one. DYNO_LONG=1 runs 20 seeds.
func TestDeterminism(t *testing.T) {
	path, edits := program(t, true)
	seeds, copies := 2, 3
	if os.Getenv("DYNO_LONG") != "" {
		seeds, copies = 20, 4
	}
	var runs []overlay.Run
	for i := range seeds {
		for range copies {
			seed := uint64(i) * 0x9e3779b97f4a7c15 // 0, and numbers of all lengths
			runs = append(runs, overlay.Run{Seed: seed}, overlay.Run{Seed: seed, SeededOrder: true})
		}
	}
	first := make(map[overlay.Run][]byte)
	for i, got := range traces(t, path, runs) {
		want, known := first[runs[i]]
		if !known {
			first[runs[i]] = got
		} else if d := difference(want, got); d != "" {
			t.Errorf("%+v: two processes differ in %s", runs[i], d)
		}
		head, _, _ := strings.Cut(string(got), "\n")
		if !strings.HasSuffix(head, " edits "+edits+" procs 1") {
			t.Errorf("%+v: the trace begins with %q; want edits %s and one processor", runs[i], head, edits)
		}
	}
	seen := make(map[string]overlay.Run)
	for run, text := range first {
		if other, taken := seen[string(text)]; taken {
			t.Errorf("%+v and %+v have the same trace", run, other)
		}
		seen[string(text)] = run
	}
}

// TestDeterminismIsNotThereWithoutTheOverlay shows that the program meets chance, and
// that TestDeterminism can fail.
func TestDeterminismIsNotThereWithoutTheOverlay(t *testing.T) {
	path, _ := program(t, false)
	got := traces(t, path, make([]overlay.Run, 3))
	for i, text := range got[1:] {
		if difference(got[0], text) == "" {
			t.Errorf("runs 0 and %d of the stock runtime have the same trace", i+1)
		}
	}
}

func TestAnEditedProgramDoesNotStartWithoutAProperSeed(t *testing.T) {
	path, _ := program(t, true)
	for name, env := range map[string][]string{
		"no seed":      {"DYNO_SIM_SEED="},
		"no number":    {"DYNO_SIM_SEED=7x"},
		"negative":     {"DYNO_SIM_SEED=-1"},
		"too large":    {"DYNO_SIM_SEED=18446744073709551616"},
		"unknown rule": {"DYNO_SIM_SEED=7", "DYNO_SIM_ORDER=lifo"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), path, "-test.run", "^$")
			cmd.Env = append(os.Environ(), env...)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 {
				t.Fatalf("got %v, want exit code 2\n%s", err, out)
			}
			if want := "runtime of dyno's simulator: DYNO_SIM_"; !strings.Contains(string(out), want) {
				t.Errorf("got %q, want %q in it", out, want)
			}
		})
	}
	largest := exec.CommandContext(t.Context(), path, "-test.run", "^$")
	largest.Env = append(os.Environ(), overlay.Run{Seed: 1<<64 - 1}.Environ()...)
	if out, err := largest.CombinedOutput(); err != nil {
		t.Errorf("the largest seed: %v\n%s", err, out)
	}
}

func TestThisProcessHasTheStockRuntime(t *testing.T) {
	if edits, ok := overlay.Running(); ok {
		t.Errorf("Running reports edits %s in %s", edits, runtime.Version())
	}
}

func TestLocalReportsAGoCommandThatIsNotThere(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "go")
	if _, err := overlay.Local(t.Context(), missing, "."); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
