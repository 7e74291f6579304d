// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"os"
	"time"
)

// rssUnit is what the kernel counts the largest resident size in.
const rssUnit = 1 << 10

// watchMemory calls over, once, when a process has more resident memory than it may. It
// returns then, and when ctx ends.
func watchMemory(ctx context.Context, pid int, most int64, over func()) {
	const often = 200 * time.Millisecond
	tick := time.NewTicker(often)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if resident(pid) > most {
				over()
				return
			}
		}
	}
}

// resident is how much memory a process has, 0 where it has ended.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var all, pages int64
	if _, err := fmt.Sscan(string(text), &all, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
