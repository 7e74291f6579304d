// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"math/rand/v2"
	"slices"
	"time"
)

// What follows draws the one or the other kind of faults.

func lasts(least, most time.Duration) func(*rand.Rand, *Plan, *Fault) {
	return func(rng *rand.Rand, _ *Plan, f *Fault) { f.For = between(rng, least, most) }
}

func victim(least, most time.Duration) func(*rand.Rand, *Plan, *Fault) {
	return func(rng *rand.Rand, p *Plan, f *Fault) {
		f.Hosts = []int{1 + rng.IntN(p.Cluster.Nodes)}
		f.For = between(rng, least, most)
	}
}

func spare(rng *rand.Rand, p *Plan, f *Fault) {
	f.Hosts = []int{p.Spare}
	f.For = between(rng, 100*time.Millisecond, 5*time.Second)
}

// restore takes so long that each opening is confirmed: by nodes of a group that have to
// reach it first.
func restore(rng *rand.Rand, p *Plan, f *Fault) {
	spare(rng, p, f)
	if p.Grouped {
		f.For += Span(6 * time.Second)
	}
}

func flip(rng *rand.Rand, p *Plan, f *Fault) {
	spare(rng, p, f)
	f.N = 1 + rng.IntN(20)
}

// side draws some hosts, not all.
func side(rng *rand.Rand, p *Plan, f *Fault) {
	n := 1 + rng.IntN(max(1, p.Cluster.Nodes-1))
	for _, i := range rng.Perm(p.Cluster.Nodes)[:n] {
		f.Hosts = append(f.Hosts, i+1)
	}
	f.For = between(rng, time.Second, 20*time.Second)
}

func oneWay(rng *rand.Rand, p *Plan, f *Fault) {
	side(rng, p, f)
	f.N = rng.IntN(2)
}

func share(most float64, least, longest time.Duration) func(*rand.Rand, *Plan, *Fault) {
	return func(rng *rand.Rand, _ *Plan, f *Fault) {
		f.Share = most * (0.05 + 0.95*rng.Float64())
		f.For = between(rng, least, longest)
	}
}

func tail(rng *rand.Rand, p *Plan, f *Fault) {
	share(0.3, time.Second, 15*time.Second)(rng, p, f)
	f.By = between(rng, 10*time.Millisecond, 2*time.Second)
}

func delay(rng *rand.Rand, p *Plan, f *Fault) {
	victim(time.Second, 15*time.Second)(rng, p, f)
	f.By = between(rng, 5*time.Millisecond, 500*time.Millisecond)
}

func rate(rng *rand.Rand, p *Plan, f *Fault) {
	victim(time.Second, 10*time.Second)(rng, p, f)
	f.N = pick(rng, 16<<10, 32<<10, 64<<10, 256<<10)
}

// stop is often followed by a crash: what an orderly end has written down must not be
// believed twice.
func stop(rng *rand.Rand, p *Plan, f *Fault) {
	victim(10*time.Millisecond, 8*time.Second)(rng, p, f)
	if f.N = rng.IntN(2); f.N == 1 {
		f.By = between(rng, time.Millisecond, 300*time.Millisecond)
	}
}

func crashLoop(rng *rand.Rand, p *Plan, f *Fault) {
	victim(time.Second, 10*time.Second)(rng, p, f)
	f.N = 2 + rng.IntN(6)
}

func atPoint(rng *rand.Rand, p *Plan, f *Fault) {
	victim(100*time.Millisecond, 5*time.Second)(rng, p, f)
	f.N = 1 + rng.IntN(1<<rng.IntN(6))
}

func slowAt(rng *rand.Rand, p *Plan, f *Fault) {
	victim(time.Second, 10*time.Second)(rng, p, f)
	f.N = 1 + rng.IntN(8)
	f.By = between(rng, time.Millisecond, 2*time.Second)
}

func nth(rng *rand.Rand, p *Plan, f *Fault) {
	victim(100*time.Millisecond, 5*time.Second)(rng, p, f)
	f.N = 1 + rng.IntN(64)
}

func full(rng *rand.Rand, p *Plan, f *Fault) {
	victim(time.Second, 10*time.Second)(rng, p, f)
	f.N = rng.IntN(maxDrift)
}

func slowDisk(rng *rand.Rand, p *Plan, f *Fault) {
	victim(time.Second, 15*time.Second)(rng, p, f)
	f.By = between(rng, 20*time.Millisecond, time.Second)
}

func group(rng *rand.Rand, p *Plan, f *Fault) {
	victim(time.Second, 15*time.Second)(rng, p, f)
	f.N = 1 + rng.IntN(3)
}

func leaderCut(rng *rand.Rand, _ *Plan, f *Fault) {
	f.For = between(rng, time.Second, 30*time.Second)
	f.N = rng.IntN(2)
}

// seatsPower mostly finds disks that stand: else nobody has anything that its disk has not.
func seatsPower(rng *rand.Rand, _ *Plan, f *Fault) {
	f.For = between(rng, 10*time.Millisecond, 3*time.Second)
	if rng.IntN(4) > 0 {
		f.By = between(rng, 100*time.Millisecond, time.Second)
	}
}

func leaderDisk(rng *rand.Rand, _ *Plan, f *Fault) {
	f.For = between(rng, time.Second, 10*time.Second)
	f.By = between(rng, 200*time.Millisecond, 8*time.Second)
}

func clockStep(rng *rand.Rand, p *Plan, f *Fault) {
	f.Hosts = []int{1 + rng.IntN(p.Cluster.Nodes)}
	f.By = between(rng, time.Second, 24*time.Hour)
	if p.hasExpiry() {
		f.By = between(rng, 10*time.Millisecond, 500*time.Millisecond)
	}
	if rng.IntN(2) == 0 {
		f.By = -f.By
	}
}

func clockDrift(rng *rand.Rand, p *Plan, f *Fault) {
	victim(time.Second, 30*time.Second)(rng, p, f)
	f.N = rng.IntN(maxDrift) - maxDrift/2
	if p.hasExpiry() {
		f.N /= 1000
	}
}

// hasExpiry reports whether values of the run end: of their ends a clock that is hours off
// leaves nothing to say.
func (p *Plan) hasExpiry() bool {
	return slices.ContainsFunc(p.Loads, func(l Load) bool { return l.Kind == "expiry" })
}

func clockStrobe(rng *rand.Rand, p *Plan, f *Fault) {
	clockStep(rng, p, f)
	f.For = between(rng, time.Second, 10*time.Second)
	f.N = 2 + rng.IntN(30)
}

// Rest are the numbers of all hosts but these.
func (p *Plan) Rest(hosts []int) []int {
	var rest []int
	for h := 1; h <= p.Cluster.Nodes; h++ {
		if !slices.Contains(hosts, h) {
			rest = append(rest, h)
		}
	}
	return rest
}
