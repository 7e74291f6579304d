// SPDX-License-Identifier: Apache-2.0

//go:build failpoints

package main

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/dyno-kv/dyno/storage"
)

func TestTheFileSaysAtWhichPassTheProcessEnds(t *testing.T) {
	crashed := errors.New("crashed")
	crash := func() error { return crashed }
	set, err := crashAt(storage.PointPublish+" 3\n", crash)
	if err != nil {
		t.Fatal(err)
	}
	for pass := 1; pass <= 4; pass++ {
		if got := errors.Is(set.Hit(storage.PointPublish), crashed); got != (pass == 3) {
			t.Errorf("pass %d: crashed %t", pass, got)
		}
		if err := set.Hit(storage.PointCommit); err != nil {
			t.Errorf("another point: %v", err)
		}
	}
	if set, err := crashAt("", crash); set != nil || err != nil {
		t.Errorf("of an empty file: %v, %v", set, err)
	}
	for _, text := range []string{
		"\n", storage.PointPublish, storage.PointPublish + " 0\n", "x/y 1\n",
	} {
		if _, err := crashAt(text, crash); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestAProcessWithoutItsFileDoesNotStart(t *testing.T) {
	t.Setenv(crashVariable, filepath.Join(t.TempDir(), "gone"))
	if _, err := failpoints(); err == nil {
		t.Error("it starts")
	}
	t.Setenv(crashVariable, "")
	if set, err := failpoints(); set != nil || err != nil {
		t.Errorf("without the variable: %v, %v", set, err)
	}
}
