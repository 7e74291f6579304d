// SPDX-License-Identifier: Apache-2.0

package real

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(folder()); err != nil && code == 0 {
			code = 1
		}
		os.Exit(code)
	}))
}

// folder is where the dyno program is built, once for all tests.
func folder() string { return filepath.Join(os.TempDir(), fmt.Sprint("dyno-real-", os.Getpid())) }

var built = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(folder(), "dyno")
	out, err := exec.Command("go", "build", "-o", binary, "../../cmd/dyno").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build: %w: %s", err, out)
	}
	return binary, err
})

// build builds the dyno program.
func build(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the race detector would not be in the processes; `make test` runs them")
	}
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// TestLocksOfRealProcessesUnderFaults is a short look; `make lock-faults` is the long one.
func TestLocksOfRealProcessesUnderFaults(t *testing.T) {
	h, err := Locks(t.Context(), Config{
		Binary: build(t), Dir: t.TempDir(), Nodes: 3, Seed: 7, Duration: 6 * time.Second,
		Tell: func(s string) { t.Log(time.Now().Format("05.000"), s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := checker.Check(h, checker.DefaultConfig())
	if err != nil || r.Verdict != checker.Valid {
		t.Errorf("%v, %s", err, r)
	}
	kinds := make(map[history.Kind]int)
	for i := range h.Ops {
		kinds[h.Ops[i].Kind]++
	}
	if len(h.Events) == 0 || kinds[history.Acquire] == 0 || kinds[history.Release] == 0 {
		t.Errorf("%d faults, operations %v", len(h.Events), kinds)
	}
}

// TestANodeThatEndsByItselfIsAnError: nothing that happens to it may be taken for a fault.
func TestANodeThatEndsByItselfIsAnError(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "node")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := &nodeProcess{name: "n1", log: filepath.Join(dir, "log")}
	if err := p.start(binary); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if err := p.end(syscall.SIGKILL, killTime); err == nil ||
		!strings.Contains(err.Error(), "by itself") {
		t.Errorf("got %v", err)
	}
	if err := p.end(syscall.SIGKILL, killTime); err != nil {
		t.Errorf("what does not run can not be killed: %v", err)
	}
}

func TestPortsAreFreeTogether(t *testing.T) {
	base, err := new(Cluster).freePorts(9)
	if err != nil {
		t.Fatal(err)
	}
	if !free(base, 9) {
		t.Errorf("ports from %d on are taken", base)
	}
}
