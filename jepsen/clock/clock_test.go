// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"bufio"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// probe is a program that tells its clocks.
type probe struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

func start(t *testing.T, program string, environ ...string) *probe {
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), environ...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends by that
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &probe{t, in, bufio.NewScanner(out)}
}

// ask returns how far its wall clock is off ours, how long it says to run, and what its wall
// clock says of that.
func (p *probe) ask() (off, since, wall time.Duration) {
	p.t.Helper()
	before := time.Now()
	if _, err := io.WriteString(p.in, "\n"); err != nil || !p.out.Scan() {
		p.t.Fatalf("it does not answer: %v, %v", err, p.out.Err())
	}
	var at int64
	if _, err := fmt.Sscan(p.out.Text(), &at, (*int64)(&since), (*int64)(&wall)); err != nil {
		p.t.Fatal(err)
	}
	return time.Unix(0, at).Sub(before.Round(0)), since, wall
}

func near(a, b time.Duration) bool { return (a - b).Abs() < 5*time.Second }

// I1, I2.
func TestTheClockOfAProgramIsSetWhileItRuns(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the edits are for Linux")
	}
	if testing.Short() {
		t.Skip("it may have to build parts of the standard library")
	}
	program := filepath.Join(t.TempDir(), "probe")
	err := Build(t.Context(), BuildOptions{
		Source: ".", Package: "./testdata/probe", Out: program,
	})
	if err != nil {
		t.Fatal(err)
	}
	image, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	if libraries, err := image.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("it is not static: %v, %v", libraries, err)
	}
	if err := image.Close(); err != nil {
		t.Error(err)
	}

	c, err := Create(filepath.Join(t.TempDir(), "offset"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	skewed, right := start(t, program, c.Environ()), start(t, program)
	for _, want := range []time.Duration{
		0, time.Hour, -24 * time.Hour, 1500 * time.Millisecond, -time.Nanosecond, 200 * 24 * time.Hour, 0,
	} {
		if err := c.Set(want); err != nil || c.Offset() != want {
			t.Fatal(err, c.Offset())
		}
		off, since, wall := skewed.ask()
		if !near(off, want) || !near(wall-since, want) || since < 0 || since > time.Minute {
			t.Errorf("set to %v: it is %v off, has run for %v, and for %v by its wall", want, off, since,
				wall)
		}
		if off, since, wall := right.ask(); !near(off, 0) || !near(wall, since) {
			t.Errorf("the other program is %v off", off)
		}
	}

	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), Variable+"="+filepath.Join(t.TempDir(), "nothing"))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), Variable) {
		t.Errorf("without its file it says %v: %s", err, out)
	}
}

func TestAClockHasAFileOfItsOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offset")
	c, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path); err == nil {
		t.Error("there are two of them")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(time.Second); err == nil {
		t.Error("a clock that is closed was set")
	}
}

func TestWhatCanNotBeBuiltIsAnError(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x")
	for name, o := range map[string]BuildOptions{
		"nothing":    {},
		"no package": {Source: ".", Package: "./gone", Out: out, Right: true},
		"no command": {Source: ".", Package: "./testdata/probe", Out: out, Go: "no-such-go"},
	} {
		if err := Build(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "clock: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
