// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestNewFilesAreSyncedIntoTheirDirectory is TESTING result 8: the directory is synced
// after a commit that made a file, and left alone after others.
func TestNewFilesAreSyncedIntoTheirDirectory(t *testing.T) {
	dir := t.TempDir()
	d, err := openSyncedDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	settle := func() {
		t.Helper()
		time.Sleep(2 * clockTick)
		if err := d.syncIfChanged(); err != nil {
			t.Fatal(err)
		}
		if !d.unchanged(t) {
			t.Error("a directory at rest is synced again and again")
		}
	}
	settle()
	for i := range 3 {
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if d.unchanged(t) {
			t.Error("a new file goes unnoticed")
		}
		if err := d.syncIfChanged(); err != nil {
			t.Fatal(err)
		}
		if d.unchanged(t) && !longPast(t, name) {
			t.Error("a change within the same tick would go unnoticed")
		}
		settle()
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if err := d.syncIfChanged(); err == nil {
		t.Error("a directory that can not be looked at is no error")
	}
}

// longPast reports whether the tick in which a file was made is over by now: on a busy
// machine a sync may take that long.
func longPast(t *testing.T, name string) bool {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return time.Since(info.ModTime()) > clockTick
}

// unchanged reports whether the next syncIfChanged would do nothing.
func (d *syncedDir) unchanged(t *testing.T) bool {
	t.Helper()
	info, err := d.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	<-d.turn
	defer func() { d.turn <- struct{}{} }()
	return info.ModTime().Equal(d.synced)
}

// TestAChangeDuringASlowSyncIsSyncedToo: the sync takes longer than a tick, and another
// file is made meanwhile, in the same tick as the change that is synced.
func TestAChangeDuringASlowSyncIsSyncedToo(t *testing.T) {
	dir := t.TempDir()
	d, err := openSyncedDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	tick := time.Now().Add(200 * time.Millisecond) // not over when it is looked at
	change := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Chtimes(dir, tick, tick); err != nil {
			t.Error(err)
		}
	}
	change("first")
	syncs := 0
	d.fsync = func() error {
		if syncs++; syncs == 1 {
			change("second")
			time.Sleep(time.Until(tick) + 2*clockTick)
		}
		return nil
	}
	for range 2 {
		if err := d.syncIfChanged(); err != nil {
			t.Fatal(err)
		}
	}
	if syncs != 2 {
		t.Errorf("%d syncs; the second file was made during the first of them", syncs)
	}
}

// TestAFailedSyncOfADirectoryIsToldToEverybody: the kernel tells it once.
func TestAFailedSyncOfADirectoryIsToldToEverybody(t *testing.T) {
	d, err := openSyncedDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	d.synced = time.Time{}
	eio := errors.New("input/output error")
	failures := []error{eio, nil, nil}
	d.fsync = func() error {
		err := failures[0]
		failures = failures[1:]
		return err
	}
	for who := range 3 {
		if err := d.syncIfChanged(); !errors.Is(err, eio) {
			t.Errorf("call %d: %v, want the error of the first", who, err)
		}
	}
}
