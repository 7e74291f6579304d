// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// made pretends that a folder was made an hour ago.
func made(t *testing.T, path string) {
	t.Helper()
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
}

func TestWhatNobodyHoldsIsRemoved(t *testing.T) {
	parent := t.TempDir()
	mine, err := makeFolder(parent, runFolders)
	if err != nil {
		t.Fatal(err)
	}
	made(t, mine.path)
	left := filepath.Join(parent, "dyno-sim-left")
	fresh := filepath.Join(parent, "dyno-sim-fresh") // whoever made it will hold it soon
	other := filepath.Join(parent, "other")
	for _, path := range []string{left, fresh, other, filepath.Join(left, "disks")} {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	made(t, left)
	made(t, other)
	if err := os.Symlink(other, filepath.Join(parent, "dyno-sim-link")); err != nil {
		t.Fatal(err)
	}
	removeLeft(parent, runFolders)
	if _, err := os.Stat(left); err == nil {
		t.Error("what was left is still there")
	}
	for _, path := range []string{mine.path, fresh, other} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if err := mine.remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(mine.path); err == nil {
		t.Error("it did not remove its own")
	}
}
