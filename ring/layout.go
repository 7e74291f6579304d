// SPDX-License-Identifier: Apache-2.0

package ring

import "github.com/dyno-kv/dyno/kv"

// layout is a placement on its way from the previous one to a balanced one. Slots may be
// vacant: then the node numbered pr.vacant() stands in them.
//
// Invariant: every list keeps I7, or can be made to by filling its vacant slots.
type layout struct {
	pr        *problem
	own, prev []int32 // node by partition*replicas+position; prev is never written

	total []int   // slots by node
	at    []int   // slots by node*replicas+position
	inZ   []uint8 // slots by partition*zones+zone

	totalBounds []bounds // by node
	atBounds    []bounds // by node; the same at every position
}

// vacant is the node that stands in slots that nobody has.
func (pr *problem) vacant() int { return len(pr.nodes) }

// newLayout keeps of the previous placement what may stay, and leaves the rest vacant.
func newLayout(pr *problem, previous [][]kv.NodeID) *layout {
	l := &layout{
		pr:          pr,
		own:         make([]int32, pr.partitions*pr.replicas),
		total:       make([]int, len(pr.nodes)+1),
		at:          make([]int, (len(pr.nodes)+1)*pr.replicas),
		inZ:         make([]uint8, pr.partitions*len(pr.zones)),
		totalBounds: make([]bounds, len(pr.nodes)+1),
		atBounds:    make([]bounds, len(pr.nodes)+1),
	}
	targets, _ := pr.targets()
	for i, t := range targets {
		l.totalBounds[i], l.atBounds[i] = t.share(1), t.share(pr.replicas)
	}
	for s := range l.own {
		l.own[s] = int32(pr.vacant())
		l.count(s, +1)
	}
	for p, list := range previous {
		for j, node := range list {
			i, ok := pr.index[node]
			if ok && !l.has(p, int32(i)) {
				l.put(p, j, int32(i))
			}
		}
	}
	l.prev = append([]int32(nil), l.own...)
	l.dropExcess()
	return l
}

// slots returns the list of partition p.
func (l *layout) slots(p int) []int32 {
	return l.own[p*l.pr.replicas : (p+1)*l.pr.replicas]
}

// has reports whether node i stands in partition p.
func (l *layout) has(p int, i int32) bool {
	for _, other := range l.slots(p) {
		if other == i {
			return true
		}
	}
	return false
}

// put makes node i the one at position j of partition p.
func (l *layout) put(p, j int, i int32) {
	s := p*l.pr.replicas + j
	l.count(s, -1)
	l.own[s] = i
	l.count(s, +1)
}

// count adds slot s to what its node and zone have, or takes it away.
func (l *layout) count(s, by int) {
	i, j := int(l.own[s]), s%l.pr.replicas
	l.total[i] += by
	l.at[i*l.pr.replicas+j] += by
	if i != l.pr.vacant() {
		l.inZ[s/l.pr.replicas*len(l.pr.zones)+l.pr.nodes[i].zone] += uint8(by)
	}
}

// zoneCounts returns how many slots of partition p each zone has.
func (l *layout) zoneCounts(p int) []uint8 {
	return l.inZ[p*len(l.pr.zones) : (p+1)*len(l.pr.zones)]
}

// lacking returns how many slots of partition p are still needed for the least that the
// zones must have, and how many are vacant.
func (l *layout) lacking(p int) (needed, vacant int) {
	vacant = l.pr.replicas
	for z, n := range l.zoneCounts(p) {
		vacant -= int(n)
		needed += max(l.pr.zones[z].lo-int(n), 0)
	}
	return needed, vacant
}

// dropExcess vacates slots until every list can be completed by the rules, which may
// have changed since it was made. Of the nodes that may go the one goes that has most
// above its targets.
func (l *layout) dropExcess() {
	for p := range l.pr.partitions {
		for {
			j := l.excess(p)
			if j < 0 {
				break
			}
			l.put(p, j, int32(l.pr.vacant()))
		}
	}
}

// excess returns a position of p that must be vacated, or -1.
func (l *layout) excess(p int) int {
	counts := l.zoneCounts(p)
	full := false // a zone has more than it may
	for z, n := range counts {
		full = full || int(n) > l.pr.zones[z].hi
	}
	needed, vacant := l.lacking(p)
	if !full && needed <= vacant {
		return -1
	}
	worst, worstAt, worstTotal := -1, 0, 0
	for j, i := range l.slots(p) {
		if int(i) == l.pr.vacant() {
			continue
		}
		zone := l.pr.zones[l.pr.nodes[i].zone]
		may := zone.lo
		if full {
			may = zone.hi
		}
		if int(counts[l.pr.nodes[i].zone]) <= may {
			continue
		}
		at := l.at[int(i)*l.pr.replicas+j] - l.atBounds[i].lo
		total := l.total[i] - l.totalBounds[i].lo
		if worst < 0 || at > worstAt || at == worstAt && total > worstTotal {
			worst, worstAt, worstTotal = j, at, total
		}
	}
	return worst
}

// keepsOrder reports whether node i at position j of partition p stands where it stood
// before, or did not stand in p at all (I10).
func (l *layout) keepsOrder(p, j int, i int32) bool {
	for k, before := range l.prev[p*l.pr.replicas : (p+1)*l.pr.replicas] {
		if before == i {
			return k == j
		}
	}
	return true
}

// imbalanced reports whether any node is outside of its bounds.
func (l *layout) imbalanced() bool {
	for i, total := range l.total {
		if total < l.totalBounds[i].lo || total > l.totalBounds[i].hi {
			return true
		}
		for _, at := range l.at[i*l.pr.replicas : (i+1)*l.pr.replicas] {
			if at < l.atBounds[i].lo || at > l.atBounds[i].hi {
				return true
			}
		}
	}
	return false
}

// mayPut reports whether node b may replace the one at position j of partition p.
func (l *layout) mayPut(p, j int, b int32) bool {
	needed, vacant := l.lacking(p)
	return l.fits(p, j, b, needed, vacant)
}

// fits is mayPut for a caller that knows what p lacks.
func (l *layout) fits(p, j int, b int32, needed, vacant int) bool {
	if l.has(p, b) {
		return false
	}
	counts, to := l.zoneCounts(p), l.pr.nodes[b].zone
	if a := int(l.slots(p)[j]); a == l.pr.vacant() {
		vacant--
	} else {
		from := l.pr.nodes[a].zone
		if from == to {
			return true
		}
		if int(counts[from]) <= l.pr.zones[from].lo {
			needed++
		}
	}
	if int(counts[to]) < l.pr.zones[to].lo {
		needed--
	}
	return int(counts[to]) < l.pr.zones[to].hi && needed <= vacant
}

// moved returns 1 where node b at slot s is a move, else 0. Nobody counts as no move.
func (l *layout) moved(s int, b int32) int {
	if b == l.prev[s] || int(b) == l.pr.vacant() {
		return 0
	}
	return 1
}
