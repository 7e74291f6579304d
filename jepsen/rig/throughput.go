// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"slices"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

// Throughput tells how many operations a second were acknowledged while faults came. It judges
// nothing: that depends on the machine.
func Throughput(h *history.History, during time.Duration) checker.Result {
	r := checker.Result{Checker: "throughput", Verdict: checker.Valid}
	seconds := make([]int, max(int(during/time.Second), 1))
	for i := range h.Ops {
		op := &h.Ops[i]
		at := int(op.Completed / int64(time.Second))
		if op.Outcome == history.OK && op.Final == 0 && at >= 0 && at < len(seconds) {
			seconds[at]++
		}
	}
	slices.Sort(seconds)
	r.Stats = []checker.Stat{
		{Name: "acked-a-second-median", Value: float64(seconds[len(seconds)/2])},
		{Name: "acked-a-second-least", Value: float64(seconds[0])},
		{Name: "acked-a-second-most", Value: float64(seconds[len(seconds)-1])},
	}
	return r
}
