// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestTreeKeepsTheRules checks the repository that this package is a part of, rule by
// rule, so that the failing subtest names the rule.
func TestTreeKeepsTheRules(t *testing.T) {
	found, err := Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			for _, v := range found {
				if v.Rule == rule.Name {
					t.Errorf("%s:%d: %s", v.File, v.Line, v.Text)
				}
			}
			if t.Failed() {
				t.Logf("the rule: %s", rule.Asks)
			}
		})
	}
}

// TestEachRuleIsSeenToFail runs every mini-module of testdata: an archive whose comment
// lists the breaches that must be found in it, all of them and no others.
func TestEachRuleIsSeenToFail(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives in testdata (%v)", err)
	}
	broken := make(map[string]bool)
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			found, err := Check(treeOf(archive))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range found {
				broken[v.Rule] = true
				got = append(got, v.String())
			}
			if diff := cmp.Diff(wanted(archive), got); diff != "" {
				t.Errorf("breaches (-want +got):\n%s", diff)
			}
		})
	}
	for _, rule := range Rules() {
		if !broken[rule.Name] {
			t.Errorf("no archive in testdata breaks rule %q", rule.Name)
		}
	}
}

// treeOf lays out an archive. Every Go file gets the SPDX line but those whose first
// line is "//raw", which stands for nothing.
func treeOf(archive *txtar.Archive) fs.FS {
	tree := make(fstest.MapFS)
	for _, f := range archive.Files {
		data := string(f.Data)
		if raw, ok := strings.CutPrefix(data, "//raw\n"); ok {
			data = raw
		} else if strings.HasSuffix(f.Name, ".go") {
			data = spdx + data
		}
		tree[f.Name] = &fstest.MapFile{Data: []byte(data)}
	}
	return tree
}

// wanted returns the lines of the comment that follow "want: ".
func wanted(archive *txtar.Archive) []string {
	var want []string
	for line := range strings.Lines(string(archive.Comment)) {
		if w, ok := strings.CutPrefix(strings.TrimSpace(line), "want: "); ok {
			want = append(want, w)
		}
	}
	return want
}

// TestSizesAreCounted builds the long file, function and line that an archive would
// only hide.
func TestSizesAreCounted(t *testing.T) {
	header := spdx + "package arch\n\n"
	body := func(n int) string { return "func long() {\n" + strings.Repeat("\t_ = 0\n", n) + "}\n" }
	line := func(n int) string { return "// " + strings.Repeat("é", n-3) + "\n" }
	tests := []struct {
		name, file, source string
		want               []string
	}{
		{"file at the limit", "a.go", header + strings.Repeat("\n", 396), nil},
		{"file over the limit", "a.go", header + strings.Repeat("\n", 397), []string{
			"internal/arch/a.go: 401 lines; the limit is 400: split it by concept (size)",
		}},
		{"test file over the limit", "a_test.go", header + strings.Repeat("\n", 397), []string{
			"internal/arch/a_test.go: 401 lines; the limit is 400: split it by concept (size)",
		}},
		{"function at the limit", "a.go", header + body(68), nil},
		{"function over the limit", "a.go", header + body(69), []string{
			"internal/arch/a.go:5: long has 71 lines; the limit is 70 (size)",
		}},
		{"long function of a test", "a_test.go", header + body(200), nil},
		{"line at the limit", "a.go", header + line(100), nil},
		{"line over the limit", "a.go", header + line(101), []string{
			"internal/arch/a.go:5: 101 columns; the limit is 100 (size)",
		}},
		{"long line of a test", "a_test.go", header + line(101), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, err := Check(fstest.MapFS{
				"internal/arch/doc.go":     {Data: []byte(spdx + "// Package arch is here.\npackage arch\n")},
				"internal/arch/" + tt.file: {Data: []byte(tt.source)},
			})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range found {
				got = append(got, v.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("breaches (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBrokenSourceIsAnError(t *testing.T) {
	_, err := Check(fstest.MapFS{"kv/kv.go": {Data: []byte("package")}})
	if err == nil || !strings.Contains(err.Error(), "kv/kv.go") {
		t.Fatalf("error %v does not name the file", err)
	}
}

// TestTableIsSound checks the data itself: no room twice, every name in a list is a room.
func TestTableIsSound(t *testing.T) {
	rooms := make(map[string]Room)
	for _, r := range Rooms() {
		if _, twice := rooms[r.Path]; twice {
			t.Errorf("room %s stands twice in the table", r.Path)
		}
		rooms[r.Path] = r
		if r.Core && r.Row == side {
			t.Errorf("room %s is a core without a row", r.Path)
		}
	}
	for _, r := range Rooms() {
		for _, name := range append(r.Imports, r.TestImports...) {
			if _, ok := rooms[name]; !ok && !strings.HasSuffix(name, "...") {
				t.Errorf("room %s may import %s, which is no room", r.Path, name)
			}
		}
	}
}
