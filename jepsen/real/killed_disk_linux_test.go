// SPDX-License-Identifier: Apache-2.0

package real

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dyno-kv/dyno/jepsen/disk"
	"github.com/dyno-kv/dyno/jepsen/sandbox"
)

// killedDir says where the rig mounts its disk: where the test removes it.
const killedDir = "DYNO_REAL_TEST_KILLED_DIR"

// A rig in a sandbox is killed that has a disk, and a process which has written to a map of a
// file there, as every node does. A process that ends waits for what it has written so; once
// the one that would take it is dead, it must not.
func TestNothingIsLeftOfADiskWhenItsRigIsKilled(t *testing.T) {
	if os.Getenv(killedDir) == "" {
		t.Setenv(killedDir, t.TempDir())
	}
	killed(t, diskRig, writeMapped, 1)
}

func diskRig(t *testing.T, token string) {
	status, err := sandbox.Enter()
	if err != nil || !status.Inside {
		fmt.Printf("rig: no sandbox: %+v, %v\n", status, err)
		return
	}
	if _, err := disk.Mount(os.Getenv(killedDir), disk.Config{}); err != nil {
		fmt.Printf("rig: no disk: %v\n", err)
		return
	}
	cmd := again(t.Name(), token+"/process")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		fmt.Printf("rig: no process: %v\n", err)
		return
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "process: ") {
	}
	if lines.Text() != "process: ready" {
		fmt.Printf("rig: the process said %q\n", lines.Text())
		return
	}
	fmt.Println("rig: ready")
	_ = cmd.Wait()
}

// writeMapped leaves pages of a file that only their map has.
func writeMapped(t *testing.T) {
	const size = 1 << 20
	f, err := os.Create(filepath.Join(os.Getenv(killedDir), "mapped"))
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		t.Fatal(err)
	}
	at, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	for i := range at {
		at[i] = byte(i)
	}
	fmt.Println("process: ready")
}
