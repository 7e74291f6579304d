// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// notMounted looks whether the mount is seen outside.
func (p *program) notMounted(t *testing.T) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), p.dir) {
		t.Errorf("%s is mounted outside", p.dir)
	}
}

// alive are the processes whose last argument is the directory: the outer one, the inner one,
// which is its child, and what that has started.
func (p *program) alive() (pids []int) {
	_ = eachProcess(func(pid int) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.HasSuffix(string(line), "\x00"+p.dir+"\x00") {
			pids = append(pids, pid)
		}
	})
	parent := fmt.Sprintf("\nPPid:\t%d\n", p.cmd.Process.Pid)
	rank := func(pid int) int {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // nothing: it is gone
		switch {
		case pid == p.cmd.Process.Pid:
			return 0
		case strings.Contains(string(status), parent):
			return 1
		}
		return 2
	}
	slices.SortFunc(pids, func(a, b int) int { return rank(a) - rank(b) })
	return pids
}

func eachProcess(do func(pid int)) error {
	entries, err := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			do(pid)
		}
	}
	return err
}

// users are the processes that are in one of the namespaces, or keep one open. Those do not
// count that are dead and that their parent, whoever that is now, has not asked for.
func (p *program) users() (users []string) {
	_ = eachProcess(func(pid int) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		for _, pattern := range []string{"/proc/%d/ns/*", "/proc/%d/fd/*"} {
			links, _ := filepath.Glob(fmt.Sprintf(pattern, pid))
			for _, link := range links {
				at, err := os.Readlink(link)
				for _, s := range p.spaces {
					if err == nil && at == s {
						users = append(users, link+" "+s)
					}
				}
			}
		}
	})
	return users
}
