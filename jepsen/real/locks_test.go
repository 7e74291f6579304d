// SPDX-License-Identifier: Apache-2.0

package real

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// build builds the dyno program.
func build(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs real processes")
	}
	binary := filepath.Join(t.TempDir(), "dyno")
	out, err := exec.Command("go", "build", "-o", binary, "../../cmd/dyno").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return binary
}

// TestLocksOfRealProcessesUnderFaults is a short look; `make locks` is the long one.
func TestLocksOfRealProcessesUnderFaults(t *testing.T) {
	h, err := Locks(t.Context(), LocksConfig{
		Binary: build(t), Dir: t.TempDir(), Seed: 7, Duration: 8 * time.Second,
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
	binary := filepath.Join(t.TempDir(), "node")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := &process{name: "n1", log: filepath.Join(t.TempDir(), "log")}
	c := &Cluster{binary: binary, nodes: []*process{p}}
	if err := c.run(0); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond) // it has ended by then
	if err := c.Kill(0); err == nil || !strings.Contains(err.Error(), "by itself") {
		t.Errorf("got %v", err)
	}
	if err := c.Kill(0); err != nil {
		t.Errorf("what does not run can not be killed: %v", err)
	}
}

func TestPortsAreFreeTogether(t *testing.T) {
	base, err := freePorts(9)
	if err != nil {
		t.Fatal(err)
	}
	if !free(base, 9) {
		t.Errorf("ports from %d on are taken", base)
	}
}
