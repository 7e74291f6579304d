// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
)

// A Toolchain is an installed Go distribution.
type Toolchain struct {
	// Version is its version as `go env GOVERSION` says it.
	Version string
	// Root is its GOROOT.
	Root string
	// OS is the system that it builds for.
	OS string
}

// Local asks the go command at path goTool ("go" looks in PATH) which toolchain it
// would build with in folder dir; dir matters because go.mod may name another one.
func Local(ctx context.Context, goTool, dir string) (Toolchain, error) {
	cmd := exec.CommandContext(ctx, goTool, "env", "-json", "GOVERSION", "GOROOT", "GOOS")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return Toolchain{}, fmt.Errorf("ask %s for its toolchain: %w", goTool, err)
	}
	var env struct{ GOVERSION, GOROOT, GOOS string }
	if err := json.Unmarshal(out, &env); err != nil {
		return Toolchain{}, fmt.Errorf("read what %s env printed: %w", goTool, err)
	}
	return Toolchain{Version: env.GOVERSION, Root: env.GOROOT, OS: env.GOOS}, nil
}

// check refuses toolchains whose sources nobody read for these edits.
func (t Toolchain) check() error {
	rest, ok := strings.CutPrefix(t.Version, release)
	if !ok || (rest != "" && rest[0] != '.' && rest[0] != ' ') {
		return fmt.Errorf("toolchain %s: the edits of the runtime are written for %s; "+
			"run without the overlay (not replayable), or read them anew", t.Version, release)
	}
	if t.OS != "linux" {
		return fmt.Errorf("toolchain %s for %s: the overlay is proven on linux only; "+
			"run without it (not replayable)", t.Version, t.OS)
	}
	return nil
}
