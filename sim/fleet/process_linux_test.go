// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestAProcessEndsWithThisSide: this side may be killed before it can end it.
func TestAProcessEndsWithThisSide(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "parent", "", "")
	cmd.Args[0] = binaryName
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var file string
	until(t, "it has not started", func() bool {
		files, _ := filepath.Glob(filepath.Join(memoryDisk, runFolders, mine))
		for _, name := range files {
			if text, err := os.ReadFile(name); err == nil && string(text) == fmt.Sprint(cmd.Process.Pid) {
				file = name
			}
		}
		return file != ""
	})
	dir := filepath.Dir(file)
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // nobody else does
	if held, err := hold(file); err == nil {
		_ = held.Close()
		t.Error("nobody is there")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	until(t, "it goes on", func() bool {
		held, err := hold(file)
		if err == nil {
			_ = held.Close()
		}
		return err == nil
	})
	made(t, dir)
	removeLeft(memoryDisk, filepath.Base(dir))
	if _, err := os.Stat(dir); err == nil {
		t.Error("what it left can not be removed")
	}
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 200 {
		if done() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal(what)
}
