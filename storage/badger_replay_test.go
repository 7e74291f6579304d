// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestReplayedLogsAreTablesBeforeAnythingIsServed: a log that a killed process has left
// may stand in the page cache alone, since a failed sync is told once. What is replayed
// from it must not be relied on before it is in a table that was synced.
func TestReplayedLogsAreTablesBeforeAnythingIsServed(t *testing.T) {
	root := ramDir(t)
	dir, killed := filepath.Join(root, "data"), filepath.Join(root, "killed")
	b := openBadger(t, dir)
	value := make([]byte, 256<<10)
	for ts := uint64(1); ts <= 20; ts++ { // so much that writing the table takes a while
		mustCommit(t, b, ts, Write{Key: fmt.Appendf(nil, "%d", ts), Value: value})
	}
	// What a kill would leave.
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(killed, "LOCK")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	b = openBadger(t, killed)
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	logs, err := filepath.Glob(filepath.Join(killed, "*.mem"))
	if err != nil || len(logs) != 1 {
		t.Errorf("logs %q, %v: the replayed one is still needed", logs, err)
	}
	tables, err := filepath.Glob(filepath.Join(killed, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Errorf("tables %q, %v", tables, err)
	}
	for ts := uint64(1); ts <= 20; ts++ {
		if got := get(t, b, fmt.Sprint(ts), 20); len(got) != len(value) {
			t.Errorf("key %d has %d bytes", ts, len(got))
		}
	}
}
