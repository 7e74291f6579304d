// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/internal/mutant"
)

func TestWithoutAToolchainThisProgramRunsThePlans(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Build(t.Context(), BuildOptions{Go: "no-such-go", Mutant: mutant.Enabled})
	if err != nil || p.Path != path || p.Replayable || !strings.Contains(p.Why, "no-such-go") {
		t.Errorf("%+v, %v", p, err)
	}
	if p.Close() != nil {
		t.Error("it could not be closed")
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("Close removed what it does not own: %v", err)
	}
	if _, err := Build(t.Context(), BuildOptions{Go: "no-such-go", Race: true}); err == nil {
		t.Error("the race detector was promised")
	}
	if mutant.Enabled {
		return
	}
	_, err = Build(t.Context(), BuildOptions{Go: "no-such-go", Mutant: true})
	if !errors.Is(err, ErrNoMutants) {
		t.Errorf("mutants were promised: %v", err)
	}
}

func TestTheSourceIsFoundFromItsFolders(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{".", "../..", t.TempDir()} { // of the last: where this was built
		o := BuildOptions{Go: "go", Source: dir}
		if got, why := source(t.Context(), &o); got != root {
			t.Errorf("from %s: %q, %s", dir, got, why)
		}
	}
}

func TestABuildThatFailsTellsWhatTheCompilerSaid(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module x\n", "main.go": "package main\n\nfunc main() { wrong() }\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	err := goBuild(t.Context(), root, t.TempDir(), "go", []string{"build", "-o", "x", "."})
	if err == nil || !strings.Contains(err.Error(), "undefined: wrong") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := goBuild(ctx, root, t.TempDir(), "go", []string{"build"}); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupt: %v", err)
	}
}

// TestAProgramKeepsWhatItWasBuiltAs: a build beside it takes the place of the file.
func TestAProgramKeepsWhatItWasBuiltAs(t *testing.T) {
	cache := t.TempDir()
	built := filepath.Join(cache, "built")
	if err := os.WriteFile(built, []byte("first"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := &Program{}
	if err := p.own(cache, built); err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(cache, "next")
	if err := os.WriteFile(next, []byte("second"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, built); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(p.Path); err != nil || string(text) != "first" {
		t.Errorf("%q, %v", text, err)
	}
	made(t, p.private.path)
	removeLeft(cache, programFolders)
	if _, err := os.Stat(p.Path); err != nil {
		t.Errorf("what is in use is gone: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "run-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestKeptPlansAreReadInOrder(t *testing.T) {
	dir := t.TempDir()
	for seed, name := range []string{"b.json", "a.json"} {
		if err := writePlan(filepath.Join(dir, name), simple(uint64(seed))); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := ReadKept(dir)
	if err != nil || len(kept) != 2 || kept[0].Plan.Seed != 1 || kept[1].Plan.Seed != 0 {
		t.Errorf("%v, %v", kept, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "c.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKept(dir); err == nil || !strings.Contains(err.Error(), "c.json") {
		t.Errorf("a file that is no plan: %v", err)
	}
}
