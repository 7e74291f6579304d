// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// verdict is what became of a mutant.
type verdict int

const (
	killed     verdict = 1 + iota // a test failed
	hung                          // a test ran out of time: killed too
	survived                      // all tests passed
	notApplied                    // the line is not there, or not only there
	notBuilt                      // the mutant does not compile
	notRun                        // go itself failed, or the run was interrupted
)

func (v verdict) String() string {
	switch v {
	case killed:
		return "killed"
	case hung:
		return "killed (hung)"
	case survived:
		return "SURVIVED"
	case notApplied:
		return "DOES NOT APPLY"
	case notBuilt:
		return "DOES NOT COMPILE"
	case notRun:
		return "DID NOT RUN"
	default:
		return fmt.Sprintf("verdict(%d)", int(v))
	}
}

func (v verdict) good() bool { return v == killed || v == hung }

// result is a mutant with its verdict.
type result struct {
	mutant  mutant
	verdict verdict
	detail  string // why it did not run
	took    time.Duration
}

// runner runs the tests of packages, changed or not.
type runner struct {
	root     string        // absolute path of the module
	timeout  time.Duration // of one run of a package's tests
	parallel int
	short    bool
	progress io.Writer
}

// grace is what a run may take beyond the tests' own timeout: building, and the dump
// of the goroutines of a test that hung.
const grace = 2 * time.Minute

// runAll runs every mutant, r.parallel at a time, and returns when all are done.
func (r runner) runAll(ctx context.Context, mutants []mutant) []result {
	results := make([]result, len(mutants))
	next := make(chan int)
	var done int
	var mu sync.Mutex // guards done and the progress writer
	var workers sync.WaitGroup
	for range r.parallel {
		workers.Go(func() {
			for i := range next {
				results[i] = r.runOne(ctx, mutants[i])
				mu.Lock()
				done++
				fmt.Fprintf(r.progress, "[%d/%d] %s: %s: %s (%.1f s)\n", done, len(mutants),
					mutants[i].pkg, mutants[i].name, results[i].verdict, results[i].took.Seconds())
				mu.Unlock()
			}
		})
	}
	for i := range mutants {
		next <- i
	}
	close(next)
	workers.Wait()
	return results
}

func (r runner) runOne(ctx context.Context, m mutant) result {
	began := time.Now()
	res := result{mutant: m}
	res.verdict, res.detail = r.try(ctx, m)
	res.took = time.Since(began)
	return res
}

func (r runner) try(ctx context.Context, m mutant) (verdict, string) {
	original := filepath.Join(r.root, filepath.FromSlash(m.file))
	source, err := os.ReadFile(original)
	if err != nil {
		return notApplied, err.Error()
	}
	changed, err := m.apply(string(source))
	if err != nil {
		return notApplied, err.Error()
	}
	overlay, remove, err := writeOverlay(original, changed)
	if err != nil {
		return notRun, err.Error()
	}
	defer remove()
	output, err := r.test(ctx, m.pkg, "-overlay="+overlay, "-failfast")
	return judge(output, err)
}

// baseline runs the tests of a package as it is.
func (r runner) baseline(ctx context.Context, pkg string) error {
	output, err := r.test(ctx, pkg)
	if err != nil {
		return fmt.Errorf("the tests of %s fail without any mutant (%w):\n%s", pkg, err, output)
	}
	return nil
}

func (r runner) test(ctx context.Context, pkg string, flags ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout+grace)
	defer cancel()
	args := []string{"test", "-count=1", "-vet=off", "-timeout=" + r.timeout.String()}
	args = append(args, flags...)
	if r.short {
		args = append(args, "-short")
	}
	args = append(args, "./"+pkg)
	if r.usesRapid(pkg) {
		args = append(args, "-rapid.nofailfile") // or it saves the failing case in the tree
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = r.root
	cmd.WaitDelay = 10 * time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return output.String(), err
}

func (r runner) usesRapid(pkg string) bool {
	tests, _ := filepath.Glob(filepath.Join(r.root, filepath.FromSlash(pkg), "*_test.go"))
	for _, name := range tests {
		source, err := os.ReadFile(name)
		if err == nil && bytes.Contains(source, []byte(`"pgregory.net/rapid"`)) {
			return true
		}
	}
	return false
}

// judge reads the end of a test run.
func judge(output string, err error) (verdict, string) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return survived, ""
	case errors.Is(err, context.DeadlineExceeded):
		return hung, ""
	case !errors.As(err, &exit):
		return notRun, err.Error()
	case strings.Contains(output, "[build failed]") || strings.Contains(output, "[setup failed]"):
		return notBuilt, output
	case strings.Contains(output, "panic: test timed out after"):
		return hung, ""
	case strings.Contains(output, "FAIL\t"):
		return killed, ""
	}
	return notRun, output
}

// writeOverlay writes the changed source and the overlay that puts it in the place of
// the original.
func writeOverlay(original, changed string) (overlay string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	source := filepath.Join(dir, filepath.Base(original))
	overlay = filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{original: source}})
	if err == nil {
		err = os.WriteFile(source, []byte(changed), 0o600)
	}
	if err == nil {
		err = os.WriteFile(overlay, text, 0o600)
	}
	if err != nil {
		remove()
		return "", nil, fmt.Errorf("write the overlay: %w", err)
	}
	return overlay, remove, nil
}
