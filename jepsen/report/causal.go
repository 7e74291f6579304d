// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

const (
	maxCauses = 20
	// maxEach bounds what is told of the values of one operation.
	maxEach = 6

	boxWidth, boxHeight = 214, 50
	boxAcross, boxDown  = 90, 20
	boxMargin           = 24
)

// causalGraph is who wrote over what, and who read it: causes left, effects right.
type causalGraph struct {
	Width, Height int
	Boxes         []box
	Arrows        []arrow
}

// box is an operation, or a value that nobody wrote.
type box struct {
	X, Y          int
	Head, Foot    string
	Class, Title  string
	layer, op     int
	value         history.Value
	invoked       int64
	Width, Height int
}

// arrow says how one came from the other.
type arrow struct {
	X1, Y1, X2, Y2 int
	C1, C2         int    // where the curve is drawn to
	MidX           int    // and both halves of it bend there
	Class          string // over, shows, session or missing
	from, to       int
}

// causes finds what belongs into the graph.
type causes struct {
	h      *history.History
	key    string
	writes map[history.Value]int
	at     map[int]int // operation to box
	graph  *causalGraph

	path     []int // the violation's operations
	evidence int   // the box of the last of them
}

// newCausalGraph draws one violation; nil where nothing in it came from anything else.
func newCausalGraph(
	h *history.History, writes map[history.Value]int, v *checker.Violation,
) *causalGraph {
	path := known(h, v.Ops)
	if len(path) == 0 {
		return nil
	}
	c := &causes{h: h, key: v.Key, writes: writes, at: make(map[int]int), path: path,
		graph: &causalGraph{}}
	for _, i := range path {
		c.add(i, "path")
	}
	for _, i := range path { // and what they wrote over, or showed
		c.values(&h.Ops[i], c.addValue)
	}
	c.evidence = c.at[path[len(path)-1]]
	c.graph.Boxes[c.evidence].Class += " evidence"
	for at := range c.graph.Boxes {
		c.arrows(at)
	}
	c.missing(path)
	if len(c.graph.Arrows) == 0 {
		return nil
	}
	c.graph.place(c.evidence)
	return c.graph
}

// values calls f with what an operation wrote over, and what it showed, the first of them.
func (c *causes) values(op *history.Op, f func(history.Value)) {
	for _, values := range [][]history.Value{op.Context, op.Read} {
		for _, v := range values[:min(len(values), maxEach)] {
			f(v)
		}
	}
}

func (c *causes) add(i int, class string) {
	if _, there := c.at[i]; there || len(c.graph.Boxes) >= maxCauses {
		return
	}
	op := &c.h.Ops[i]
	c.at[i] = len(c.graph.Boxes)
	foot := fmt.Sprintf("process %d, %s", op.Process, history.Clock(op.Invoked))
	if op.Node != "" {
		foot += ", " + short(op.Node, 6)
	}
	c.graph.Boxes = append(c.graph.Boxes, box{
		Head: short(label(op), 26), Foot: foot, Class: op.Outcome.String() + " " + class,
		Title: op.String(), op: i, value: op.Value, invoked: op.Invoked,
	})
}

// addValue adds who wrote a value, or that nobody did.
func (c *causes) addValue(v history.Value) {
	if i, written := c.writes[v]; written {
		c.add(i, "cause")
		return
	}
	for _, b := range c.graph.Boxes {
		if b.value == v {
			return
		}
	}
	if len(c.graph.Boxes) < maxCauses {
		c.graph.Boxes = append(c.graph.Boxes, box{
			Head: v.String(), Foot: "nobody wrote it", Class: "phantom", value: v, op: -1,
			Title: v.String() + " was never written",
		})
	}
}

// boxOf is the box of a value, -1 where there is none.
func (c *causes) boxOf(v history.Value) int {
	return slices.IndexFunc(c.graph.Boxes, func(b box) bool { return b.value == v })
}

// arrows draws what came into one box from others.
func (c *causes) arrows(at int) {
	if c.graph.Boxes[at].op < 0 {
		return
	}
	op := &c.h.Ops[c.graph.Boxes[at].op]
	draw := func(values []history.Value, class string) {
		for _, v := range values {
			if from := c.boxOf(v); from >= 0 && from != at {
				c.graph.arrow(from, at, class)
			}
		}
	}
	draw(op.Context, "over")
	draw(op.Read, "shows")
	if op.Kind == history.Delete && op.Blind { // what it found it does not say
		for _, from := range c.path {
			if w := &c.h.Ops[from]; w.Kind == history.Put && w.Key == op.Key && w.Completed < op.Invoked {
				c.graph.arrow(c.at[from], at, "over")
			}
		}
	}
	if from := c.contextOf(op); from >= 0 && from != at {
		c.graph.arrow(from, at, "session")
	}
}

// contextOf is the read whose context a write was sent with, as far as it is in the graph.
func (c *causes) contextOf(op *history.Op) int {
	found := -1
	if !op.Kind.Writes() {
		return found
	}
	for at := range c.graph.Boxes {
		if c.graph.Boxes[at].op < 0 {
			continue
		}
		r := &c.h.Ops[c.graph.Boxes[at].op]
		if r.Kind != history.Get || r.Process != op.Process || r.Key != op.Key ||
			r.Completed > op.Invoked || !sameValues(r.Read, op.Context) {
			continue
		}
		if found < 0 || r.Invoked > c.graph.Boxes[found].invoked {
			found = at
		}
	}
	return found
}

func sameValues(a, b []history.Value) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, history.Value.Compare)
	slices.SortFunc(b, history.Value.Compare)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// missing says that the read at the end shows neither the write at the beginning nor
// another one in between.
func (c *causes) missing(path []int) {
	last := &c.h.Ops[path[len(path)-1]]
	first := &c.h.Ops[path[0]]
	shows := last.Kind == history.Get || last.Kind == history.Members
	if !shows || first.Value.IsZero() || slices.Contains(last.Read, first.Value) {
		return
	}
	c.graph.arrow(c.at[path[0]], c.at[path[len(path)-1]], "missing")
}

func (g *causalGraph) arrow(from, to int, class string) {
	a := arrow{from: from, to: to, Class: class}
	if !slices.ContainsFunc(g.Arrows, func(b arrow) bool {
		return b.from == a.from && b.to == a.to && b.Class == a.Class
	}) {
		g.Arrows = append(g.Arrows, a)
	}
}

// place puts each box right of all that it came from, the evidence right of all, and draws
// the arrows.
func (g *causalGraph) place(evidence int) {
	for range g.Boxes { // as often as the longest way can be; a circle ends with it
		for _, a := range g.Arrows {
			if least := g.Boxes[a.from].layer + 1; g.Boxes[a.to].layer < least &&
				least < len(g.Boxes) {
				g.Boxes[a.to].layer = least
			}
		}
	}
	last := 0
	for i := range g.Boxes {
		if i != evidence {
			last = max(last, g.Boxes[i].layer+1)
		}
	}
	if g.Boxes[evidence].layer < last && !slices.ContainsFunc(g.Arrows, func(a arrow) bool {
		return a.from == evidence
	}) {
		g.Boxes[evidence].layer = last
	}
	order := make([]int, len(g.Boxes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(g.Boxes[a].layer, g.Boxes[b].layer),
			cmp.Compare(g.Boxes[a].invoked, g.Boxes[b].invoked))
	})
	rows := make(map[int]int)
	column, before := -1, -1
	for _, i := range order {
		b := &g.Boxes[i]
		if b.layer != before { // layers without boxes take no room
			column, before = column+1, b.layer
		}
		b.X = boxMargin + column*(boxWidth+boxAcross)
		b.Y = boxMargin + rows[column]*(boxHeight+boxDown)
		b.Width, b.Height = boxWidth, boxHeight
		rows[column]++
		g.Width = max(g.Width, b.X+boxWidth+boxMargin)
		g.Height = max(g.Height, b.Y+boxHeight+boxMargin)
	}
	for i := range g.Arrows {
		g.bend(&g.Arrows[i])
	}
}

// bend draws an arrow from the right of one box to the left of the other. One that passes
// over boxes goes lower, so that it is seen.
func (g *causalGraph) bend(a *arrow) {
	from, to := &g.Boxes[a.from], &g.Boxes[a.to]
	a.X1, a.Y1 = from.X+boxWidth, from.Y+boxHeight/2
	a.X2, a.Y2 = to.X, to.Y+boxHeight/2
	shift := 0
	switch a.Class {
	case "shows":
		shift = 8
	case "missing":
		shift = 16
	case "session":
		shift = -8
	}
	a.Y1, a.Y2 = a.Y1+shift, a.Y2+shift
	a.C1, a.C2 = a.Y1, a.Y2
	if across := a.X2 - a.X1; across > boxAcross {
		g.Height = max(g.Height, max(a.Y1, a.Y2)+boxHeight+boxDown+boxMargin)
		a.C1, a.C2 = a.Y1+boxHeight+boxDown, a.Y2+boxHeight+boxDown
	}
	a.MidX = (a.X1 + a.X2) / 2
}

// short is the beginning of a text.
func short(s string, most int) string {
	letters := []rune(s)
	if len(letters) <= most {
		return s
	}
	return string(letters[:most-1]) + "…"
}
