// SPDX-License-Identifier: Apache-2.0

package fleet

import "syscall"

// attributes put a process into a group of its own, and end it when the thread ends that
// started it: who kills this side with a signal that can not be caught stops the rig.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
