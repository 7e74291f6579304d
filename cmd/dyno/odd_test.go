// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dyno-kv/dyno/kv"
)

// cmdOddTree makes files of names that are bytes and nothing else: oddtree DIR.
func cmdOddTree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: oddtree DIR")
	}
	for i, name := range []string{
		"new\nline", "\xff\xfe", "\x1b[31mred", "-rf", `"quoted"`, `back\slash`, "tab\there", " ",
		"...", "..a", "ä", "a\u0308", strings.Repeat("n", 255), "d\n/d\xff/" + strings.Repeat("m", 255),
	} {
		path := filepath.Join(ts.MkAbs(args[0]), name)
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
		ts.Check(os.WriteFile(path, bytes.Repeat([]byte{0, 0xff, '\n', byte(i)}, i), 0o644))
	}
}

// cmdOddBig makes a file that is too large, of an odd name: oddbig DIR.
func cmdOddBig(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: oddbig DIR")
	}
	path := filepath.Join(ts.MkAbs(args[0]), "big\n\x1b[31m")
	ts.Check(os.WriteFile(path, make([]byte, kv.MaxValue+1), 0o644))
}

// cmdBadLines makes a file with 200 values of one key, and a line that is no UTF-8:
// badlines FILE.
func cmdBadLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: badlines FILE")
	}
	var b bytes.Buffer
	for i := range 200 {
		fmt.Fprintf(&b, "{\"key\": \"twice\", \"value\": \"%d\"}\n", i)
	}
	b.WriteString("{\"key\": \"caf\xe9\", \"value\": \"1\"}\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o644))
}

func TestErrorsAreShownWithoutCommandsToTheTerminal(t *testing.T) {
	err := errors.New("open a\nb\x1b[31m\xff: no")
	if got, want := describe(err), "open a; b\ufffd[31m\ufffd: no"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
