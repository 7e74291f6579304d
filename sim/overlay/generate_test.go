// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// toolchain makes one whose only source file is runtime/rand.go.
func toolchain(t *testing.T, text string) Toolchain {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "src", "runtime")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rand.go"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Toolchain{Version: release + ".8", Root: root, OS: "linux"}
}

var aToB = []Edit{{File: "runtime/rand.go", Anchor: "a", Times: 1, Replacement: "b"}}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func replacements(t *testing.T, o Overlay) map[string]string {
	t.Helper()
	var index struct{ Replace map[string]string }
	if err := json.Unmarshal([]byte(read(t, o.Path)), &index); err != nil {
		t.Fatal(err)
	}
	return index.Replace
}

func TestGenerateWritesTheEditedFilesAndLeavesTheToolchainAlone(t *testing.T) {
	tc, cache := toolchain(t, "-a-"), t.TempDir()
	o, err := GenerateSet(tc, cache, runtimeSet(aToB))
	if err != nil {
		t.Fatal(err)
	}
	replace := replacements(t, o)
	if len(replace) != 2 {
		t.Fatalf("%d files replaced, want the edited and the added one: %v", len(replace), replace)
	}
	if got := read(t, replace[tc.path("runtime/rand.go")]); got != "-b-" {
		t.Errorf("the edited file has %q", got)
	}
	ours := read(t, replace[tc.path(addedFile)])
	if !strings.Contains(ours, o.Edits) || strings.Contains(ours, editsMark) {
		t.Errorf("the added file does not name the edits %s", o.Edits)
	}
	if got := read(t, tc.path("runtime/rand.go")); got != "-a-" {
		t.Errorf("the toolchain's own file now has %q", got)
	}
	if entries, err := os.ReadDir(cache); err != nil || len(entries) != 1 {
		t.Errorf("the cache has %v, %v; want the one folder", entries, err)
	}
}

func TestGenerateKeepsAFolderForEachToolchainAndEdits(t *testing.T) {
	tc, cache := toolchain(t, "-a-"), t.TempDir()
	newer := tc
	newer.Version = release + ".9"
	seen := make(map[string]string)
	for name, make := range map[string]func() (Overlay, error){
		"first":         func() (Overlay, error) { return GenerateSet(tc, cache, runtimeSet(aToB)) },
		"newer version": func() (Overlay, error) { return GenerateSet(newer, cache, runtimeSet(aToB)) },
		"other edits": func() (Overlay, error) {
			return GenerateSet(tc, cache, runtimeSet([]Edit{{
				File: "runtime/rand.go", Anchor: "a", Times: 1, Replacement: "c",
			}}))
		},
		"other sources": func() (Overlay, error) {
			changed := toolchain(t, "+a+")
			return GenerateSet(changed, cache, runtimeSet(aToB))
		},
	} {
		o, err := make()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if before, taken := seen[o.Path]; taken {
			t.Errorf("%s and %s share %s", name, before, o.Path)
		}
		seen[o.Path] = name
		again, err := make()
		if name != "other sources" && (err != nil || again != o) {
			t.Errorf("%s, again: got %v, %v; want %v", name, again, err, o)
		}
	}
}

func TestGenerateMayRunManyTimesAtOnce(t *testing.T) {
	tc, cache := toolchain(t, "-a-"), t.TempDir()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			o, err := GenerateSet(tc, cache, runtimeSet(aToB))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.Stat(o.Path); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if entries, err := os.ReadDir(cache); err != nil || len(entries) != 1 {
		t.Errorf("the cache has %v, %v; want the one folder", entries, err)
	}
}

func TestGenerateRefusesToolchainsThatNobodyRead(t *testing.T) {
	for name, change := range map[string]func(*Toolchain){
		"older":         func(tc *Toolchain) { tc.Version = "go1.25.3" },
		"newer":         func(tc *Toolchain) { tc.Version = "go1.27rc1" },
		"longer number": func(tc *Toolchain) { tc.Version = "go1.260" },
		"development":   func(tc *Toolchain) { tc.Version = "devel go1.27-abcdef" },
		"other system":  func(tc *Toolchain) { tc.OS = "plan9" },
	} {
		t.Run(name, func(t *testing.T) {
			tc := toolchain(t, "-a-")
			change(&tc)
			_, err := GenerateSet(tc, t.TempDir(), runtimeSet(aToB))
			if err == nil || !strings.Contains(err.Error(), tc.Version) {
				t.Errorf("got %v, want a refusal that names %s", err, tc.Version)
			}
		})
	}
}

func TestGenerateWritesNothingWhereAnEditDoesNotMatch(t *testing.T) {
	for name, text := range map[string]string{"missing": "-", "twice": "aa"} {
		t.Run(name, func(t *testing.T) {
			cache := t.TempDir()
			_, err := GenerateSet(toolchain(t, text), cache, runtimeSet(aToB))
			var mismatch *MismatchError
			if !errors.As(err, &mismatch) {
				t.Fatalf("got %v, want a MismatchError", err)
			}
			if entries, err := os.ReadDir(cache); err != nil || len(entries) > 0 {
				t.Errorf("the cache has %v, %v", entries, err)
			}
		})
	}
}

func TestGenerateRefusesAFileThatIsNotThere(t *testing.T) {
	_, err := GenerateSet(toolchain(t, "-a-"), t.TempDir(), runtimeSet([]Edit{{
		File: "runtime/gone.go", Anchor: "a", Times: 1, Replacement: "b",
	}}))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "runtime/gone.go") {
		t.Errorf("got %v", err)
	}
}

func TestGenerateRefusesAToolchainThatHasTheAddedFileAlready(t *testing.T) {
	tc := toolchain(t, "-a-")
	if err := os.WriteFile(tc.path(addedFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := GenerateSet(tc, t.TempDir(), runtimeSet(aToB)); err == nil ||
		!strings.Contains(err.Error(), addedFile) {
		t.Errorf("got %v", err)
	}
}
