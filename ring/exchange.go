// SPDX-License-Identifier: Apache-2.0

package ring

// exchange improves a layout step by step, as cycle cancelling does for a minimum cost
// flow (Klein 1967). The flow is of slots: through "node i at position j", through "node
// i", to a sink. Slot (p, j) leaves node a for node b on the arc (a,j) -> (b,j), which
// exists where some list that has a at j may have b instead; its cost is 1 for a move
// away from the previous placement, -1 for a move back, 0 between two moves. The arcs to
// the node and to the sink cost nothing while the node's count is within its bounds, and
// very much outside. A cycle of negative total cost is a series of replacements that
// brings the layout nearer to its bounds or, as near, nearer to the previous placement.
//
// What this leaves out is that lists couple their slots: two arcs of a cycle may use the
// same partition. So a cycle is tried, measured, and undone where it gains nothing.
//
// Vertices are numbered: node*replicas+position, then one hub per node, then the sink.
type exchange struct {
	l        *layout
	replicas int
	nodes    int // including the vacant one
	// reorder says that nodes may change their positions in a list.
	reorder bool
	// ways counts, for each (node, position, other node), the lists in which the other
	// may take the place, by cost -1, 0, +1. An arc exists where one is not 0.
	ways   [][3]int32
	banned map[[2]int]bool // arcs that failed in this state
	// rotations, by from*nodes*replicas+to, is empty while only single replacements are
	// looked for.
	rotations []rotation

	distance []int64
	parent   []int32
	random   sequence
}

const (
	// imbalance is the cost of one slot outside of a node's bounds. It is more than all
	// the moves that a ring can make.
	imbalance = int64(MaxPartitions * MaxReplicas * 4)
	// vacancy is the cost of a slot that nobody has. It is more than all the imbalance.
	vacancy = imbalance * MaxPartitions * MaxReplicas * 4
	// unreachable says that an arc does not exist.
	unreachable = int64(1) << 62
)

func newExchange(l *layout) *exchange {
	nodes := len(l.pr.nodes) + 1
	x := &exchange{
		l:        l,
		replicas: l.pr.replicas,
		nodes:    nodes,
		ways:     make([][3]int32, nodes*l.pr.replicas*nodes),
		banned:   make(map[[2]int]bool),
		distance: make([]int64, nodes*(l.pr.replicas+1)+1),
		parent:   make([]int32, nodes*(l.pr.replicas+1)+1),
	}
	for p := range l.pr.partitions {
		x.countWays(p, +1)
	}
	return x
}

// maxShakes bounds the attempts to leave a dead end. About one change in ten thousand of
// small random clusters needs any; a few then do.
const maxShakes = 64

// run improves the layout as far as it can. Where that leaves an imbalance it lets nodes
// change their positions in a list, which moves data that need not move: a last resort
// that only small clusters, with few choices, ever need. Where that is not enough either
// the layout is in a dead end, which a few random exchanges leave.
func (x *exchange) run() {
	x.improve()
	if x.l.imbalanced() {
		x.allowReorder()
		x.improve()
	}
	for range maxShakes {
		if !x.l.imbalanced() {
			return
		}
		x.shake()
		x.improve()
	}
}

// shake exchanges the nodes of some pairs of slots at equal positions, which changes no
// count. The moves that it makes in vain improve takes back.
func (x *exchange) shake() {
	for range 4 * len(x.l.pr.nodes) {
		j := int(x.random.next() % uint64(x.replicas))
		p := int(x.random.next() % uint64(x.l.pr.partitions))
		q := int(x.random.next() % uint64(x.l.pr.partitions))
		a, b := x.l.slots(p)[j], x.l.slots(q)[j]
		if x.l.mayPut(p, j, b) && x.l.mayPut(q, j, a) {
			x.replace(p, j, b)
			x.replace(q, j, a)
		}
	}
}

// improve cancels cycles until none is left: of single replacements while there are any,
// which are fast to find, then of rotations too. Each success lowers the layout's cost, a
// whole number, and each failure bans an arc until the next success, so it ends.
func (x *exchange) improve() {
	for improved := true; improved; {
		x.rotations = nil
		for x.cancelOne() {
		}
		x.findRotations()
		improved = x.cancelOne()
	}
}

// cancelOne looks for a cycle that gains something, applies it and reports whether there
// was one.
func (x *exchange) cancelOne() bool {
	clear(x.banned)
	for {
		cycle := x.findCycle()
		if cycle == nil {
			return false
		}
		arc, ok := x.apply(cycle)
		if ok {
			return true
		}
		x.banned[arc] = true
	}
}

// allowReorder lets nodes change their positions.
func (x *exchange) allowReorder() {
	x.reorder = true
	clear(x.ways)
	for p := range x.l.pr.partitions {
		x.countWays(p, +1)
	}
}

// mayStand reports whether node i may stand at position j of p, as far as order goes.
func (x *exchange) mayStand(p, j int, i int32) bool {
	return x.reorder || x.l.keepsOrder(p, j, i)
}

// countWays adds the replacements that partition p allows, or takes them away.
func (x *exchange) countWays(p int, by int32) {
	needed, vacant := x.l.lacking(p)
	for j, a := range x.l.slots(p) {
		s := p*x.replicas + j
		for b := range x.nodes - 1 {
			if x.l.fits(p, j, int32(b), needed, vacant) && x.mayStand(p, j, int32(b)) {
				cost := x.l.moved(s, int32(b)) - x.l.moved(s, a)
				x.ways[x.arc(int(a), j, b)][cost+1] += by
			}
		}
	}
}

// arc returns the index of the arc on which a slot at position j leaves a for b.
func (x *exchange) arc(a, j, b int) int { return (a*x.replicas+j)*x.nodes + b }

// hub returns the vertex of node i; sink the last vertex.
func (x *exchange) hub(i int) int { return x.nodes*x.replicas + i }
func (x *exchange) sink() int     { return x.nodes * (x.replicas + 1) }

// cost returns the cheapest way along an arc, or unreachable.
func (x *exchange) cost(arc int) int64 {
	for c, n := range x.ways[arc] {
		if n > 0 {
			return int64(c) - 1
		}
	}
	return unreachable
}

// unit returns the cost of a slot outside of node i's bounds.
func (x *exchange) unit(i int) int64 {
	if i == x.l.pr.vacant() {
		return vacancy
	}
	return imbalance
}

// more returns what one slot more costs where there are n within b.
func (x *exchange) more(i, n int, b bounds) int64 {
	switch {
	case n < b.lo:
		return -x.unit(i)
	case n < b.hi:
		return 0
	default:
		return x.unit(i)
	}
}

// fewer returns what one slot fewer costs where there are n within b.
func (x *exchange) fewer(i, n int, b bounds) int64 {
	switch {
	case n > b.hi:
		return -x.unit(i)
	case n > b.lo:
		return 0
	default:
		return x.unit(i)
	}
}

// findCycle returns the vertices of a cycle of negative cost, in order, or nil. It is
// Bellman and Ford's search from everywhere at once; a cycle among the parents shows
// before the distances have run away.
func (x *exchange) findCycle() []int {
	for v := range x.distance {
		x.distance[v], x.parent[v] = 0, -1
	}
	for range x.distance {
		if !x.relaxAll() {
			return nil
		}
		if cycle := x.parentCycle(); cycle != nil {
			return cycle
		}
	}
	return nil
}

// relaxAll takes every arc once and reports whether any shortened a distance.
func (x *exchange) relaxAll() bool {
	changed := false
	l, sink := x.l, x.sink()
	for i := range x.nodes {
		hub := x.hub(i)
		for j := range x.replicas {
			v := i*x.replicas + j
			for b := range x.nodes - 1 {
				if c := x.cost(v*x.nodes + b); c < unreachable && x.relax(v, b*x.replicas+j, c) {
					changed = true
				}
			}
			if x.rotations != nil && x.relaxRotations(v) {
				changed = true
			}
			up := x.relax(v, hub, x.more(i, l.at[v], l.atBounds[i]))
			down := x.relax(hub, v, x.fewer(i, l.at[v], l.atBounds[i]))
			changed = changed || up || down
		}
		up := x.relax(hub, sink, x.more(i, l.total[i], l.totalBounds[i]))
		down := x.relax(sink, hub, x.fewer(i, l.total[i], l.totalBounds[i]))
		changed = changed || up || down
	}
	return changed
}

func (x *exchange) relax(from, to int, cost int64) bool {
	if x.distance[from]+cost >= x.distance[to] {
		return false
	}
	if len(x.banned) > 0 && x.banned[[2]int{from, to}] {
		return false
	}
	x.distance[to] = x.distance[from] + cost
	x.parent[to] = int32(from)
	return true
}

// parentCycle returns a cycle among the parents, in the direction of the arcs, or nil.
func (x *exchange) parentCycle() []int {
	seen := make([]int32, len(x.parent)) // the vertex from which it was reached, plus 1
	for start := range x.parent {
		v := int32(start)
		for v >= 0 && seen[v] == 0 {
			seen[v] = int32(start) + 1
			v = x.parent[v]
		}
		if v < 0 || seen[v] != int32(start)+1 {
			continue
		}
		var cycle []int
		for u := v; len(cycle) == 0 || u != v; u = x.parent[u] {
			cycle = append(cycle, int(u))
		}
		for i, k := 0, len(cycle)-1; i < k; i, k = i+1, k-1 {
			cycle[i], cycle[k] = cycle[k], cycle[i]
		}
		return cycle
	}
	return nil
}

// replacement is an applied one, for undoing it.
type replacement struct {
	p, j   int
	before int32
}

// apply makes the replacements of a cycle. Where they gain nothing, or a step finds no
// list any more, it undoes them and returns the arc to ban.
func (x *exchange) apply(cycle []int) (arc [2]int, ok bool) {
	var done []replacement
	gain := int64(0)
	put := func(p, j int, b int32) {
		done = append(done, replacement{p, j, x.l.slots(p)[j]})
		gain += x.replace(p, j, b)
	}
	for at, from := range cycle {
		to := cycle[(at+1)%len(cycle)]
		if from >= x.hub(0) || to >= x.hub(0) {
			continue
		}
		arc = [2]int{from, to}
		if from%x.replicas != to%x.replicas {
			ok = x.rotate(from, to, put)
		} else {
			ok = x.replaceAny(from, to, put)
		}
		if !ok {
			break
		}
	}
	if ok && gain < 0 {
		return arc, true
	}
	for n := len(done) - 1; n >= 0; n-- {
		x.replace(done[n].p, done[n].j, done[n].before)
	}
	return arc, false
}

// replaceAny makes one replacement of the arc, where a list allows it.
func (x *exchange) replaceAny(from, to int, put func(p, j int, b int32)) bool {
	a, j, b := from/x.replicas, from%x.replicas, to/x.replicas
	p := x.findList(a, j, int32(b), int(x.cost(x.arc(a, j, b))))
	if p >= 0 {
		put(p, j, int32(b))
	}
	return p >= 0
}

// findList returns a partition that has a at position j and may have b there at that
// cost, or -1. It begins anywhere, lest the low partitions take part in every exchange.
func (x *exchange) findList(a, j int, b int32, cost int) int {
	partitions := x.l.pr.partitions
	start := int(x.random.next() % uint64(partitions))
	for n := range partitions {
		p := (start + n) % partitions
		s := p*x.replicas + j
		if int(x.l.own[s]) != a || x.l.moved(s, b)-x.l.moved(s, int32(a)) != cost {
			continue
		}
		if x.l.mayPut(p, j, b) && x.mayStand(p, j, b) {
			return p
		}
	}
	return -1
}

// replace puts b at position j of partition p and returns what that costs.
func (x *exchange) replace(p, j int, b int32) int64 {
	l, a := x.l, x.l.slots(p)[j]
	cost := int64(l.moved(p*x.replicas+j, b) - l.moved(p*x.replicas+j, a))
	cost += x.fewer(int(a), l.at[int(a)*x.replicas+j], l.atBounds[a])
	cost += x.fewer(int(a), l.total[a], l.totalBounds[a])
	cost += x.more(int(b), l.at[int(b)*x.replicas+j], l.atBounds[b])
	cost += x.more(int(b), l.total[b], l.totalBounds[b])
	x.countWays(p, -1)
	l.put(p, j, b)
	x.countWays(p, +1)
	return cost
}
