// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// supervised runs a shell script under a lock that can be lost, until it has written a
// line, and returns what to do to it and what waits for its end.
func supervised(t *testing.T, script string, patience time.Duration) (
	signals chan os.Signal, lost chan struct{}, end func() (int, string),
) {
	t.Helper()
	a, _, _ := newTestApp("")
	a.errs = io.Discard // the command writes there too, as to a file of the process
	began, out := make(chan struct{}), new(bytes.Buffer)
	a.out = writerFunc(func(b []byte) (int, error) {
		if out.Len() == 0 {
			close(began)
		}
		return out.Write(b)
	})
	r := run{app: a, cmd: exec.Command("sh", "-c", script), patience: patience}
	signals, lost = make(chan os.Signal, 1), make(chan struct{})
	type result struct {
		code int
		err  error
	}
	ended := make(chan result, 1)
	go func() {
		code, err := r.supervise(signals, lost)
		ended <- result{code, err}
	}()
	select {
	case <-began:
	case <-time.After(patience + devReady):
		t.Fatal("the command has not begun")
	}
	return signals, lost, func() (int, string) {
		got := <-ended
		if got.err != nil {
			t.Error(got.err)
		}
		return got.code, out.String()
	}
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestACommandsCodeIsHandedOn(t *testing.T) {
	for script, want := range map[string]int{
		"echo x":                0,
		"echo x; exit 7":        7,
		"echo x; kill -TERM $$": 128 + int(syscall.SIGTERM),
		"echo x; kill -KILL $$": 128 + int(syscall.SIGKILL),
	} {
		_, _, end := supervised(t, script, time.Minute)
		if code, out := end(); code != want || out != "x\n" {
			t.Errorf("%q: code %d, want %d; %q", script, code, want, out)
		}
	}
}

func TestSignalsAreHandedOn(t *testing.T) {
	for s, name := range map[syscall.Signal]string{
		syscall.SIGINT: "INT", syscall.SIGTERM: "TERM", syscall.SIGHUP: "HUP",
		syscall.SIGUSR1: "USR1",
	} {
		signals, _, end := supervised(t, `trap 'echo got; exit 9' `+name+`; echo x
			while :; do sleep 0.02; done`, time.Minute)
		signals <- s
		if code, out := end(); code != 9 || !strings.HasSuffix(out, "got\n") {
			t.Errorf("%v: code %d, %q", s, code, out)
		}
	}
}

func TestACommandStopsWhenItsLockIsLost(t *testing.T) {
	_, lost, end := supervised(t, `trap 'echo told; exit 3' TERM; echo x
		while :; do sleep 0.02; done`, time.Minute)
	close(lost)
	if code, out := end(); code != 3 || !strings.HasSuffix(out, "told\n") {
		t.Errorf("code %d, %q", code, out)
	}
}

// TestACommandThatDoesNotStopIsKilled with what it has started, also where the command
// itself stops.
func TestACommandThatDoesNotStopIsKilled(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		code         int
	}{
		{"the command", `trap '' TERM; echo $$; while :; do sleep 0.02; done`,
			128 + int(syscall.SIGKILL)},
		{"its child", `sh -c 'trap "" TERM; echo $$; while :; do sleep 0.02; done' & wait`,
			128 + int(syscall.SIGTERM)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, lost, end := supervised(t, tc.script, 300*time.Millisecond)
			began := time.Now()
			close(lost)
			code, out := end()
			if took := time.Since(began); code != tc.code || took < 300*time.Millisecond {
				t.Errorf("code %d, want %d, after %v", code, tc.code, took)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(out))
			if err != nil {
				t.Fatal(err)
			}
			awaitGone(t, pid)
		})
	}
}

// awaitGone waits until a process has ended, or is only waited for by its parent.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d goes on", pid)
}

func TestLockCommandsRefuseWhatTheyCanNotMean(t *testing.T) {
	for _, line := range []string{
		"lock run m", "lock run m true", "lock run -- true", "lock run m n -- true",
		"lock run m --try --wait 1s -- true", "lock run m --wait -1s -- true",
		"lock acquire", "lock acquire m --ttl 1s", "lock release m", "lock release m --force",
		"lock release m --fence 7", "lock release m --force --fence x", "lock show",
		"lock list a b", "bucket create", "bucket create b --resolve newest",
		"bucket create b --w 17", "bucket update b", "bucket delete b", "meta status x",
	} {
		a, _, errs := newTestApp("")
		args := append([]string{"-e", "127.0.0.1:1"}, strings.Fields(line)...)
		if code := a.run(t.Context(), args); code != exitUsage {
			t.Errorf("%s: code %d: %s", line, code, errs)
		}
	}
	a, _, errs := newTestApp("")
	args := []string{"lock", "run", "m", "-e", "127.0.0.1:1", "--", "no-such-command-at-all"}
	if code := a.run(t.Context(), args); code != exitError {
		t.Errorf("a command that is not there: code %d: %s", code, errs)
	}
}

func TestABucketIsDeletedOnlyByItsName(t *testing.T) {
	for answer, ok := range map[string]bool{
		"carts\n": true, "carts": true, " carts \n": true, "y\n": false, "\n": false, "": false,
		strings.Repeat("carts", 1000): false,
	} {
		a, _, _ := newTestApp(answer)
		if err := a.confirm(t.Context(), "really? ", "carts"); (err == nil) != ok {
			t.Errorf("%.20q: %v", answer, err)
		}
	}
	a, _, _ := newTestApp("")
	silent, mute := io.Pipe()
	a.in = silent
	defer func() { _ = mute.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.confirm(ctx, "really? ", "carts"); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
