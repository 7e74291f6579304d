// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGenPrintsWhereTheOverlayIs(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"-cache", t.TempDir()}, &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	if _, err := os.Stat(strings.TrimSuffix(out.String(), "\n")); err != nil {
		t.Error(err)
	}
}

func TestGenRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no cache":      {nil, 2, "-cache"},
		"an argument":   {[]string{"-cache", dir, "more"}, 2, "-cache"},
		"unknown flag":  {[]string{"-seed", "7"}, 2, "-seed"},
		"no go command": {[]string{"-cache", dir, "-go", filepath.Join(dir, "go")}, 1, dir},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(c.args, &out, &errs)
			if code != c.code || !strings.Contains(errs.String(), c.says) || out.Len() > 0 {
				t.Errorf("exit code %d, printed %q and %q; want %d and %q",
					code, &out, &errs, c.code, c.says)
			}
		})
	}
}
