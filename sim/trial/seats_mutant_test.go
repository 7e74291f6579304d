// SPDX-License-Identifier: Apache-2.0

//go:build mutant

package trial

import (
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/whitebox"
)

// TestSeatsThatVoteBeforeTheirSyncShowAsMutant when all of them lose their power while their
// disks stand, whether or not anybody looks into them: most runs show two states.
func TestSeatsThatVoteBeforeTheirSyncShowAsMutant(t *testing.T) {
	defer mutant.Activate(mutant.VoteBeforeSync)()
	const runs = 6
	shown := 0
	for seed := range uint64(runs) {
		p := grouped(seed)
		p.Faults = []plan.Fault{{
			Kind: plan.SeatsPower, At: plan.Span(2 * time.Second), For: plan.Span(time.Second / 4),
			By: plan.Span(time.Second / 2),
		}}
		r := perform(t, p)
		t.Logf("seed %d: %s: %v", seed, r.Verdict, r.Problems)
		if slices.ContainsFunc(r.Problems, func(x Problem) bool {
			return x.Rule != whitebox.RuleByMajority && x.Rule != whitebox.RuleSameEntry && !x.Unknown
		}) {
			shown++
		}
	}
	if shown < runs/2 {
		t.Errorf("%d of %d runs show it", shown, runs)
	}
}
