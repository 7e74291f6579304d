// SPDX-License-Identifier: Apache-2.0

package nemesis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Options say what may be drawn.
type Options struct {
	// Nodes and Duration are those of the plan.
	Nodes    int
	Duration time.Duration
	// Have is what the environment can do, Points the failpoints of the program: without one
	// Have is taken to be without Failpoints.
	Have   Needs
	Points []string
	// Groups and Kinds are those that are wanted; with none of both all are.
	Groups []Group
	Kinds  []Kind
	// Without leaves kinds out.
	Without []Kind
}

// Lacks are the kinds that are wanted, and can not be had for what they need.
func (o *Options) Lacks() []Kind {
	var lacks []Kind
	for _, in := range Kinds() {
		if o.wants(&in) && o.lacks(&in) != 0 {
			lacks = append(lacks, in.Kind)
		}
	}
	return lacks
}

// lacks are what a kind needs, and can not be had.
func (o *Options) lacks(in *Info) Needs {
	have := o.Have
	if len(o.Points) == 0 {
		have &^= Failpoints
	}
	return in.Needs &^ have
}

func (o *Options) wants(in *Info) bool {
	if slices.Contains(o.Without, in.Kind) {
		return false
	}
	all := len(o.Groups) == 0 && len(o.Kinds) == 0
	return all || slices.Contains(o.Groups, in.Group) || slices.Contains(o.Kinds, in.Kind)
}

// possible are the kinds of which a plan is drawn.
func (o *Options) possible() []Info {
	return slices.DeleteFunc(Kinds(), func(in Info) bool {
		return !o.wants(&in) || o.lacks(&in) != 0 || in.least > o.Duration-2*calm ||
			o.Nodes < in.nodes
	})
}

// How a plan is spread over its time.
const (
	// calm is without faults at the beginning and at the end.
	calm = 3 * time.Second
	// gapLeast and gapMost are between the beginnings of two faults.
	gapLeast, gapMost = time.Second, 4 * time.Second
	// again is after how long it is tried again where none could begin.
	again = 500 * time.Millisecond
	// atOnce is how many faults there are at a time, at most.
	atOnce = 3
	// stretch is how long faults come before there is quiet, as long as it says: time to see
	// what recovers by itself.
	stretch, quiet = time.Minute, 8 * time.Second
	// recovers is for how long nothing else holds a node after a fault that did: a process
	// that was started has to get somewhere before it is killed again, most of the time.
	recovers = 3 * time.Second
	// patience is how often a kind may be passed over before others wait for it.
	patience = 4
)

// drawing is a plan that is being drawn.
type drawing struct {
	plan   *Plan
	rng    *rand.Rand
	points []string
	// deck are the kinds that are still to come before one comes again; passed is how often
	// the first of them could not be had.
	kinds, deck []Info
	passed      int
	// filling are kinds that hold no node, for when none of the deck can be had.
	filling []Info
	known   map[Kind]Info
}

// Draw draws the plan of a seed: the same one for the same options.
func Draw(seed uint64, o Options) (*Plan, error) {
	d := &drawing{
		plan: &Plan{
			Version: Version, Seed: seed, Nodes: o.Nodes, Duration: Span(o.Duration),
		},
		rng:    rand.New(rand.NewPCG(seed, 0x6e656d65736973)),
		known:  byName(),
		points: o.Points,
	}
	if err := d.plan.check(); err != nil {
		return nil, err
	}
	d.plan.Spare = d.rng.IntN(o.Nodes)
	if d.kinds = o.possible(); len(d.kinds) == 0 {
		return nil, fmt.Errorf("%w: this environment can do none of the kinds that are "+
			"asked for, with %d nodes in %v; it lacks %v", ErrInvalid, o.Nodes, o.Duration, o.Lacks())
	}
	for begin, end := calm, o.Duration-calm; begin < end; begin += stretch + quiet {
		until := min(end, begin+stretch)
		if end-until < quiet+calm { // too little would be left for another stretch
			until = end
		}
		d.stretch(begin, until)
		if until == end {
			break
		}
	}
	return d.plan, d.plan.Validate()
}

// stretch draws the faults of a while that has quiet before and behind it.
func (d *drawing) stretch(at, until time.Duration) {
	for at < until {
		if d.active(at) >= atOnce || !d.next(at, until) && !d.fill(at, until) {
			at += again
			continue
		}
		at += gapLeast + time.Duration(d.rng.Int64N(int64(gapMost-gapLeast)))
	}
}

// active is how many faults there are at a moment.
func (d *drawing) active(at time.Duration) int {
	n := 0
	for i := range d.plan.Faults {
		if f := &d.plan.Faults[i]; time.Duration(f.At) <= at && at < f.End() {
			n++
		}
	}
	return n
}

// next adds a fault of the first kind of the deck that can be had at a moment, and reports
// whether there was any.
func (d *drawing) next(at, until time.Duration) bool {
	if len(d.deck) == 0 {
		d.deck = slices.Clone(d.kinds)
		d.rng.Shuffle(len(d.deck), func(i, j int) { d.deck[i], d.deck[j] = d.deck[j], d.deck[i] })
	}
	for i := range d.deck {
		in := d.deck[i]
		if i > 0 && in.Holds && d.passed >= patience {
			continue // the nodes are to become free for the first one
		}
		f, ok := d.try(&in, at, until)
		if !ok {
			continue
		}
		if d.passed++; i == 0 {
			d.passed = 0
		}
		d.deck = slices.Delete(d.deck, i, i+1)
		d.plan.Faults = append(d.plan.Faults, f)
		return true
	}
	return false
}

// fill adds a fault that holds no node and takes no answer away, of a kind that is not there
// at the moment, where nothing has begun for a while: those of the deck may all wait for nodes.
func (d *drawing) fill(at, until time.Duration) bool {
	if n := len(d.plan.Faults); n > 0 && at-time.Duration(d.plan.Faults[n-1].At) < gapMost {
		return false
	}
	if len(d.filling) == 0 {
		d.filling = slices.DeleteFunc(slices.Clone(d.kinds), func(in Info) bool {
			return in.Holds || in.Outage
		})
		d.rng.Shuffle(len(d.filling), func(i, j int) {
			d.filling[i], d.filling[j] = d.filling[j], d.filling[i]
		})
	}
	for i := range d.filling {
		in := d.filling[i]
		if slices.ContainsFunc(d.plan.Faults, func(f Fault) bool {
			return f.Kind == in.Kind && f.End() > at
		}) {
			continue
		}
		if f, ok := d.try(&in, at, until); ok {
			d.filling = slices.Delete(d.filling, i, i+1)
			d.plan.Faults = append(d.plan.Faults, f)
			return true
		}
	}
	return false
}

// try draws a fault of a kind, if there is time for it and nodes are free.
func (d *drawing) try(in *Info, at, until time.Duration) (Fault, bool) {
	most := min(in.most, until-at)
	if most < in.least {
		return Fault{}, false
	}
	f := Fault{Kind: in.Kind, At: Span(at)}
	f.For = Span(in.least + time.Duration(d.rng.Int64N(int64(most-in.least)+1)))
	f.For -= f.For % Span(time.Millisecond)
	f.Nodes = d.pick(in, &f)
	if wants := in.Whom != Everybody && in.Whom != Leader; wants && len(f.Nodes) == 0 {
		return Fault{}, false
	}
	if in.Holds && !d.plan.free(d.known, &f, len(d.plan.Faults), recovers) {
		return Fault{}, false
	}
	if in.draw != nil {
		in.draw(d, &f)
	}
	return f, true
}

// pick draws whom a fault meets; of those who are to be held only nodes that are free.
func (d *drawing) pick(in *Info, f *Fault) []int {
	all := d.rng.Perm(d.plan.Nodes)
	if in.Holds {
		all = slices.DeleteFunc(all, func(node int) bool {
			one := Fault{Kind: f.Kind, At: f.At, For: f.For, Nodes: []int{node}}
			return !d.plan.free(d.known, &one, len(d.plan.Faults), recovers)
		})
	}
	n := 0
	switch in.Whom {
	case One:
		n = 1
	case Some:
		n = 1 + d.rng.IntN((d.plan.Nodes-1)/2)
	case Side:
		n = 1 + d.rng.IntN(d.plan.Nodes-1)
	case SpareNode:
		return []int{d.plan.Spare}
	}
	picked := slices.Clone(all[:min(n, len(all))])
	slices.Sort(picked)
	if len(picked) == 0 {
		return nil
	}
	return picked
}

func drawWay(d *drawing, f *Fault) { f.N = d.rng.IntN(2) }

func drawShare(least, most float64) func(*drawing, *Fault) {
	return func(d *drawing, f *Fault) { f.Share = least + d.rng.Float64()*(most-least) }
}

func drawBy(least, most time.Duration) func(*drawing, *Fault) {
	return func(d *drawing, f *Fault) { f.By = d.between(least, most) }
}

// drawStep draws a time forwards or backwards.
func drawStep(least, most time.Duration) func(*drawing, *Fault) {
	return func(d *drawing, f *Fault) {
		if f.By = d.between(least, most); d.rng.IntN(2) == 0 {
			f.By = -f.By
		}
	}
}

func drawDisorder(d *drawing, f *Fault) {
	drawShare(0.05, 0.5)(d, f)
	drawBy(time.Millisecond, 100*time.Millisecond)(d, f)
}

func drawTimes(least, most int) func(*drawing, *Fault) {
	return func(d *drawing, f *Fault) { f.N = least + d.rng.IntN(most-least+1) }
}

// drawPoint draws a failpoint, and one of its first passes rather than a late one: some are
// passed once in a life.
func drawPoint(d *drawing, f *Fault) {
	f.Point = d.points[d.rng.IntN(len(d.points))]
	f.N = 1 << d.rng.IntN(10)
}

// drawRate draws from a modem's to that of a slow line: 8 kbit/s to 10 Mbit/s.
func drawRate(d *drawing, f *Fault) { f.N = 1 << (10 + d.rng.IntN(11)) }

// drawDrift draws half of the speed to twice of it.
func drawDrift(d *drawing, f *Fault) { f.N = -500_000 + d.rng.IntN(1_500_001) }

// between draws more short times than long ones, to the millisecond.
func (d *drawing) between(least, most time.Duration) Span {
	x := d.rng.Float64()
	s := least + time.Duration(x*x*float64(most-least))
	return Span(max(s-s%time.Millisecond, time.Millisecond))
}
