// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// owner is which of some processes has a socket of TCP at a local address; 0: none of them.
func owner(at netip.AddrPort, pids []int) int {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0
	}
	ip := at.Addr().As4()
	local := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), at.Port())
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < 10 || f[1] != local || f[9] == "0" {
			continue
		}
		want := "socket:[" + f[9] + "]"
		for _, pid := range pids {
			fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // none: it is gone
			for _, fd := range fds {
				if got, err := os.Readlink(fd); err == nil && got == want {
					return pid
				}
			}
		}
	}
	return 0
}
