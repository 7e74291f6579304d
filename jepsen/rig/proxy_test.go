// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"os"
	"slices"
	"testing"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/nemesis"
	"github.com/dyno-kv/dyno/jepsen/network"
)

// TestARunBehindProxies: without namespaces nodes are cut off as well, and the run says which
// faults it could not do.
func TestARunBehindProxies(t *testing.T) {
	if os.Getenv("DYNO_LONG") == "" {
		t.Skip("takes 20 s; set DYNO_LONG=1. Package real has a shorter one")
	}
	run, found, _ := play(t, Config{
		Binary: build(t), Seed: 6, Rate: 200, Network: network.ModeProxy,
		Kinds: []nemesis.Kind{nemesis.Isolate, nemesis.Clients, nemesis.Resets, nemesis.Loss},
	})
	if found.Verdict != checker.Valid {
		t.Errorf("%s", found)
	}
	if run.Mode != "proxy" || !slices.Equal(run.Lacks, []string{"loss"}) {
		t.Errorf("mode %s, lacks %v", run.Mode, run.Lacks)
	}
	bit := 0
	for _, f := range run.Faults {
		if f.Kind == string(nemesis.Loss) {
			t.Error("packets were to be lost where there are none")
		}
		if f.Bit {
			bit++
		}
	}
	if bit == 0 {
		t.Errorf("no fault met anything: %+v", run.Faults)
	}
}
