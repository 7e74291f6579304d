// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

func smallHistory() *history.History {
	return &history.History{
		Header: history.Header{
			Version: history.Version, N: 3, Mode: "real", Seed: 7, Commit: "abc",
			Labels: map[string]string{"nodes": "3", "a": "b"},
		},
		Ops: []history.Op{{
			Process: 1, Kind: history.Get, Key: "k", Invoked: 1, Completed: 2, Outcome: history.OK,
		}},
		Events: []history.Event{{Name: "kill", From: 1, Until: 5, Nodes: []string{"n1"}}},
	}
}

func writeHistory(t *testing.T, dir string, h *history.History) {
	t.Helper()
	var text strings.Builder
	if err := history.WriteAll(&text, h); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, HistoryFile), text.String())
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFolderThatIsSavedIsLoadedAsItWas(t *testing.T) {
	dir := t.TempDir()
	h := smallHistory()
	writeHistory(t, dir, h)
	run := &Run{
		Command: "dyno-jepsen run --seed 7", Seed: 7, Mode: "switch", Lacks: []string{"clock-step"},
		Nodes: 5, Started: time.Unix(100, 0).UTC(), Duration: time.Minute,
		Settings: []Setting{{"rate", "1000"}}, Plan: json.RawMessage(`{"faults":[1]}`),
		Faults: []Fault{{
			Kind: "loss", From: 1, Until: 2, Bit: true, Counts: []Count{{"dropped packets", 3}},
		}},
		Judged: []checker.Result{{Checker: "convergence", Verdict: checker.Valid}},
	}
	if err := run.Save(dir); err != nil {
		t.Fatal(err)
	}
	result := &checker.Report{Verdict: checker.Valid, Results: run.Judged}
	if err := SaveResult(dir, result); err != nil {
		t.Fatal(err)
	}
	f, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var plan any // how it is indented does not matter
	if err := json.Unmarshal(f.Run.Plan, &plan); err != nil {
		t.Fatal(err)
	}
	f.Run.Plan = run.Plan
	if diff := cmp.Diff(&Folder{History: h, Run: run, Result: result}, f); diff != "" {
		t.Errorf("loaded, it differs from what was saved:\n%s", diff)
	}
}

func TestFolderWithAHistoryAloneTellsWhatThatSays(t *testing.T) {
	dir := t.TempDir()
	writeHistory(t, dir, smallHistory())
	f, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := &Run{
		Version: RunVersion, Seed: 7, Mode: "real", Commit: "abc",
		Settings: []Setting{{"a", "b"}, {"nodes", "3"}},
		Faults:   []Fault{{Kind: "kill", Nodes: []string{"n1"}, From: 1, Until: 5, Bit: true}},
	}
	if diff := cmp.Diff(want, f.Run); diff != "" {
		t.Errorf("the run of the header:\n%s", diff)
	}
	if f.Result != nil || f.Cut {
		t.Errorf("result %v, cut %t: there is none, and it is whole", f.Result, f.Cut)
	}
}

func TestFolderOfAKilledRunIsLoadedAsFarAsItGoes(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	if err := history.WriteAll(&text, smallHistory()); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(text.String(), "\n")
	write(t, filepath.Join(dir, HistoryFile), strings.Join(lines[:2], ""))
	f, err := Load(dir)
	if err != nil || !f.Cut || len(f.History.Ops) != 1 {
		t.Errorf("folder %+v, error %v: must have one operation, and be cut", f, err)
	}
}

func TestFolderThatIsNoneIsRefused(t *testing.T) {
	if _, err := Load(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a history: %v", err)
	}
	for name, text := range map[string]string{
		"another version":          `{"version": 2}`,
		"an unknown field":         `{"version": 1, "new": 1}`,
		"a fault without kind":     `{"version": 1, "faults": [{"from": 1, "until": 2}]}`,
		"a fault that runs back":   `{"version": 1, "faults": [{"kind": "x", "from": 3, "until": 2}]}`,
		"something that is no map": `7`,
	} {
		dir := t.TempDir()
		writeHistory(t, dir, smallHistory())
		write(t, filepath.Join(dir, RunFile), text)
		if _, err := Load(dir); !errors.Is(err, ErrRun) {
			t.Errorf("%s: %v, must be ErrRun", name, err)
		}
	}
	if err := (&Run{Faults: []Fault{{}}}).Save(t.TempDir()); !errors.Is(err, ErrRun) {
		t.Errorf("saving what could not be loaded: %v", err)
	}
}
