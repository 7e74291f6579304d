// SPDX-License-Identifier: Apache-2.0

//go:build mutant

package sim

import (
	"testing"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/sim/whitebox"
)

// TestRulesAreRedUnderTheBugsThatTheyAreFor: within so many seeds each.
func TestRulesAreRedUnderTheBugsThatTheyAreFor(t *testing.T) {
	const seeds = 40
	for name, rule := range map[mutant.Name]string{
		mutant.AckOneShort:        whitebox.RuleAcknowledged,
		mutant.AckBeforeSync:      whitebox.RuleAcknowledged,
		mutant.CommitErrorIgnored: whitebox.RuleAcknowledged,
		mutant.KeepNotAwaited:     whitebox.RuleAcknowledged,
		mutant.KeepIncarnation:    whitebox.RuleUniqueDot,
		mutant.CleanMarkStays:     whitebox.RuleUniqueDot,
		mutant.CopyReplaces:       whitebox.RuleGrows,
	} {
		t.Run(string(name), func(t *testing.T) {
			defer mutant.Activate(name)()
			for seed := range uint64(seeds) {
				red := false
				watched(t, seed, func(
					t *testing.T, _ *Cluster, _ *elements, checker *whitebox.Checker,
				) {
					for _, v := range checker.Verdict() {
						if v.Rule == rule && !red {
							red = true
							t.Logf("seed %d: %s", seed, v)
						}
					}
				})
				if red {
					return
				}
			}
			t.Errorf("%s is green in %d seeds", rule, seeds)
		})
	}
}
