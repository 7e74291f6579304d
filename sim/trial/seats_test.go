// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"testing"
	"time"

	"github.com/dyno-kv/dyno/sim/plan"
)

// TestSeatsGoOnWithoutTheirLeaderBeforeItReturns: it has what they have lost, and would lead
// again if it were there.
func TestSeatsGoOnWithoutTheirLeaderBeforeItReturns(t *testing.T) {
	for _, by := range []time.Duration{0, 500 * time.Millisecond} {
		booted(t, grouped(1), func(r *run) {
			r.plan.Faults = []plan.Fault{{
				Kind: plan.SeatsPower, At: plan.Span(time.Second), For: plan.Span(time.Second / 4),
				By: plan.Span(by),
			}}
			led := r.leader()
			r.conduct()
			if leads := r.leader(); leads == nil || leads == led || !led.Up() {
				t.Errorf("by %s: %s led before, and now %v does; up %t", by, led.Name, leads, led.Up())
			}
			for _, h := range r.hosts {
				if h.down != 0 || h.stalls != 0 || len(h.slows) != 0 {
					t.Errorf("by %s: something is left of the fault at %s: %+v", by, h.Name, h)
				}
			}
			if !r.met[0] || len(r.problems) > 0 {
				t.Errorf("by %s: met %t, %v", by, r.met[0], r.problems)
			}
		})
	}
}
