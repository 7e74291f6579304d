// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fillMemtables commits until that fails, or for as long as it should take.
func fillMemtables(b *Badger, ts *uint64) error {
	value := strings.Repeat("f", 500<<10)
	for range 3 * MinMemtable / len(value) {
		*ts++
		if err := b.Commit(*ts, []Write{set(fmt.Sprintf("filler-%d", *ts), value)}); err != nil {
			return err
		}
	}
	return nil
}

// TestAFlushThatFailsStopsTheEngine: Badger only logs it and tries again.
func TestAFlushThatFailsStopsTheEngine(t *testing.T) {
	dir := filepath.Join(ramDir(t), "data")
	b := openBadger(t, dir)
	mustCommit(t, b, 1, set("k", "v"))
	// In the way of the first table, which must be a new file.
	if err := os.WriteFile(filepath.Join(dir, "000001.sst"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ts := uint64(1)
	err := fillMemtables(b, &ts)
	for end := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(end); {
		ts++
		err = b.Commit(ts, []Write{set("k", "v")})
		time.Sleep(time.Millisecond)
	}
	if !errors.Is(err, os.ErrExist) && (err == nil || !strings.Contains(err.Error(), "memtable")) {
		t.Fatalf("commits go on: %v", err)
	}
	if err := b.Commit(ts+1, []Write{set("k", "w")}); err == nil {
		t.Error("a commit after the failure")
	}
	if err := b.Tend(); err == nil {
		t.Error("tended after the failure")
	}
	if err := b.Close(); err != nil {
		t.Errorf("the second try of the flush was in nobody's way: %v", err)
	}
	b = openBadger(t, dir)
	defer b.Close()
	if got := get(t, b, "k", 1); got != "v" {
		t.Errorf("k is %q, want v", got)
	}
}

// TestCloseEndsOnADiskThatIsGone: Badger tries for ever to write its memtables.
func TestCloseEndsOnADiskThatIsGone(t *testing.T) {
	dir := filepath.Join(ramDir(t), "data")
	b := openBadger(t, dir)
	b.closeBound = 50 * time.Millisecond
	mustCommit(t, b, 1, set("k", "v"))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	ts := uint64(1)
	if err := fillMemtables(b, &ts); err == nil {
		t.Fatal("commits go on without a directory")
	}
	if err := b.Close(); !errors.Is(err, errStuck) {
		t.Errorf("%v, want errStuck", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	<-b.ended // at the next try
}

// TestWhatBadgerOnlyLogsIsAFailure has the lines of the release in go.mod.
func TestWhatBadgerOnlyLogsIsAFailure(t *testing.T) {
	eio := errors.New("input/output error")
	for _, tc := range []struct {
		format  string
		args    []any
		failure bool
	}{
		{"error flushing memtable to disk: %v, retrying", []any{eio}, true},
		{"Error while curlf sync: %v\n", []any{eio}, true},
		{"[Compactor: %d] LOG Compact FAILED with error: %+v: %+v", []any{1, eio, "0 -> 6"}, true},
		{
			"[Compactor: %d] LOG Compact FAILED with error: %+v: %+v",
			[]any{1, errors.New("there is a non-empty level 5 above base level 6"), "0 -> 6"}, false,
		},
		{"Unable to read: Key: %v, Version : %v", []any{"k", 7}, false},
	} {
		b := openBadger(t, filepath.Join(ramDir(t), "data"))
		if log := b.db.Opts().Logger; strings.HasPrefix(tc.format, "[") {
			log.Warningf(tc.format, tc.args...)
		} else {
			log.Errorf(tc.format, tc.args...)
		}
		if err := b.Commit(1, []Write{set("k", "v")}); (err != nil) != tc.failure {
			t.Errorf("commit after %q: %v", tc.format, err)
		}
		if err := b.Tend(); (err != nil) != tc.failure {
			t.Errorf("tend after %q: %v", tc.format, err)
		}
		if err := b.Close(); err != nil {
			t.Errorf("close after %q: %v", tc.format, err)
		}
	}
}

// TestPagesThatCanNotBeGivenBackStopNothing: it is no write that fails.
func TestPagesThatCanNotBeGivenBackStopNothing(t *testing.T) {
	b := openBadger(t, filepath.Join(ramDir(t), "data"))
	defer b.Close()
	b.resident, b.maps = 0, filepath.Join(t.TempDir(), "missing")
	if err := b.Tend(); err != nil {
		t.Errorf("%v, want nothing", err)
	}
	if b.trimmed.IsZero() {
		t.Error("nothing was tried: the test tests nothing")
	}
}
