// SPDX-License-Identifier: Apache-2.0

//go:build failpoints

package main

import (
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/node"
)

// crashVariable names a file with the name of a failpoint and a number n: the process is
// killed when it passes the point for the n-th time. Nothing is to happen where it is empty.
const crashVariable = "DYNO_CRASH_AT"

// failpoints are those that the environment asks for; nil, as in a product build, where it
// asks for none.
func failpoints() (*fail.Set, error) {
	path := os.Getenv(crashVariable)
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", crashVariable, err)
	}
	set, err := crashAt(string(text), func() error {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL) // no defer runs, no buffer is flushed
	})
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", crashVariable, path, err)
	}
	return set, nil
}

// crashAt arms what a file says.
func crashAt(text string, crash func() error) (*fail.Set, error) {
	if text == "" {
		return nil, nil
	}
	var name string
	var n int
	if _, err := fmt.Sscanf(text, "%s %d\n", &name, &n); err != nil || n < 1 {
		return nil, fmt.Errorf("%.60q: must be the name of a failpoint, and which pass of it ends "+
			"the process", text)
	}
	if !slices.ContainsFunc(node.Points(), func(p fail.Point) bool { return p.Name == name }) {
		return nil, fmt.Errorf("there is no failpoint %q", name)
	}
	set := fail.NewSet()
	set.Arm(name, fail.Plan{Skip: n - 1, Times: 1, Hook: crash})
	return set, nil
}
