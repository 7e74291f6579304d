// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dyno-kv/dyno/sim/plan"
)

// fault is one fault of the plan, and whether it has met anything.
type fault struct {
	*plan.Fault
	number int
	hosts  []*host
	bit    bool
	// hit is bit, and passed how often its failpoint was passed, for those who pass it.
	hit    atomic.Bool
	passed atomic.Int64
}

// action is one thing to do at a moment of the chaos.
type action struct {
	at time.Duration
	do func()
}

// conduct does what the plan says, and looks after the hosts between.
func (r *run) conduct() {
	var score []action
	var faults []*fault
	for i := range r.plan.Faults {
		f := &fault{Fault: &r.plan.Faults[i], number: i, hosts: r.pick(r.plan.Faults[i].Hosts)}
		faults = append(faults, f)
		score = append(score, r.score(f)...)
	}
	slices.SortStableFunc(score, func(a, b action) int { return cmp.Compare(a.at, b.at) })
	end := time.Duration(r.plan.Chaos)
	for len(score) > 0 && score[0].at < end {
		r.passUntil(score[0].at)
		score[0].do()
		r.watchOutages()
		score = score[1:]
	}
	r.passUntil(end)
	for _, a := range score { // what is left are ends
		a.do()
	}
	r.tally(faults)
	r.endOutages()
}

// passUntil looks after the hosts until a moment of the chaos.
func (r *run) passUntil(at time.Duration) {
	for r.at() < at {
		select {
		case c := <-r.crashed:
			r.bury(c)
		case <-time.After(min(look, at-r.at())):
		}
		r.tend()
	}
}

// tally counts which faults met something.
func (r *run) tally(faults []*fault) {
	for _, f := range faults {
		f.bit = f.bit || f.hit.Load()
		r.met = append(r.met, f.bit)
		b := r.bites[f.Kind]
		b.Set++
		if f.bit {
			b.Bit++
		}
		r.bites[f.Kind] = b
	}
}

// score is what a fault does, and when. Its last action is its end.
func (r *run) score(f *fault) []action {
	for _, of := range []func(*fault) (func(*fault) []action, bool){
		r.lifetimes, r.networks, r.disks, r.clocks, r.leaders,
	} {
		if score, ok := of(f); ok {
			return score(f)
		}
	}
	panic("trial: no way to do " + string(f.Kind)) // Validate knows all kinds, a test that we do
}

// spanning is a fault that begins and ends.
func spanning(f *fault, begin, end func()) []action {
	return []action{{time.Duration(f.At), begin}, {f.End(), end}}
}
