// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/dyno-kv/dyno/sim/overlay"
)

// BuildOptions say what is built.
type BuildOptions struct {
	// Source is a folder of the module, Package what is built in it: "./cmd/dyno".
	Source, Package string
	// Out is where the program goes.
	Out string
	// Tags are build tags.
	Tags []string
	// Cache is a folder for the edits; empty: dyno-clock in the user's cache.
	Cache string
	// Go is the go command; empty: the one in PATH.
	Go string
	// Right leaves the clock alone: the same program without the edits.
	Right bool
}

// Build builds a static program whose clock can be set. The first time the standard library
// is built too, which takes about a minute.
func Build(ctx context.Context, o BuildOptions) error {
	if o.Source == "" || o.Package == "" || o.Out == "" {
		return errors.New("clock: source, package and out are needed")
	}
	if o.Go == "" {
		o.Go = "go"
	}
	out, err := filepath.Abs(o.Out)
	if err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-o", out}
	if len(o.Tags) > 0 {
		args = append(args, "-tags", strings.Join(o.Tags, ","))
	}
	if !o.Right {
		made, err := edited(ctx, &o)
		if err != nil {
			return err
		}
		args = append(args, "-overlay", made)
	}
	cmd := exec.CommandContext(ctx, o.Go, append(args, o.Package)...)
	cmd.Dir = o.Source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &told, &told
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("clock: go %s: %w\n%s", strings.Join(args, " "), err, told.Bytes())
	}
	return nil
}

// edited is the overlay with the edits of this toolchain.
func edited(ctx context.Context, o *BuildOptions) (path string, err error) {
	if o.Cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("clock: say where to build: %w", err)
		}
		o.Cache = filepath.Join(user, "dyno-clock")
	}
	toolchain, err := overlay.Local(ctx, o.Go, o.Source)
	if err != nil {
		return "", fmt.Errorf("clock: %w", err)
	}
	made, err := overlay.GenerateSet(toolchain, o.Cache, set())
	if err != nil {
		return "", fmt.Errorf("clock: %w", err)
	}
	return made.Path, nil
}
