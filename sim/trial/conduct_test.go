// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/sim/plan"
)

// TestAResultTellsWhatEachFaultMet, and from when on their times count.
func TestAResultTellsWhatEachFaultMet(t *testing.T) {
	p := small(3)
	p.Chaos = plan.Span(2 * time.Second)
	second := plan.Span(time.Second)
	p.Faults = []plan.Fault{
		{Kind: plan.Kill, At: second / 2, For: second, Hosts: []int{1}},
		{Kind: plan.Pause, At: second, For: second / 4, Hosts: []int{1}}, // of a dead process
	}
	r := perform(t, p)
	if !slices.Equal(r.Met, []bool{true, false}) {
		t.Errorf("met %v", r.Met)
	}
	if r.ChaosFrom <= 0 || r.ChaosFrom > r.Fake-time.Duration(p.Chaos) {
		t.Errorf("chaos from %s on, of %s", r.ChaosFrom, r.Fake)
	}
}

func TestAFailpointThatNobodyHasIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := small(1)
		p.Faults = []plan.Fault{{Kind: plan.SlowAt, Hosts: []int{1}, N: 1, Point: "no/such"}}
		if _, err := Run(p, Options{Log: zap.NewNop()}); err == nil || !strings.Contains(err.Error(), "no/such") {
			t.Errorf("error %v", err)
		}
	})
}
