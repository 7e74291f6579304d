// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// killLook is how often a thread that a signal has reached is looked at: is it to die?
const killLook = 5 * time.Millisecond

// sleep waits as long as a sync is to take longer, or until the power goes. It is false where
// the sync is to come to nothing, since its thread is to die: on a disk of its own the power
// would have gone at the same time.
func (l *life) sleep(signal <-chan struct{}, thread uint32) bool {
	l.disk.mu.Lock()
	slow, set := l.disk.slow, l.disk.set
	if slow > 0 {
		l.disk.slept++
	}
	l.disk.mu.Unlock()
	if slow <= 0 {
		return true
	}
	timer := time.NewTimer(slow)
	defer timer.Stop()
	var looks <-chan time.Time
	for {
		select {
		case <-timer.C:
			return true
		case <-set:
			return true
		case <-l.over:
			return true // and it is refused
		case <-signal:
			// The kernel tells of one signal only, and it may be one that means nothing: a
			// disk would not be disturbed by it. From here on somebody has to look.
			ticker := time.NewTicker(killLook)
			defer ticker.Stop()
			signal, looks = nil, ticker.C
		case <-looks:
		}
		if looks != nil && dies(thread) {
			l.disk.mu.Lock()
			l.disk.cut++
			l.disk.mu.Unlock()
			return false
		}
	}
}

// dies reports whether a thread has been killed, or is gone.
func dies(thread uint32) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	if err != nil {
		return true
	}
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		for _, name := range []string{"SigPnd:", "ShdPnd:"} {
			pending, found := bytes.CutPrefix(lines.Bytes(), []byte(name))
			if !found {
				continue
			}
			set, err := strconv.ParseUint(string(bytes.TrimSpace(pending)), 16, 64)
			if err == nil && set&(1<<(unix.SIGKILL-1)) != 0 {
				return true
			}
		}
	}
	return false
}
