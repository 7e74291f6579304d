// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// Locks is the kind of load that locks; it needs a metadata group.
const Locks = "locks"

// drawGroup draws how the metadata group behaves, and who locks.
func (p *Plan) drawGroup(rng *rand.Rand, locks bool) {
	k := &p.Knobs
	some := func(do func()) {
		if rng.IntN(3) == 0 {
			do()
		}
	}
	some(func() { k.Tick = between(rng, 20*time.Millisecond, 200*time.Millisecond) })
	some(func() { k.SnapshotEntries = pick(rng, 16, 32, 100) })
	some(func() { k.HashEvery = pick(rng, 1, 8, 64) })
	some(func() { k.DeadAfter = between(rng, 5*time.Second, 30*time.Second) })
	if !locks || rng.IntN(4) == 0 {
		return
	}
	some(func() { k.SessionTTL = between(rng, 5*time.Second, 15*time.Second) })
	k.SessionTTL = k.SessionTTL / Span(time.Millisecond) * Span(time.Millisecond)
	steps := 30 + rng.IntN(90)
	p.Loads = append(p.Loads, Load{
		Kind: Locks, Sessions: 2 + rng.IntN(3), Steps: steps,
		Pause: Span(chaos / 2 / time.Duration(steps)),
	})
}

// HasLocks reports whether somebody locks.
func (p *Plan) HasLocks() bool {
	return slices.ContainsFunc(p.Loads, func(l Load) bool { return l.Kind == Locks })
}

const (
	// gentleTTL is that of sessions in gentle plans.
	gentleTTL = 12 * time.Second
	// gentleFault is the longest fault of a gentle plan, gentleEvery how far apart they begin.
	gentleFault = 1500 * time.Millisecond
	gentleEvery = 10 * time.Second
	// regained is how long after a fault a group with the product's own ticks may take until
	// it renews again: elections, connections, and a few rounds of a client.
	regained = 4 * time.Second
	// rowEvery is how far apart pauses in a row begin: in between the group is of use for a
	// moment, also where an election was a tie.
	rowEvery = regained + time.Second
	// rowNodes is from how many nodes on the pause of one leaves a majority.
	rowNodes = 3
)

// gentle draws whether a plan's faults are so few and short that no session may be lost.
func (p *Plan) gentle(rng *rand.Rand) bool { return p.HasLocks() && rng.IntN(4) == 0 }

// drawGentle draws few faults, each over long before the next. Knobs that may cost a
// session are as the product has them.
func (p *Plan) drawGentle(rng *rand.Rand, o *Options) {
	k := p.Knobs
	p.Knobs = Knobs{
		SnapshotEntries: k.SnapshotEntries, HashEvery: k.HashEvery,
		Exchange: k.Exchange, Purge: k.Purge, HintBytes: k.HintBytes, HintAfter: k.HintAfter,
	}
	p.Knobs.SessionTTL = Span(gentleTTL)
	p.Link.Loss = 0
	var kinds []Info
	for _, in := range Kinds() {
		if slices.Contains(gentleKinds(), in.Kind) && p.allows(&in, o) {
			kinds = append(kinds, in)
		}
	}
	if p.Cluster.Nodes >= rowNodes && rng.IntN(2) == 0 {
		p.drawRow(rng, kinds)
		return
	}
	for at := before; len(kinds) > 0 && at < chaos-after-gentleFault; at += gentleEvery {
		in := kinds[rng.IntN(len(kinds))]
		f := Fault{Kind: in.Kind, At: Span(at) + between(rng, 0, time.Second)}
		in.draw(rng, p, &f)
		f.For, f.By = min(f.For, Span(gentleFault)), 0
		p.Faults = append(p.Faults, f)
	}
}

// drawRow draws pauses of one node at a time, each as soon as the one before ends.
func (p *Plan) drawRow(rng *rand.Rand, kinds []Info) {
	kinds = slices.DeleteFunc(kinds, func(in Info) bool {
		return !slices.Contains(rowKinds(), in.Kind)
	})
	at := before
	for len(kinds) > 0 && at < chaos-after-gentleTTL/2 {
		in := kinds[rng.IntN(len(kinds))]
		f := Fault{Kind: in.Kind, At: Span(at)}
		in.draw(rng, p, &f)
		f.For = min(between(rng, rowEvery, gentleTTL/2), Span(gentleTTL/2))
		p.Faults = append(p.Faults, f)
		at = f.End() + time.Duration(between(rng, 0, 200*time.Millisecond))
	}
}

// rowKinds are those that may follow one another without a pause in between.
func rowKinds() []Kind { return []Kind{Pause, LeaderPause} }

// gentleKinds are those of which one that is short and alone costs no session.
func gentleKinds() []Kind {
	return []Kind{Kill, Power, Pause, Isolate, LeaderKill, LeaderPower, LeaderPause, LeaderCut}
}

// KeepsSessions reports whether nothing in the plan may cost a session that its client keeps
// alive: faults are of the gentle kinds, and with the time that the group takes to come back
// from them no stretch of them is longer than half of a time to live; or they are pauses of
// one node after the other, none of them longer than that, which leave a majority.
func (p *Plan) KeepsSessions() bool {
	k := &p.Knobs
	ttl := time.Duration(k.SessionTTL)
	if !p.HasLocks() || ttl < 10*time.Second || k.Tick != 0 || k.DeadAfter != 0 ||
		k.MaxRequests != 0 || k.Attempts != 0 || p.Link.Loss > 0 {
		return false
	}
	faults := slices.Clone(p.Faults)
	slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	if p.pausesInTurn(faults, ttl/2) {
		return true
	}
	var from, until time.Duration
	for i := range faults {
		f := &faults[i]
		if !slices.Contains(gentleKinds(), f.Kind) {
			return false
		}
		if at := time.Duration(f.At); at > until {
			from = at
		}
		if until = max(until, f.End()+regained); until-from > ttl/2 {
			return false
		}
	}
	return true
}

// pausesInTurn reports whether faults, in order, are pauses of one node at a time, none longer
// than most.
func (p *Plan) pausesInTurn(faults []Fault, most time.Duration) bool {
	for i := range faults {
		f := &faults[i]
		if !slices.Contains(rowKinds(), f.Kind) || time.Duration(f.For) > most {
			return false
		}
		if i == 0 {
			continue
		}
		before := &faults[i-1]
		if at := time.Duration(f.At); at < before.End() || at < time.Duration(before.At)+rowEvery {
			return false
		}
	}
	return p.Cluster.Nodes >= rowNodes
}
