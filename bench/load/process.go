// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of processor time in /proc. The kernel tells programs 100 a second
// whatever its own clock is.
const tick = time.Second / 100

// usage is what a process has taken so far.
type usage struct {
	cpu     time.Duration
	rss     uint64 // bytes, now
	rssPeak uint64
}

// ownCPU is the processor time of this process.
func ownCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// readUsage reads /proc of a process.
func readUsage(proc string, pid int) (usage, error) {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return usage{}, fmt.Errorf("read processor time of process %d: %w", pid, err)
	}
	var u usage
	if u.cpu, err = parseStat(stat); err != nil {
		return usage{}, fmt.Errorf("process %d: %w", pid, err)
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return usage{}, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	u.rss, u.rssPeak = statusKB(status, "VmRSS:"), statusKB(status, "VmHWM:")
	return u, nil
}

// parseStat reads user and system time. The second field, the command's name, may hold
// spaces and parentheses; what follows its last parenthesis does not.
func parseStat(stat []byte) (time.Duration, error) {
	const user, system = 11, 12 // counted from the field after the name
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= system {
		return 0, fmt.Errorf("stat has %d fields after the name, at least %d expected",
			len(fields), system+1)
	}
	var ticks uint64
	for _, i := range []int{user, system} {
		n, err := strconv.ParseUint(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// statusKB finds a line "Name:   123 kB"; 0 where there is none.
func statusKB(status []byte, name string) uint64 {
	for line := range strings.Lines(string(status)) {
		rest, found := strings.CutPrefix(line, name)
		if !found {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return 0
		}
		n, err := strconv.ParseUint(fields[0], 10, 64)
		if err != nil {
			return 0
		}
		return n << 10
	}
	return 0
}
