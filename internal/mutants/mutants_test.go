// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

func TestParseList(t *testing.T) {
	const whole = "file: kv/a.go\nname: one\n- x++\n+ x--\n"
	tests := []struct {
		name, text, fault string
		want              []mutant
	}{
		{name: "nothing", text: "# only a comment\n---\n\n"},
		{name: "one", text: whole, want: []mutant{
			{pkg: "kv", file: "kv/a.go", name: "one", old: "x++", new: "x--"},
		}},
		{
			name: "two, with a comment, a place and a dropped line",
			text: whole + "---\n# why\nfile: kv/b.go\nname: two\nnth: 3\n-   return -1  \n+\n---\n",
			want: []mutant{
				{pkg: "kv", file: "kv/a.go", name: "one", old: "x++", new: "x--"},
				{pkg: "kv", file: "kv/b.go", name: "two", old: "return -1", nth: 3},
			},
		},
		{name: "no new line", text: "file: kv/a.go\nname: one\n- x++\n", fault: "are needed"},
		{name: "no name", text: "file: kv/a.go\n- x++\n+ x--\n", fault: "are needed"},
		{name: "bad place", text: "nth: 0\n" + whole, fault: "nth is a number from 1"},
		{name: "two old lines", text: whole + "- y\n", fault: `"- y" is not`},
		{name: "unknown word", text: "where: here\n" + whole, fault: `"where: here" is not`},
		{name: "same name", text: whole + "---\n" + whole, fault: "stands twice"},
		{name: "same line", text: "file: kv/a.go\nname: one\n- x\n+ x\n", fault: "changes nothing"},
		{name: "other package", text: "file: ring/a.go\nname: one\n- x\n+ y\n", fault: "not of package"},
		{name: "a test", text: "file: kv/a_test.go\nname: one\n- x\n+ y\n", fault: "is a test"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseList("kv", tt.text)
			if tt.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fault) {
					t.Fatalf("error %v does not say %q", err, tt.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(mutant{})); diff != "" {
				t.Errorf("mutants (-want +got):\n%s", diff)
			}
		})
	}
}

func TestApplyChangesOneLineAndKeepsItsIndentation(t *testing.T) {
	const source = "func f() {\n\tx++\n\t\tx++\n\treturn\n}\n"
	tests := []struct {
		name, fault, want string
		mutant            mutant
	}{
		{name: "only place", mutant: mutant{old: "return", new: "panic(1)"},
			want: "func f() {\n\tx++\n\t\tx++\n\tpanic(1)\n}\n"},
		{name: "second place", mutant: mutant{old: "x++", new: "x--", nth: 2},
			want: "func f() {\n\tx++\n\t\tx--\n\treturn\n}\n"},
		{name: "dropped", mutant: mutant{old: "return"},
			want: "func f() {\n\tx++\n\t\tx++\n\t\n}\n"},
		{name: "nowhere", mutant: mutant{old: "y++"}, fault: "has no line"},
		{name: "two places", mutant: mutant{old: "x++"}, fault: "say which by nth"},
		{name: "no third place", mutant: mutant{old: "x++", nth: 3}, fault: "has only 2 lines"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.mutant.apply(source)
			if tt.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fault) {
					t.Fatalf("error %v does not say %q", err, tt.fault)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

// TestRunTellsMutantsApart runs the whole command on a module of a few lines, whose
// list has one mutant of each verdict, and checks that the module is left as it was.
func TestRunTellsMutantsApart(t *testing.T) {
	root := unpack(t, "testdata/tiny.txtar")
	before := snapshot(t, root)
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"-root", root, "-min", "6", "-timeout", "3s", "./sum"},
		&stdout, &stderr)
	if code != exitFailed {
		t.Errorf("exit code %d, want %d\n%s%s", code, exitFailed, &stdout, &stderr)
	}
	for _, want := range []string{
		`sum +killed +\S+ +adds one less`,
		`sum +killed \(hung\) +\S+ +never ends`,
		`sum +SURVIVED +\S+ +forgets the empty list`,
		`sum +DOES NOT APPLY +\S+ +changes a line that is gone`,
		`sum +DOES NOT COMPILE +\S+ +is no Go`,
		`5 mutants, 2 killed, 3 not`,
	} {
		if !regexp.MustCompile(want).MatchString(stdout.String()) {
			t.Errorf("the table lacks %q:\n%s", want, &stdout)
		}
	}
	for _, want := range []string{
		"sum has 5 mutants; 6 are asked for", "3 of 5 mutants were not killed", "[5/5]",
	} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr lacks %q:\n%s", want, &stderr)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, root)); diff != "" {
		t.Errorf("the module was touched (-before +after):\n%s", diff)
	}
}

// TestRunPassesWhereAllAreKilled also shows that a failing test without any mutant is
// not taken for a killed one.
func TestRunPassesWhereAllAreKilled(t *testing.T) {
	root := unpack(t, "testdata/tiny.txtar")
	list := filepath.Join(root, "sum", "testdata", "mutants.txt")
	one := "file: sum/sum.go\nname: adds one less\n- total += x\n+ total += x - 1\n"
	write(t, list, one)
	args := []string{"-root", root, "-min", "1", "sum"}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), args, &stdout, &stderr); code != 0 {
		t.Errorf("exit code %d, want 0\n%s%s", code, &stdout, &stderr)
	}
	write(t, filepath.Join(root, "sum", "red_test.go"),
		"package sum\n\nimport \"testing\"\n\nfunc TestRed(t *testing.T) { t.Fail() }\n")
	if code := run(t.Context(), args, &stdout, &stderr); code != exitFailed ||
		!strings.Contains(stderr.String(), "fail without any mutant") {
		t.Errorf("exit code %d, stderr %s", code, &stderr)
	}
}

func TestWrongArgumentsAreUsageErrors(t *testing.T) {
	for _, args := range [][]string{nil, {"-parallel", "0", "kv"}, {"-nonsense"}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != exitUsage {
			t.Errorf("%q: exit code %d, want %d", args, code, exitUsage)
		}
	}
}

func unpack(t *testing.T, name string) string {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := txtar.Write(archive, root); err != nil {
		t.Fatal(err)
	}
	return root
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func snapshot(t *testing.T, root string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
