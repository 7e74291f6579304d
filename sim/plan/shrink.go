// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"time"
)

// A Step is one way to make a plan smaller.
type Step struct {
	// What names the step: the same step of two plans has the same name.
	What string
	Plan *Plan
}

const (
	// fewSteps is where a load is not made shorter any more.
	fewSteps = 4
	// shortChaos is where the chaos is not.
	shortChaos = 2 * time.Second
	// shortFault is where a fault is not.
	shortFault = 100 * time.Millisecond
	// shortWait is where a fault does not begin sooner.
	shortWait = 200 * time.Millisecond
)

// WithFaults returns p with these of its faults only, by their place, in their order.
func (p *Plan) WithFaults(places []int) *Plan {
	twin := p.Clone()
	twin.Faults = []Fault{}
	for _, i := range places {
		twin.Faults = append(twin.Faults, p.Clone().Faults[i])
	}
	return twin
}

// Smaller lists the plans that are one step smaller than p, those first that gain most:
// a load less, half of its sessions, half of its steps, half of the chaos, the conditions
// and knobs as the product has them, a fifth of the steps less, faults that last half as
// long, or begin sooner. What WithFaults does is not among them. Each is valid if p is.
func (p *Plan) Smaller() []Step {
	var steps []Step
	try := func(change func(*Plan) bool, format string, args ...any) {
		if twin := p.Clone(); change(twin) && twin.Validate() == nil {
			steps = append(steps, Step{What: fmt.Sprintf(format, args...), Plan: twin})
		}
	}
	for i := range p.Loads {
		try(dropLoad(i), "without load %s", p.Loads[i].Kind)
	}
	for i := range p.Loads {
		try(halfSessions(i), "half the sessions of load %s", p.Loads[i].Kind)
		try(halfSteps(i), "half the steps of load %s", p.Loads[i].Kind)
	}
	try(halfChaos, "half the chaos")
	try(halfTimes, "all faults twice as early")
	try(plainKnobs, "without knobs")
	for _, k := range knobs() {
		try(k.reset, "without knob %s", k.name)
	}
	try(func(p *Plan) bool { return set(&p.SeededOrder, false) }, "without seeded order")
	try(func(p *Plan) bool { return set(&p.Link.Loss, 0) }, "without loss on the links")
	try(func(p *Plan) bool { return set(&p.Link.Jitter, 0) }, "without jitter on the links")
	for i := range p.Loads {
		try(fewerSteps(i), "a fifth less of load %s", p.Loads[i].Kind)
	}
	for i := range p.Faults {
		try(halfFault(i), "fault %d half as long", i)
		try(halfWait(i), "half the wait before fault %d", i)
	}
	return steps
}

// set changes a value, and reports whether it was another one.
func set[T comparable](to *T, value T) bool {
	changed := *to != value
	*to = value
	return changed
}

func dropLoad(i int) func(*Plan) bool {
	return func(p *Plan) bool {
		if len(p.Loads) < 2 {
			return false
		}
		p.Loads = append(p.Loads[:i], p.Loads[i+1:]...)
		return true
	}
}

func halfSessions(i int) func(*Plan) bool {
	return func(p *Plan) bool {
		return set(&p.Loads[i].Sessions, max(1, p.Loads[i].Sessions/2))
	}
}

func halfSteps(i int) func(*Plan) bool {
	return func(p *Plan) bool {
		if p.Loads[i].Steps <= fewSteps {
			return false
		}
		return set(&p.Loads[i].Steps, max(fewSteps, p.Loads[i].Steps/2))
	}
}

func fewerSteps(i int) func(*Plan) bool {
	return func(p *Plan) bool {
		return p.Loads[i].Steps > 2*fewSteps && set(&p.Loads[i].Steps, p.Loads[i].Steps*4/5)
	}
}

// halfChaos keeps the faults as they are: those that begin behind the end are dropped
// before, where they do nothing.
func halfChaos(p *Plan) bool {
	half := max(Span(shortChaos), p.Chaos/2)
	for i := range p.Faults {
		half = max(half, p.Faults[i].At)
	}
	if half >= p.Chaos {
		return false
	}
	p.Chaos = half
	return true
}

// halfTimes brings faults, and the end of the chaos, twice as early.
func halfTimes(p *Plan) bool {
	if len(p.Faults) == 0 || time.Duration(p.Faults[len(p.Faults)-1].At) <= shortWait {
		return false
	}
	for i := range p.Faults {
		p.Faults[i].At /= 2
	}
	p.Chaos = max(min(p.Chaos, Span(shortChaos)), p.Chaos/2)
	return true
}

// halfWait takes half of the time away in which nothing begins before a fault.
func halfWait(i int) func(*Plan) bool {
	return func(p *Plan) bool {
		var before Span
		if i > 0 {
			before = p.Faults[i-1].At
		}
		sooner := (p.Faults[i].At - before) / 2
		if time.Duration(sooner) < shortWait {
			return false
		}
		for j := i; j < len(p.Faults); j++ {
			p.Faults[j].At -= sooner
		}
		p.Chaos = max(min(p.Chaos, Span(shortChaos)), p.Chaos-sooner)
		return true
	}
}

func halfFault(i int) func(*Plan) bool {
	return func(p *Plan) bool {
		f := &p.Faults[i]
		if time.Duration(f.For) <= shortFault {
			return false
		}
		f.For /= 2
		return true
	}
}

func plainKnobs(p *Plan) bool { return set(&p.Knobs, Knobs{}) }

type knob struct {
	name  string
	reset func(*Plan) bool
}

// knobs lists the knobs, by what sets each back to what the product has.
func knobs() []knob {
	number := func(name string, at func(*Knobs) *int) knob {
		return knob{name, func(p *Plan) bool { return set(at(&p.Knobs), 0) }}
	}
	span := func(name string, at func(*Knobs) *Span) knob {
		return knob{name, func(p *Plan) bool { return set(at(&p.Knobs), 0) }}
	}
	return []knob{
		number("shards", func(k *Knobs) *int { return &k.Shards }),
		number("queue_ops", func(k *Knobs) *int { return &k.QueueOps }),
		number("batch_ops", func(k *Knobs) *int { return &k.BatchOps }),
		number("ahead_bytes", func(k *Knobs) *int { return &k.AheadBytes }),
		number("cache_bytes", func(k *Knobs) *int { return &k.CacheBytes }),
		number("journal_notes", func(k *Knobs) *int { return &k.JournalNotes }),
		number("max_repairs", func(k *Knobs) *int { return &k.MaxRepairs }),
		number("max_requests", func(k *Knobs) *int { return &k.MaxRequests }),
		span("send_timeout", func(k *Knobs) *Span { return &k.SendTimeout }),
		span("timeout", func(k *Knobs) *Span { return &k.Timeout }),
		span("try_timeout", func(k *Knobs) *Span { return &k.TryTimeout }),
		number("attempts", func(k *Knobs) *int { return &k.Attempts }),
		span("probe", func(k *Knobs) *Span { return &k.Probe }),
		number("hint_bytes", func(k *Knobs) *int { return &k.HintBytes }),
		span("hint_after", func(k *Knobs) *Span { return &k.HintAfter }),
		span("tick", func(k *Knobs) *Span { return &k.Tick }),
		number("snapshot_entries", func(k *Knobs) *int { return &k.SnapshotEntries }),
		number("hash_every", func(k *Knobs) *int { return &k.HashEvery }),
		span("dead_after", func(k *Knobs) *Span { return &k.DeadAfter }),
		span("session_ttl", func(k *Knobs) *Span { return &k.SessionTTL }),
		span("exchange", func(k *Knobs) *Span { return &k.Exchange }),
		span("purge", func(k *Knobs) *Span { return &k.Purge }),
		{"small_tables", func(p *Plan) bool { return set(&p.Knobs.SmallTables, false) }},
	}
}
