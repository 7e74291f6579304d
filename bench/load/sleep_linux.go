// SPDX-License-Identifier: Apache-2.0

package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleepExactly blocks the calling thread; callers keep it to a few milliseconds.
func sleepExactly(d time.Duration) {
	left := unix.NsecToTimespec(d.Nanoseconds())
	// The runtime's signals interrupt the call; then left is what remains.
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}
