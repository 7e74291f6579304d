// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dyno-kv/dyno/jepsen/disk"
)

// A process with a disk's device would keep the mount after the rig has been killed.
func TestNoProcessInheritsTheDeviceOfADisk(t *testing.T) {
	d := mount(t, disk.Config{})
	t.Run("of a new disk", testInheritsNone)
	d.PowerLoss(false)
	t.Run("after a loss of power", testInheritsNone)
}

func testInheritsNone(t *testing.T) {
	for _, to := range inherited(t) {
		if to == "/dev/fuse" {
			t.Error("a child has the device open")
		}
	}
}

// inherited is what a child has open.
func inherited(t *testing.T) (open []string) {
	t.Helper()
	cmd := exec.Command("cat") // until its input ends
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = input.Close()
		_ = cmd.Wait()
	}()
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", cmd.Process.Pid))
	if err != nil || len(all) < 3 {
		t.Fatalf("%v, %v: it must have its standard streams", all, err)
	}
	for _, fd := range all {
		if to, err := os.Readlink(fd); err == nil { // its loader closes what it has read
			open = append(open, to)
		}
	}
	return open
}

// A node may start in the middle of another's loss of power.
func TestNoProcessInheritsAnythingOfADiskThatIsBeingMounted(t *testing.T) {
	d := mount(t, disk.Config{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			d.PowerLoss(false)
		}
	}()
	for {
		for _, to := range inherited(t) {
			if to == "/dev/fuse" || filepath.Base(to) == ".go-fuse-epoll-hack" {
				t.Errorf("a child has %s open", to)
			}
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
