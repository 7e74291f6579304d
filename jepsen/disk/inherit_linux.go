// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// device is what the kernel asks a disk through. The mount is over when nobody has it open.
const device = "/dev/fuse"

// alone calls do, and no process is started meanwhile: it would inherit what do has open.
func alone(do func() error) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return do()
}

// closeDevices has no process inherit the devices of disks that are open; call it alone, with
// what opens one. The library opens it without that, and a node with the device of its own
// disk can never end once the rig is killed: it waits, dead, for its pages to be written by
// whoever has the device, and that is the node.
func closeDevices() error {
	const own = "/proc/self/fd"
	all, err := os.ReadDir(own)
	if err != nil {
		return fmt.Errorf("look for the device of a disk: %w", err)
	}
	for _, entry := range all {
		// One that is gone was the folder's own.
		to, err := os.Readlink(filepath.Join(own, entry.Name()))
		if err != nil || to != device {
			continue
		}
		if fd, err := strconv.Atoi(entry.Name()); err == nil {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}
