// SPDX-License-Identifier: Apache-2.0

package ring

// flow is a minimum cost flow of the plainest kind: the primal-dual method, with shortest
// paths by relaxation and blocking flows along them. It shares no idea with the solver.
type flow struct {
	arcs [][]flowArc
	low  int // sum of all lower bounds
}

type flowArc struct {
	to, back int // back is the index of the reverse arc at to
	left     int // capacity that is left
	cost     int
}

// lowerGain makes a unit below a lower bound worth more than all costs together.
const lowerGain = 1 << 24

func newFlow(vertices int) *flow { return &flow{arcs: make([][]flowArc, vertices)} }

// arc adds an arc that carries lo to hi units, each at that cost.
func (f *flow) arc(from, to, lo, hi, cost int) {
	add := func(capacity, cost int) {
		if capacity == 0 {
			return
		}
		f.arcs[from] = append(f.arcs[from], flowArc{to, len(f.arcs[to]), capacity, cost})
		f.arcs[to] = append(f.arcs[to], flowArc{from, len(f.arcs[from]) - 1, 0, -cost})
	}
	add(lo, cost-lowerGain)
	add(hi-lo, cost)
	f.low += lo
}

// solve sends units from source to sink and returns the least cost, or false where the
// bounds can not be kept.
func (f *flow) solve(source, sink, units int) (int, bool) {
	cost, sent := 0, 0
	for sent < units {
		distance := f.distances(source)
		if distance[sink] == unreached {
			return 0, false
		}
		visiting := make([]bool, len(f.arcs))
		next := make([]int, len(f.arcs))
		for sent < units {
			n := f.send(source, sink, units-sent, distance, visiting, next)
			if n == 0 {
				break
			}
			sent += n
			cost += n * distance[sink]
		}
	}
	cost += f.low * lowerGain
	return cost, cost < lowerGain
}

const unreached = 1 << 60

func (f *flow) distances(source int) []int {
	distance := make([]int, len(f.arcs))
	for v := range distance {
		distance[v] = unreached
	}
	distance[source] = 0
	queued := make([]bool, len(f.arcs))
	queue := []int{source}
	for len(queue) > 0 {
		v := queue[0]
		queue, queued[v] = queue[1:], false
		for _, a := range f.arcs[v] {
			if a.left > 0 && distance[v]+a.cost < distance[a.to] {
				distance[a.to] = distance[v] + a.cost
				if !queued[a.to] {
					queue, queued[a.to] = append(queue, a.to), true
				}
			}
		}
	}
	return distance
}

// send pushes up to most units along one shortest path and returns how many.
func (f *flow) send(v, sink, most int, distance []int, visiting []bool, next []int) int {
	if v == sink {
		return most
	}
	visiting[v] = true
	defer func() { visiting[v] = false }()
	for ; next[v] < len(f.arcs[v]); next[v]++ {
		a := &f.arcs[v][next[v]]
		if a.left == 0 || visiting[a.to] || distance[v]+a.cost != distance[a.to] {
			continue
		}
		if n := f.send(a.to, sink, min(most, a.left), distance, visiting, next); n > 0 {
			a.left -= n
			f.arcs[a.to][a.back].left += n
			return n
		}
	}
	return 0
}
