// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// Point is a failpoint that a plan may use.
type Point struct {
	Name string
	// Fails says that an error makes sense there: the process may end by it.
	Fails bool
}

// Options say what may be drawn.
type Options struct {
	// Loads are the kinds of workloads that there are.
	Loads []string
	// Points are the failpoints that there are.
	Points []Point
	// Locks says that there is a workload of locks, for clusters with a metadata group.
	Locks bool
	// Group fixes whether the nodes run their metadata group; nil: half of them do.
	Group *bool
	// Engine is the engine; empty: it is drawn.
	Engine Engine
	// Without leaves kinds of faults out.
	Without []Kind
}

// heavy is the workload whose values grow with each step: all of its steps together are
// bounded, and with them the memory of a run, which frees none.
const (
	heavy      = "set"
	heavySteps = 1500
)

const (
	// operations is how many a plan asks for at most, and chaos how long that takes: with
	// the phases behind it a run is a minute and a half.
	operations = 9000
	chaos      = 36 * time.Second
	// before is how long the loads run before the first fault, after how long behind the
	// beginning of the last.
	before = time.Second
	after  = 2 * time.Second
)

// Draw draws the plan of a seed.
func Draw(seed uint64, o Options) *Plan {
	rng := rand.New(rand.NewPCG(seed, 0x706c616e))
	p := &Plan{Version: Version, Seed: seed, Chaos: Span(chaos)}
	own := rand.New(rand.NewPCG(seed, 0x67726f7570)) // of what the group adds
	if p.Grouped = own.IntN(2) == 0; o.Group != nil {
		p.Grouped = *o.Group
	}
	p.drawCluster(rng)
	p.drawEngine(rng, o.Engine)
	p.drawConditions(rng)
	p.drawKnobs(rng)
	p.drawHints(rand.New(rand.NewPCG(seed, 0x68696e7473)))
	p.drawExchange(rand.New(rand.NewPCG(seed, 0x726570616972)))
	p.drawLoads(rng, o.Loads)
	if p.Grouped {
		p.drawGroup(own, o.Locks)
		if p.gentle(own) {
			p.drawGentle(own, &o)
			return p
		}
	}
	p.drawFaults(rng, o)
	p.drawRefills(rand.New(rand.NewPCG(seed, 0x726566696c6c)), &o)
	return p
}

func (p *Plan) drawCluster(rng *rand.Rand) {
	c := &p.Cluster
	c.Nodes = pick(rng, 3, 3, 3, 4, 5, 5, 6, 7)
	if p.Grouped {
		c.Nodes = pick(rng, 1, 2, 3, 3, 3, 4, 5, 5, 6, 7)
	}
	c.Replicas = min(c.Nodes, pick(rng, 1, 2, 3, 3, 3, 3, 3, 3, 4, 5))
	c.Partitions = pick(rng, 2, 4, 8, 16, 64)
	if c.Replicas >= 3 && rng.IntN(3) == 0 {
		p.Spare = 1 + rng.IntN(c.Nodes)
	}
	for _, i := range rng.Perm(c.Nodes) {
		if h := i + 1; h != p.Spare && len(p.Core) < c.Needed() {
			p.Core = append(p.Core, h)
		}
	}
	slices.Sort(p.Core)
}

func (p *Plan) drawEngine(rng *rand.Rand, fixed Engine) {
	p.Engine = fixed
	if fixed == "" {
		p.Engine = pick(rng, EngineDisk, EngineDisk, EngineDisk, EngineMemory, EngineTmpfs)
	}
	if p.Engine == EngineMemory {
		p.Spare = 0
	}
}

func (p *Plan) drawConditions(rng *rand.Rand) {
	p.SeededOrder = rng.IntN(2) == 0
	p.Link = Link{Delay: between(rng, 50*time.Microsecond, 5*time.Millisecond)}
	p.Link.Jitter = between(rng, 10*time.Microsecond, time.Duration(p.Link.Delay))
	if rng.IntN(4) == 0 {
		p.Link.Loss = rng.Float64() / 100
	}
	p.Sync = between(rng, 100*time.Microsecond, 10*time.Millisecond)
}

// drawExchange draws how often replicas are compared, and when tombstones go: mostly far
// sooner than in the product, for a run is short.
func (p *Plan) drawExchange(rng *rand.Rand) {
	if rng.IntN(4) > 0 {
		p.Knobs.Exchange = between(rng, 2*time.Second, 20*time.Second)
	}
	if p.Grouped && rng.IntN(2) == 0 {
		p.Knobs.Purge = between(rng, 10*time.Second, 40*time.Second)
	}
}

// drawKnobs leaves most of them alone: a run with everything tiny shows little else.
func (p *Plan) drawKnobs(rng *rand.Rand) {
	k := &p.Knobs
	some := func(do func()) {
		if rng.IntN(4) == 0 {
			do()
		}
	}
	some(func() { k.Shards = pick(rng, 1, 2, 8) })
	some(func() { k.QueueOps = pick(rng, 8, 16, 64) })
	some(func() { k.BatchOps = pick(rng, 1, 2, 4, 16) })
	some(func() { k.AheadBytes = pick(rng, 1<<10, 16<<10) })
	some(func() { k.CacheBytes = pick(rng, 1, 1<<10, 32<<10) })
	// Together: each commit is waited for, and nothing of it is kept in memory.
	some(func() { k.AheadBytes, k.CacheBytes = 1, 1 })
	some(func() { k.JournalNotes = pick(rng, 16, 256) })
	some(func() { k.MaxRepairs = pick(rng, 1, 2, 8) })
	some(func() { k.MaxRequests = pick(rng, 8, 16, 32) })
	some(func() { k.SendTimeout = between(rng, 200*time.Millisecond, 10*time.Second) })
	some(func() { k.Timeout = between(rng, 500*time.Millisecond, 20*time.Second) })
	some(func() { k.TryTimeout = between(rng, 50*time.Millisecond, 2*time.Second) })
	some(func() { k.Attempts = pick(rng, 1, 2, 3, 16) })
	some(func() { k.Probe = between(rng, 200*time.Millisecond, 2*time.Second) })
	k.SmallTables = rng.IntN(2) == 0
}

// drawHints draws how much nodes keep for others, down to nothing, and how soon they are
// asked to: with little patience every slow disk makes hints.
func (p *Plan) drawHints(rng *rand.Rand) {
	if rng.IntN(4) == 0 {
		p.Knobs.HintBytes = pick(rng, 1, 4<<10, 64<<10)
	}
	if rng.IntN(4) == 0 {
		p.Knobs.HintAfter = between(rng, time.Millisecond, time.Second)
	}
}

func (p *Plan) drawLoads(rng *rand.Rand, kinds []string) {
	if len(kinds) == 0 {
		return
	}
	order := rng.Perm(len(kinds))[:min(len(kinds), 2+rng.IntN(3))]
	slices.Sort(order)
	sessions := 2 + rng.IntN(4) // of each
	for _, i := range order {
		steps := operations / (sessions * len(order))
		if kinds[i] == heavy {
			steps = min(steps, heavySteps/sessions)
		}
		p.Loads = append(p.Loads, Load{
			Kind: kinds[i], Sessions: sessions, Steps: steps,
			Pause: Span(chaos / 2 / time.Duration(steps)), // the rest is for the answers
		})
	}
}

func (p *Plan) drawFaults(rng *rand.Rand, o Options) {
	var kinds []Info
	for _, in := range Kinds() {
		if drawn := rng.IntN(2) == 0; drawn && p.allows(&in, &o) {
			kinds = append(kinds, in)
		}
	}
	if len(kinds) == 0 || rng.IntN(50) == 0 {
		return // a run in peace, which must find nothing to complain of at all
	}
	n := 4 + rng.IntN(16)
	for range n {
		in := kinds[rng.IntN(len(kinds))]
		f := Fault{Kind: in.Kind, At: between(rng, before, chaos-after)}
		in.draw(rng, p, &f)
		if p.usePoint(rng, &f, o.Points) {
			p.Faults = append(p.Faults, f)
		}
	}
	slices.SortStableFunc(p.Faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
}

// allows reports whether the plan has what a kind needs.
func (p *Plan) allows(in *Info, o *Options) bool {
	switch {
	case slices.Contains(o.Without, in.Kind):
		return false
	case in.Needs&KeepsData != 0 && p.Engine == EngineMemory,
		in.Needs&SpareHost != 0 && p.Spare == 0,
		in.Needs&RealGroup != 0 && !p.Grouped,
		in.Needs&StandIn != 0 && p.Grouped,
		in.Needs&Several != 0 && p.Cluster.Nodes == 1:
		return false
	}
	return true
}

// usePoint draws the failpoint of those that have one, and reports whether there is any.
func (p *Plan) usePoint(rng *rand.Rand, f *Fault, points []Point) bool {
	if f.Kind != CrashAt && f.Kind != SlowAt && f.Kind != FailAt {
		return true
	}
	if f.Kind == FailAt {
		points = slices.DeleteFunc(slices.Clone(points), func(x Point) bool { return !x.Fails })
	}
	if len(points) == 0 {
		return false
	}
	f.Point = points[rng.IntN(len(points))].Name
	return true
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// between draws more short times than long ones, in odd nanoseconds.
func between(rng *rand.Rand, least, most time.Duration) Span {
	x := rng.Float64()
	return Span(least + time.Duration(x*x*float64(most-least))/2*2 + 1)
}
