// SPDX-License-Identifier: Apache-2.0

package real

import "syscall"

// attributes make a process the first of a group, so that an interrupt at the terminal is
// not for it, and end it with this one, also if this one is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
