// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheTableHasMediansAndRatiosOfPairs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results")
	text := `goos: linux
BenchmarkPut/trees=false-3   100   30.0 cpu-µs/op   10 B/op
BenchmarkPut/trees=true-3    100   33.0 cpu-µs/op   10 B/op
BenchmarkPut/trees=false-3   100   20.0 cpu-µs/op   10 B/op
BenchmarkHints 	1	100000 hints	12345.6 hints/s
PASS
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(t.Context(), []string{"table", file}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| Put/trees=false | cpu-µs/op | 25 | 20 | 30 | 2 |",
		"| Put/trees=true | cpu-µs/op | 33 | 33 | 33 | 1 | 1.320 of Put/trees=false |",
		"| Hints | hints/s | 1.235e+04 |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestWhatIsNoNumberIsAnError(t *testing.T) {
	r := &results{values: make(map[line][]float64)}
	if err := r.add(strings.NewReader("BenchmarkX 1 many puts/s\n")); err == nil {
		t.Error("it was taken")
	}
	if err := run(t.Context(), []string{"hints"}, &strings.Builder{}); err == nil {
		t.Error("no directory is needed")
	}
}
