// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dyno-kv/dyno/jepsen/disk"
)

// looks is longer than a sync that was interrupted waits until it is looked at again.
const looks = 20 * time.Millisecond

// stalled starts a process that syncs a file, and waits until it does.
func stalled(t *testing.T, d *disk.Disk, path string) *exec.Cmd {
	t.Helper()
	before := d.Counts().SlowSyncs
	cmd := exec.Command("sync", path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); d.Counts().SlowSyncs == before; {
		if time.Now().After(end) {
			t.Fatal("it does not sync")
		}
		time.Sleep(time.Millisecond)
	}
	return cmd
}

// TestASyncInTheMiddleOfWhichItsProcessIsKilledComesToNothing: what it was to make last is
// lost with the power.
func TestASyncInTheMiddleOfWhichItsProcessIsKilledComesToNothing(t *testing.T) {
	d := mount(t, disk.Config{})
	path := filepath.Join(d.Dir(), "f")
	put(t, path, []byte("old"), true)
	put(t, path, []byte("new"), false)
	d.Set(disk.Faults{Stall: true})
	cmd := stalled(t, d, path)
	if err := cmd.Process.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it ended by itself")
	}
	if c := d.Counts(); c.CutSyncs != 1 || c.Syncs != 1 {
		t.Errorf("counts %+v", c)
	}
	loss(t, d, false)
	has(t, path, []byte("old"))
}

// TestASignalThatDoesNotKillDisturbsNoSync: the Go runtime sends some to its own threads, and
// few programs expect that a sync can be interrupted.
func TestASignalThatDoesNotKillDisturbsNoSync(t *testing.T) {
	d := mount(t, disk.Config{})
	path := filepath.Join(d.Dir(), "f")
	put(t, path, []byte("new"), false)
	d.Set(disk.Faults{Stall: true})
	cmd := stalled(t, d, path)
	for _, s := range []unix.Signal{unix.SIGSTOP, unix.SIGCONT} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(looks) // it has been looked at
	}
	d.Set(disk.Faults{})
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if c := d.Counts(); c.CutSyncs != 0 || c.Syncs != 1 {
		t.Errorf("counts %+v", c)
	}
	loss(t, d, false)
	has(t, path, []byte("new"))
}
