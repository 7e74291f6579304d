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
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", cmd.Process.Pid))
	if err != nil || len(open) < 3 {
		t.Fatalf("%v, %v: it must have its standard streams", open, err)
	}
	for _, fd := range open {
		if to, err := os.Readlink(fd); err != nil || to == "/dev/fuse" {
			t.Errorf("%s is %s, %v", fd, to, err)
		}
	}
}
