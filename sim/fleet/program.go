// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/sim/overlay"
)

const (
	modulePath = "github.com/dyno-kv/dyno"
	command    = "./cmd/dyno-jepsen"
	binaryName = "dyno-jepsen"
)

// ErrNoMutants is returned where mutants are asked for and can not be built.
var ErrNoMutants = errors.New("fleet: this program has no mutants")

// BuildOptions say what is to run the plans.
type BuildOptions struct {
	// Cache is a folder for what is built; empty: dyno-sim in the user's cache.
	Cache string
	// Go is the go command; empty: the one in PATH.
	Go string
	// Source is a folder of this module; empty: the working directory, or where this
	// program was built.
	Source string
	// Mutant asks for a build in which mutants can be switched on.
	Mutant bool
	// Plain leaves the runtime as it is: its runs can not be repeated. Race is Plain with the
	// race detector.
	Plain, Race bool
}

// Program is what runs one plan as a process.
type Program struct {
	Path string
	// Replayable says that it has the edited runtime; Edits names the edits. Why says why
	// it has not.
	Replayable bool
	Edits, Why string
	// Mutant says that mutants can be switched on.
	Mutant bool

	private *folder // with the binary; nil: the binary is somebody else's
}

// Close removes what Build made for this program alone.
func (p *Program) Close() error {
	if p.private == nil {
		return nil
	}
	return p.private.remove()
}

// Build makes the program that runs plans. Without toolchain or source it is this one. It
// removes what runs have left that were killed.
func Build(ctx context.Context, o BuildOptions) (*Program, error) {
	removeLeft(memoryDisk, runFolders)
	removeLeft(os.TempDir(), runFolders)
	if o.Go == "" {
		o.Go = "go"
	}
	if o.Plain && !o.Race && o.Mutant == mutant.Enabled {
		return thisProgram("the plain runtime was asked for")
	}
	root, why := source(ctx, &o)
	if root == "" {
		if o.Race {
			return nil, fmt.Errorf("fleet: the race detector needs a build: %s", why)
		}
		if o.Mutant && !mutant.Enabled {
			return nil, fmt.Errorf("%w: they need a build: %s", ErrNoMutants, why)
		}
		return thisProgram(why)
	}
	return build(ctx, root, &o)
}

func thisProgram(why string) (*Program, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("fleet: find this program: %w", err)
	}
	return &Program{Path: path, Why: why, Mutant: mutant.Enabled}, nil
}

// source finds the root of this module's source, or says why there is none.
func source(ctx context.Context, o *BuildOptions) (root, why string) {
	path, err := exec.LookPath(o.Go)
	if err != nil {
		return "", "no go command: " + err.Error()
	}
	o.Go = path
	_, here, _, _ := runtime.Caller(0) // no path where this program was built with -trimpath
	for _, dir := range []string{o.Source, ".", filepath.Dir(here)} {
		if dir == "" || !filepath.IsAbs(dir) && dir == filepath.Dir(here) {
			continue
		}
		cmd := exec.CommandContext(ctx, o.Go, "list", "-m", "-f", "{{.Path}} {{.Dir}}")
		cmd.Dir = dir
		out, err := cmd.Output()
		found, ok := strings.CutPrefix(strings.TrimSpace(string(out)), modulePath+" ")
		if ok && err == nil {
			return found, ""
		}
	}
	return "", "no source of " + modulePath + " here: run it in its folder"
}

// programFolders are the names of the folders with the programs that run.
const programFolders = "run-*"

func build(ctx context.Context, root string, o *BuildOptions) (*Program, error) {
	cache, err := cacheFolder(o.Cache)
	if err != nil {
		return nil, err
	}
	removeLeft(cache, programFolders)
	p := &Program{Mutant: o.Mutant}
	name := "plain"
	args := []string{"build", "-trimpath", "-buildvcs=false"}
	switch {
	case o.Race:
		name, p.Why = "race", "it has the race detector"
		args = append(args, "-race")
	case o.Plain:
		p.Why = "the plain runtime was asked for"
	default:
		edited, err := edit(ctx, root, cache, o.Go)
		if err != nil {
			p.Why = err.Error()
			break
		}
		name, p.Edits, p.Replayable = edited.Edits, edited.Edits, true
		args = append(args, "-overlay", edited.Path)
	}
	tags := "invariants"
	if o.Mutant {
		name, tags = name+"-mutant", tags+",mutant"
	}
	built := filepath.Join(cache, "bin-"+name, binaryName)
	args = append(args, "-tags", tags, "-o", built, command)
	if err := goBuild(ctx, root, cache, o.Go, args); err != nil {
		return nil, err
	}
	return p, p.own(cache, built)
}

func cacheFolder(cache string) (string, error) {
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("fleet: say where to build: %w", err)
		}
		cache = filepath.Join(user, "dyno-sim")
	}
	cache, err := filepath.Abs(cache)
	if err == nil {
		err = os.MkdirAll(cache, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("fleet: make the folder to build in: %w", err)
	}
	return cache, nil
}

func edit(ctx context.Context, root, cache, goTool string) (overlay.Overlay, error) {
	toolchain, err := overlay.Local(ctx, goTool, root)
	if err != nil {
		return overlay.Overlay{}, err
	}
	return overlay.Generate(toolchain, filepath.Join(cache, "overlay"))
}

// goBuild builds in the cache's own file system, so that the go command puts the program
// in place by a rename: a process that runs the one before keeps it.
func goBuild(ctx context.Context, root, cache, goTool string, args []string) error {
	cmd := exec.CommandContext(ctx, goTool, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOTMPDIR="+cache)
	var told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &told, &told
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("fleet: go %s: %w\n%s", strings.Join(args, " "), err, told.Bytes())
	}
	return nil
}

// own gives this program a name of its own for what was built: who edits the source and
// runs the rig beside it does not change it.
func (p *Program) own(cache, built string) error {
	private, err := makeFolder(cache, programFolders)
	if err != nil {
		return fmt.Errorf("fleet: make a folder for the program: %w", err)
	}
	p.private, p.Path = private, filepath.Join(private.path, binaryName)
	if err := os.Link(built, p.Path); err != nil {
		_ = private.remove() // it is empty
		return fmt.Errorf("fleet: take the program: %w", err)
	}
	return nil
}
