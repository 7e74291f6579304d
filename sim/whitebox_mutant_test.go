// SPDX-License-Identifier: Apache-2.0

//go:build mutant

package sim

import (
	"testing"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/sim/whitebox"
)

// failing lets one sync in a few of each disk fail while the clients write: by chance alone
// a disk fails too seldom then. Its goroutine ends long before the run.
func failing(c *Cluster) {
	go func() {
		for range 25 {
			for _, h := range c.Hosts {
				h.Disk.Fail(Data, OpSync, 2)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
}

// TestRulesAreRedUnderTheBugsThatTheyAreFor: within so many seeds each. Only bugs are here
// that more than half of all seeds show: without the overlay no seed repeats itself. What
// is rarer has a schedule of its own.
func TestRulesAreRedUnderTheBugsThatTheyAreFor(t *testing.T) {
	const seeds = 40
	for name, one := range map[mutant.Name]struct {
		rule    string
		trouble func(*Cluster)
	}{
		mutant.AckOneShort:        {whitebox.RuleAcknowledged, nil},
		mutant.AckBeforeSync:      {whitebox.RuleAcknowledged, nil},
		mutant.CommitErrorIgnored: {whitebox.RuleAcknowledged, failing},
		mutant.KeepNotAwaited:     {whitebox.RuleAcknowledged, nil},
		mutant.KeepIncarnation:    {whitebox.RuleUniqueDot, nil},
		mutant.CopyReplaces:       {whitebox.RuleGrows, nil},
	} {
		t.Run(string(name), func(t *testing.T) {
			defer mutant.Activate(name)()
			for seed := range uint64(seeds) {
				if brokenIn(t, seed, one.trouble, one.rule) {
					return
				}
			}
			t.Errorf("%s is green in %d seeds", one.rule, seeds)
		})
	}
}

// brokenIn reports whether a rule is broken in a run.
func brokenIn(t *testing.T, seed uint64, trouble func(*Cluster), rule string) (red bool) {
	t.Helper()
	watched(t, seed, trouble, func(
		t *testing.T, _ *Cluster, _ *elements, checker *whitebox.Checker,
	) {
		for _, v := range checker.Verdict() {
			if v.Rule == rule && !red {
				red = true
				t.Logf("seed %d: %s", seed, v)
			}
		}
	})
	return red
}

// TestFailingDisksAloneBreakNoRule: what is red above is so for the bug.
func TestFailingDisksAloneBreakNoRule(t *testing.T) {
	for seed := range uint64(10) {
		for _, rule := range []string{
			whitebox.RuleAcknowledged, whitebox.RuleUniqueDot, whitebox.RuleGrows,
		} {
			if brokenIn(t, seed, failing, rule) {
				t.Errorf("seed %d: %s is broken without a bug", seed, rule)
			}
		}
	}
}
