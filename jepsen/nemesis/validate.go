// SPDX-License-Identifier: Apache-2.0

package nemesis

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Bounds of a plan.
const (
	LeastNodes, MostNodes       = 3, 9
	LeastDuration, MostDuration = 10 * time.Second, 12 * time.Hour

	maxFaults = 1 << 15
	// mostPasses is after how many passes of a failpoint a process can be killed, longestPoint
	// how long the name of one is.
	mostPasses, longestPoint = 512, 100
)

// check says what is wrong with the size of a plan.
func (p *Plan) check() error {
	switch {
	case p.Version != Version:
		return fmt.Errorf("%w: version %d, must be %d", ErrInvalid, p.Version, Version)
	case p.Nodes < LeastNodes || p.Nodes > MostNodes:
		return fmt.Errorf("%w: %d nodes, must be %d to %d", ErrInvalid, p.Nodes, LeastNodes, MostNodes)
	case p.Duration < Span(LeastDuration) || p.Duration > Span(MostDuration):
		return fmt.Errorf("%w: %v, must be %v to %v", ErrInvalid, p.Duration, LeastDuration,
			MostDuration)
	case p.Spare < 0 || p.Spare >= p.Nodes:
		return fmt.Errorf("%w: node %d is spare, of %d", ErrInvalid, p.Spare, p.Nodes)
	case len(p.Faults) > maxFaults:
		return fmt.Errorf("%w: %d faults, at most %d", ErrInvalid, len(p.Faults), maxFaults)
	}
	return nil
}

// Validate returns what is wrong with the plan, all of it.
func (p *Plan) Validate() error {
	if err := p.check(); err != nil {
		return err
	}
	var errs []error
	if !slices.IsSortedFunc(p.Faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) }) {
		errs = append(errs, fmt.Errorf("%w: faults are not in the order of their beginnings",
			ErrInvalid))
	}
	known := byName()
	for i := range p.Faults {
		if why := p.wrong(known, i); why != "" {
			errs = append(errs, fmt.Errorf("%w: fault %d (%.20s): %s", ErrInvalid, i,
				p.Faults[i].Kind, why))
		}
	}
	return errors.Join(errs...)
}

// wrong says what is wrong with a fault; "" where nothing is.
func (p *Plan) wrong(kinds map[Kind]Info, place int) string {
	f := &p.Faults[place]
	in, known := kinds[f.Kind]
	fits := in.valid
	if fits == nil {
		fits = func(f *Fault) bool { return f.N == 0 && f.Share == 0 && f.By == 0 }
	}
	switch {
	case !known:
		return "no such kind"
	case f.At < 0 || f.For <= 0 || f.For > Span(in.most) || f.End() > time.Duration(p.Duration):
		return fmt.Sprintf("from %v for %v, in a plan of %v, at most %v", f.At, f.For, p.Duration,
			in.most)
	case p.Nodes < in.nodes:
		return fmt.Sprintf("it needs %d nodes, there are %d", in.nodes, p.Nodes)
	case !p.meets(&in, f.Nodes):
		return fmt.Sprintf("it can not meet %v", f.Nodes)
	case !fits(f):
		return fmt.Sprintf("n %d, share %v, by %v are out of its bounds", f.N, f.Share, f.By)
	case (in.Needs&Failpoints != 0) != (f.Point != "") || len(f.Point) > longestPoint:
		return fmt.Sprintf("failpoint %.20q", f.Point)
	case in.Holds && !p.free(kinds, f, place, 0):
		return "it meets nodes that have a fault, or too many at a time"
	}
	return ""
}

// meets reports whether a kind can meet these nodes.
func (p *Plan) meets(in *Info, nodes []int) bool {
	for i, node := range nodes {
		if node < 0 || node >= p.Nodes || i > 0 && nodes[i-1] >= node {
			return false
		}
	}
	switch in.Whom {
	case One:
		return len(nodes) == 1
	case Some:
		return len(nodes) > 0 && len(nodes) <= (p.Nodes-1)/2
	case Side:
		return len(nodes) > 0 && len(nodes) < p.Nodes
	case SpareNode:
		return slices.Equal(nodes, []int{p.Spare})
	default:
		return len(nodes) == 0
	}
}

// free reports whether a fault can hold its nodes beside those of the first n faults of the
// plan (I2, I3), each of which holds its own for a while longer.
func (p *Plan) free(kinds map[Kind]Info, f *Fault, n int, longer time.Duration) bool {
	held := make(map[int]bool)
	for _, node := range f.Nodes {
		held[node] = true
	}
	for i := range p.Faults[:n] {
		other := &p.Faults[i]
		apart := other.End()+longer <= time.Duration(f.At) ||
			f.End()+longer <= time.Duration(other.At)
		if apart || !kinds[other.Kind].Holds {
			continue
		}
		if len(f.Nodes) == 0 || len(other.Nodes) == 0 {
			return false // one of them meets everybody, or whoever leads
		}
		for _, node := range other.Nodes {
			if slices.Contains(f.Nodes, node) {
				return false
			}
			held[node] = true
		}
	}
	return len(held) <= (p.Nodes-1)/2
}

// Bounds of a fault's fields, one of which a kind has; the others must be zero.

func share(f *Fault) bool { return f.Share > 0 && f.Share <= 1 && f.N == 0 && f.By == 0 }

func by(most time.Duration) func(*Fault) bool {
	return func(f *Fault) bool { return shift(most)(f) && f.By > 0 }
}

// shift is by that may be negative.
func shift(most time.Duration) func(*Fault) bool {
	return func(f *Fault) bool {
		d := time.Duration(f.By)
		return d != 0 && d <= most && d >= -most && f.N == 0 && f.Share == 0
	}
}

func late(f *Fault) bool {
	return f.Share > 0 && f.Share <= 1 && f.N == 0 && f.By > 0 && f.By <= Span(time.Second)
}

func upTo(most int) func(*Fault) bool { return within(0, most) }

func within(least, most int) func(*Fault) bool {
	return func(f *Fault) bool {
		return f.N >= least && f.N <= most && f.Share == 0 && f.By == 0
	}
}
