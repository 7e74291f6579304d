// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/dyno-kv/dyno/jepsen/disk"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(play(role))
	}
	goleak.VerifyTestMain(m)
}

// mount mounts a disk for the length of a test, and skips the test where none can be.
func mount(t testing.TB, cfg disk.Config) *disk.Disk {
	t.Helper()
	dir := t.TempDir()
	d, err := disk.Mount(dir, cfg)
	if err != nil {
		if os.Getenv("DYNO_RIG") == "require" {
			t.Fatal(err)
		}
		t.Skip("no disk can be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// put writes a file, and syncs it and its directory where it is told to.
func put(t testing.TB, path string, data []byte, sync bool) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(data)
	if err == nil && sync {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// has checks what a file holds; nil: that it is not there.
func has(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	switch {
	case want == nil && errors.Is(err, os.ErrNotExist):
	case err != nil:
		t.Errorf("%s: %v", filepath.Base(path), err)
	case want == nil:
		t.Errorf("%s is there, with %d bytes", filepath.Base(path), len(got))
	case !bytes.Equal(got, want):
		t.Errorf("%s holds %.40q (%d bytes), want %.40q", filepath.Base(path), got, len(got), want)
	}
}

func loss(t *testing.T, d *disk.Disk, torn bool) disk.Lost {
	t.Helper()
	lost, err := d.PowerLoss(torn)
	if err != nil {
		t.Fatal(err)
	}
	return lost
}

func TestPowerLossTakesWhatWasNotSyncedFromTheKernelsCachesToo(t *testing.T) {
	d := mount(t, disk.Config{})
	at := func(name string) string { return filepath.Join(d.Dir(), name) }
	old, young := bytes.Repeat([]byte("old "), 5000), bytes.Repeat([]byte("new "), 6000)
	put(t, at("both"), old, true)
	put(t, at("unsynced"), young, false)
	put(t, at("both"), young, false)
	has(t, at("both"), young) // which also fills the page cache
	has(t, at("unsynced"), young)
	lost := loss(t, d, false)
	has(t, at("both"), old)
	has(t, at("unsynced"), nil)
	if lost.Files != 2 || lost.Names != 1 || lost.Bytes < int64(len(young)) {
		t.Errorf("lost %+v", lost)
	}
	if c := d.Counts(); c.PowerLosses != 1 || c.LostBytes != lost.Bytes || c.Syncs != 1 {
		t.Errorf("counts %+v", c)
	}
}

func TestWhatWasOpenBeforeAPowerLossChangesNothingAfterIt(t *testing.T) {
	d := mount(t, disk.Config{})
	path := filepath.Join(d.Dir(), "f")
	put(t, path, []byte("synced"), true)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	loss(t, d, false)
	if _, err := f.WriteAt([]byte("LATE"), 0); err == nil {
		t.Error("a write through a file of before the power loss succeeds")
	}
	if err := f.Sync(); err == nil {
		t.Error("a sync through a file of before the power loss succeeds")
	}
	if _, err := f.ReadAt(make([]byte, 10), 0); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a read through a file of before the power loss: %v", err)
	}
	has(t, path, []byte("synced"))
}

func TestTornSectorsAreOldOrNewAndOfBothKinds(t *testing.T) {
	d := mount(t, disk.Config{Seed: 3})
	path := filepath.Join(d.Dir(), "f")
	const sectors = 512
	put(t, path, bytes.Repeat([]byte{'o'}, sectors*512), true)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Repeat([]byte{'n'}, sectors*512)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	lost := loss(t, d, true)
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	count := map[byte]int{}
	for len(got) > 0 {
		if s := got[:512]; s[0] != 'o' && s[0] != 'n' || strings.Trim(string(s), string(s[:1])) != "" {
			t.Fatalf("a sector is %q", s)
		}
		count[got[0]]++
		got = got[512:]
	}
	if count['o'] < sectors/3 || count['n'] < sectors/3 || count['o']+count['n'] != sectors {
		t.Errorf("sectors: %v", count)
	}
	if lost.Bytes != int64(count['o'])*512 || lost.Kept != int64(count['n'])*512 {
		t.Errorf("sectors %v, lost %+v", count, lost)
	}
}

func TestNamesNeedASyncOfTheirDirectoryWhereItIsStrict(t *testing.T) {
	for strict, want := range map[bool][]byte{false: []byte("x"), true: nil} {
		d := mount(t, disk.Config{Strict: strict})
		put(t, filepath.Join(d.Dir(), "f"), []byte("x"), true)
		put(t, filepath.Join(d.Dir(), "g"), []byte("y"), true)
		dir, err := os.Open(d.Dir())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(d.Dir(), "g"), filepath.Join(d.Dir(), "h")); err != nil {
			t.Fatal(err)
		}
		loss(t, d, false)
		_ = dir.Close()
		has(t, filepath.Join(d.Dir(), "f"), want)
		has(t, filepath.Join(d.Dir(), "h"), nil)
	}
}

func TestFaultsAreAnsweredAndCounted(t *testing.T) {
	d := mount(t, disk.Config{Capacity: 1 << 20})
	path := filepath.Join(d.Dir(), "f")
	put(t, path, []byte("first"), true)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(s string, off int64) error { _, err := f.WriteAt([]byte(s), off); return err }

	d.Set(disk.Faults{FailSyncAfter: 2})
	err1, err2 := f.Sync(), errors.Join(write("SECOND", 0), f.Sync())
	if err1 != nil || !errors.Is(err2, unix.EIO) {
		t.Errorf("the second sync should fail: %v, %v", err1, err2)
	}
	if err := f.Sync(); err != nil {
		t.Errorf("the sync after the failed one: %v", err)
	}
	d.Set(disk.Faults{FailWriteAfter: 1})
	if err := write("x", 0); !errors.Is(err, unix.EIO) {
		t.Errorf("write: %v", err)
	}
	d.Set(disk.Faults{FailReadAfter: 1})
	if _, err := f.ReadAt(make([]byte, 4), 0); !errors.Is(err, unix.EIO) {
		t.Errorf("read: %v", err)
	}
	d.Set(disk.Faults{Free: 8 << 10})
	var s unix.Statfs_t
	if err := unix.Statfs(d.Dir(), &s); err != nil || s.Bavail*uint64(s.Bsize) != 8<<10 {
		t.Errorf("%d blocks are free, %v", s.Bavail, err)
	}
	if err := write(strings.Repeat("z", 16<<10), 4096); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("write over what is free: %v", err)
	}
	d.Set(disk.Faults{Free: -1})
	if err := write("z", 4096); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("write with nothing free: %v", err)
	}
	if err := write("fourth", 0); err != nil {
		t.Errorf("write in place with nothing free: %v", err)
	}
	d.Set(disk.Faults{})
	if err := write(strings.Repeat("z", 2<<20), 0); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("write over the capacity: %v", err)
	}
	d.Set(disk.Faults{SlowSync: 50 * time.Millisecond})
	if begin := time.Now(); f.Sync() != nil || time.Since(begin) < 50*time.Millisecond {
		t.Errorf("a slow sync took %v", time.Since(begin))
	}
	c := d.Counts()
	if c.FailedSyncs != 1 || c.FailedWrites != 1 || c.FailedReads < 1 || c.SlowSyncs != 1 ||
		c.NoSpace < 3 {
		t.Errorf("counts %+v", c)
	}
}

func TestAFailedSyncLosesWhatALaterOneSaysIsThere(t *testing.T) {
	d := mount(t, disk.Config{})
	path := filepath.Join(d.Dir(), "f")
	put(t, path, bytes.Repeat([]byte{'o'}, 8192), true)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d.Set(disk.Faults{FailSyncAfter: 1})
	for i, want := range []error{unix.EIO, nil} {
		if _, err := f.WriteAt(bytes.Repeat([]byte{'n'}, 4096), int64(i)*4096); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); !errors.Is(err, want) {
			t.Errorf("sync %d: %v, want %v", i, err, want)
		}
	}
	loss(t, d, false)
	want := append(bytes.Repeat([]byte{'o'}, 4096), bytes.Repeat([]byte{'n'}, 4096)...)
	has(t, path, want)
}

func TestDisksAreCopiedRestoredClonedAndWiped(t *testing.T) {
	d, other := mount(t, disk.Config{}), mount(t, disk.Config{})
	at := func(d *disk.Disk, name string) string { return filepath.Join(d.Dir(), name) }
	if err := os.Mkdir(at(d, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, at(d, "dir/f"), []byte("then"), false)
	backup, err := d.Copy()
	if err != nil {
		t.Fatal(err)
	}
	put(t, at(d, "dir/f"), []byte("now"), true)
	put(t, at(d, "g"), []byte("more"), true)
	if err := errors.Join(other.Restore(backup), d.Restore(backup)); err != nil {
		t.Fatal(err)
	}
	for _, x := range []*disk.Disk{d, other} {
		loss(t, x, false) // what was restored lasts
		has(t, at(x, "dir/f"), []byte("then"))
		has(t, at(x, "g"), nil)
	}
	put(t, at(other, "dir/f"), []byte("of the clone"), true)
	has(t, at(d, "dir/f"), []byte("then"))
	if err := d.Wipe(); err != nil {
		t.Fatal(err)
	}
	has(t, at(d, "dir"), nil)
	has(t, at(other, "dir/f"), []byte("of the clone"))
}

func TestFlippedBitsAreReadAndLast(t *testing.T) {
	d := mount(t, disk.Config{})
	was := bytes.Repeat([]byte("quiet"), 4000)
	for _, name := range []string{"a.sst", "b.log"} {
		put(t, filepath.Join(d.Dir(), name), was, true)
		has(t, filepath.Join(d.Dir(), name), was)
	}
	n, err := d.Flip(rand.New(rand.NewPCG(1, 2)), 3, func(path string) bool {
		return strings.HasSuffix(path, ".sst")
	})
	if err != nil || n != 3 || d.Counts().Flips != 3 {
		t.Fatalf("%d bits, %v, %+v", n, err, d.Counts())
	}
	for range 2 {
		got, err := os.ReadFile(filepath.Join(d.Dir(), "a.sst"))
		differ := 0
		for i := range got {
			if got[i] != was[i] {
				differ++
			}
		}
		if err != nil || differ == 0 || differ > 3 || len(got) != len(was) {
			t.Errorf("%d bytes of %d differ, %v", differ, len(got), err)
		}
		has(t, filepath.Join(d.Dir(), "b.log"), was)
		loss(t, d, false)
	}
}

func TestADirectoryThatIsNotEmptyIsRefused(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "f"), nil, false)
	if _, err := disk.Mount(dir, disk.Config{}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("it says %v", err)
	}
}

// TestADiskIsMountedInAUserNamespace: whoever is not root has no other way. Nothing that it
// mounts is seen outside.
func TestADiskIsMountedInAUserNamespace(t *testing.T) {
	dir := t.TempDir()
	cmd := another(t, "mount", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig:   syscall.SIGKILL,
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case !errors.As(err, &exit) || strings.Contains(string(out), "this needs /dev/fuse"):
		if os.Getenv("DYNO_RIG") == "require" {
			t.Fatalf("%v: %s", err, out)
		}
		t.Skipf("no disk can be mounted in a user namespace here: %v: %s", err, out)
	default:
		t.Errorf("%v: %s", err, out)
	}
	has(t, filepath.Join(dir, "f"), nil)
}
