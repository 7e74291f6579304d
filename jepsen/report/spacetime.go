// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

const (
	// maxBeside bounds what is drawn of a key beside the operations of a violation.
	maxBeside = 16
	// maxPath bounds the operations of one violation that are drawn.
	maxPath = 24

	laneHeight = 46
	laneLeft   = 8 // names stand in a picture of their own, left of it
	laneTop    = 40
	laneMost   = 1500 // pixels of the time axis, about
)

// spaceTime is the diagram of what processes asked nodes around a violation. Time runs to
// the right, and is stretched where much happens.
type spaceTime struct {
	Width, Height int
	Lanes         []lane
	Marks         []timeMark
	Bands         []band
	Bars          []*bar
}

// lane is the line of a process, or of a node.
type lane struct {
	Y          int
	Name, Full string
	Node       bool
	Right      int
}

type timeMark struct {
	X    float64
	Y    int
	Text string
}

// band is a fault, on the lane of the node that it meets, or on all of them.
type band struct {
	X, Width  float64
	Y, Height int
	Title     string
}

// bar is an operation on the lane of its process, with its way to a node and back.
type bar struct {
	X, Width     float64
	Y, LabelY    int
	Middle       float64
	Server       int // the lane of the node; 0: it is not known
	Answered     bool
	Number       int // in the violation's path; 0: it is beside it
	Class, Label string
	Title        string
	LabelX       float64
}

// Right and Top are where its rectangle ends, and begins.
func (b *bar) Right() float64 { return b.X + b.Width }
func (b *bar) Top() int       { return b.Y - 5 }

// newSpaceTime draws one violation; nil where it has no operations.
func newSpaceTime(h *history.History, v *checker.Violation, faults []Fault) *spaceTime {
	path := known(h, v.Ops)
	if len(path) == 0 {
		return nil
	}
	told := slices.Concat(path, beside(h, v.Key, path))
	slices.SortStableFunc(told, func(a, b int) int {
		return cmp.Compare(h.Ops[a].Invoked, h.Ops[b].Invoked)
	})
	axis := newAxis(h, told)
	d := &spaceTime{Width: int(axis.end()) + 40}
	lanes := d.addLanes(h, told)
	d.addMarks(axis)
	d.addBands(axis, lanes, faults)
	free := make(map[int]float64) // from where on a lane has room for a label
	for _, i := range told {
		d.addBar(axis, lanes, free, &h.Ops[i], slices.Index(path, i)+1)
	}
	return d
}

// known are the places of operations that are in the history, not too many of them, as a
// result may be of another one.
func known(h *history.History, ops []int) []int {
	var list []int
	for _, i := range ops {
		if i >= 0 && i < len(h.Ops) && len(list) < maxPath && !slices.Contains(list, i) {
			list = append(list, i)
		}
	}
	return list
}

// beside are operations on the same key that are nearest in time to those of the path.
func beside(h *history.History, key string, path []int) []int {
	type near struct {
		op       int
		distance int64
	}
	var all []near
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Key != key || slices.Contains(path, i) {
			continue
		}
		n := near{i, math.MaxInt64}
		for _, p := range path {
			n.distance = min(n.distance, max(0, op.Invoked-h.Ops[p].Completed,
				h.Ops[p].Invoked-op.Completed))
		}
		all = append(all, n)
	}
	slices.SortStableFunc(all, func(a, b near) int { return cmp.Compare(a.distance, b.distance) })
	var list []int
	for _, n := range all[:min(len(all), maxBeside)] {
		list = append(list, n.op)
	}
	return list
}

// axis maps times to pixels: between two of its times by the logarithm of what lies between.
type axis struct {
	times []int64
	at    []float64
}

func newAxis(h *history.History, ops []int) *axis {
	a := &axis{}
	for _, i := range ops {
		a.times = append(a.times, h.Ops[i].Invoked, h.Ops[i].Completed)
	}
	slices.Sort(a.times)
	a.times = slices.Compact(a.times)
	a.at = make([]float64, len(a.times))
	for i := 1; i < len(a.times); i++ {
		gap := float64(a.times[i]-a.times[i-1]) / 1000
		a.at[i] = a.at[i-1] + 16 + 12*math.Log10(1+gap)
	}
	scale := 1.0
	if last := a.at[len(a.at)-1]; last > laneMost {
		scale = laneMost / last
	}
	for i := range a.at {
		a.at[i] = laneLeft + 20 + a.at[i]*scale
	}
	return a
}

func (a *axis) end() float64 { return a.at[len(a.at)-1] + 60 }

// x is where a time is; what is before or after all of them is at the edge.
func (a *axis) x(at int64) float64 {
	i, found := slices.BinarySearch(a.times, at)
	switch {
	case found:
		return a.at[i]
	case i == 0:
		return a.at[0] - 20
	case i == len(a.times):
		return a.at[i-1] + 60
	}
	share := float64(at-a.times[i-1]) / float64(a.times[i]-a.times[i-1])
	return a.at[i-1] + share*(a.at[i]-a.at[i-1])
}

// addLanes makes a lane for each process and each node, and returns where they are.
func (d *spaceTime) addLanes(h *history.History, ops []int) map[string]int {
	var processes []int
	var nodes []string
	for _, i := range ops {
		processes = append(processes, h.Ops[i].Process)
		if node := h.Ops[i].Node; node != "" {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(processes)
	slices.Sort(nodes)
	lanes := make(map[string]int)
	y := laneTop + laneHeight/2
	add := func(name, id string, node bool) {
		lanes[id] = y
		d.Lanes = append(d.Lanes, lane{y, short(name, 15), name, node, d.Width})
		y += laneHeight
	}
	for _, p := range slices.Compact(processes) {
		add(fmt.Sprintf("process %d", p), processLane(p), false)
	}
	for _, n := range slices.Compact(nodes) {
		add("node "+n, nodeLane(n), true)
	}
	d.Height = y
	return lanes
}

func processLane(p int) string    { return fmt.Sprint("p", p) }
func nodeLane(name string) string { return "n" + name }

// addMarks writes times at the top, as many as there is room for.
func (d *spaceTime) addMarks(a *axis) {
	const room = 90
	last := math.Inf(-1)
	for i, at := range a.times {
		if a.at[i]-last >= room {
			d.Marks = append(d.Marks, timeMark{a.at[i], d.Height, history.Clock(at)})
			last = a.at[i]
		}
	}
}

func (d *spaceTime) addBands(a *axis, lanes map[string]int, faults []Fault) {
	const most = 40
	first, last := a.times[0], a.times[len(a.times)-1]
	for i := range faults {
		f := &faults[i]
		if f.Until < first || f.From > last || len(d.Bands) >= most {
			continue
		}
		b := band{X: a.x(f.From), Y: laneTop, Height: d.Height - laneTop, Title: f.title()}
		b.Width = max(a.x(f.Until)-b.X, 2)
		if len(f.Nodes) == 0 {
			d.Bands = append(d.Bands, b)
		}
		for _, name := range f.Nodes {
			if y, told := lanes[nodeLane(name)]; told {
				b.Y, b.Height = y-laneHeight/2+4, laneHeight-8
				d.Bands = append(d.Bands, b)
			}
		}
	}
}

func (f *Fault) title() string {
	s := fmt.Sprintf("%s from %s for %s", f.Kind, history.Clock(f.From),
		time.Duration(f.Until-f.From).Round(time.Millisecond))
	if f.Detail != "" {
		s += ": " + f.Detail
	}
	if !f.Bit {
		s += " (met nothing)"
	}
	return s
}

func (d *spaceTime) addBar(
	a *axis, lanes map[string]int, free map[int]float64, op *history.Op, number int,
) {
	b := &bar{
		X: a.x(op.Invoked), Y: lanes[processLane(op.Process)], Number: number,
		Server: lanes[nodeLane(op.Node)], Answered: op.Outcome != history.Info,
		Class: op.Outcome.String(), Label: label(op), Title: op.String(),
	}
	b.Width = max(a.x(op.Completed)-b.X, 3)
	b.Middle = b.X + b.Width/2
	if number > 0 {
		b.Label = fmt.Sprintf("%d. %s", number, b.Label)
	} else {
		b.Class += " beside"
	}
	if op.Node == "" {
		b.Server = 0
	}
	const letter = 6.2
	width := float64(len(b.Label)) * letter
	above, below := b.Y-11, b.Y+19
	switch {
	case free[above] <= b.X:
		b.LabelY = above
	case free[below] <= b.X || number > 0:
		b.LabelY = below
	default: // no room: its title says it
		b.Label = ""
	}
	if b.Label != "" {
		free[b.LabelY] = b.X + width + 6
		d.Width = max(d.Width, int(b.X+width)+20)
	}
	d.Bars = append(d.Bars, b)
}

// label is an operation in a few letters.
func label(op *history.Op) string {
	s := op.Kind.String()
	if !op.Value.IsZero() {
		s += " " + op.Value.String()
	}
	switch {
	case op.Outcome == history.OK && (op.Kind == history.Get || op.Kind == history.Members):
		s += " " + braces(op.Read)
	case op.Granted():
		s += fmt.Sprintf(" fence %d", op.Lock.Fence)
	case op.Kind == history.Total && op.Outcome == history.OK:
		s += fmt.Sprintf(" %d", op.Total)
	}
	if op.Outcome != history.OK {
		s += " " + op.Outcome.String()
	}
	return s
}

// braces are values as a set, the first few.
func braces(values []history.Value) string {
	const few = 4
	s := "{"
	for i, v := range values[:min(len(values), few)] {
		if i > 0 {
			s += " "
		}
		s += v.String()
	}
	if len(values) > few {
		s += fmt.Sprintf(" +%d", len(values)-few)
	}
	return s + "}"
}
