// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package real

import "syscall"

// attributes make a process the first of a group, so that an interrupt at the terminal is
// not for it. It outlives this one if this one is killed.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
