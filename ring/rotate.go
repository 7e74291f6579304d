// SPDX-License-Identifier: Apache-2.0

package ring

// rotation is the cheapest way along an arc (b,k) -> (c,j) between two positions: in the
// list of partition p, b leaves position k, the node at j moves to k, and c comes to j.
// Where b is c the two change places. It reaches layouts that single replacements do not:
// those in which every list on the way would break a rule.
type rotation struct {
	p    int // plus 1; 0: there is none
	cost int64
}

// findRotations computes the arcs of all rotations. Their costs include what the node in
// the middle costs at the present counts.
func (x *exchange) findRotations() {
	width := x.nodes * x.replicas
	x.rotations = make([]rotation, width*width)
	for p := range x.l.pr.partitions {
		slots := x.l.slots(p)
		for k, b := range slots {
			for j, a := range slots {
				if !x.mayShift(p, j, k) {
					continue
				}
				side := x.l.moved(p*x.replicas+k, a) - x.l.moved(p*x.replicas+k, b) -
					x.l.moved(p*x.replicas+j, a)
				shift := int64(side) +
					x.fewer(int(a), x.l.at[int(a)*x.replicas+j], x.l.atBounds[a]) +
					x.more(int(a), x.l.at[int(a)*x.replicas+k], x.l.atBounds[a])
				for c := range x.nodes - 1 {
					if !x.mayEnter(p, j, k, int32(c)) {
						continue
					}
					cost := shift + int64(x.l.moved(p*x.replicas+j, int32(c)))
					from, to := int(b)*x.replicas+k, c*x.replicas+j
					best := &x.rotations[from*width+to]
					if best.p == 0 || cost < best.cost {
						*best = rotation{p + 1, cost}
					}
				}
			}
		}
	}
}

// mayShift reports whether the node at j of partition p may stand at k.
func (x *exchange) mayShift(p, j, k int) bool {
	a := x.l.slots(p)[j]
	return j != k && int(a) != x.l.pr.vacant() && x.mayStand(p, k, a)
}

// mayEnter reports whether c may come to j of partition p when the node at k leaves.
func (x *exchange) mayEnter(p, j, k int, c int32) bool {
	return x.mayStand(p, j, c) && (x.l.slots(p)[k] == c || x.l.mayPut(p, k, c))
}

// relaxRotations takes every rotation that leaves vertex from.
func (x *exchange) relaxRotations(from int) bool {
	width, changed := x.nodes*x.replicas, false
	for to, r := range x.rotations[from*width : (from+1)*width] {
		if r.p > 0 && x.relax(from, to, r.cost) {
			changed = true
		}
	}
	return changed
}

// rotate makes a rotation by means of put, where its list still is as it was.
func (x *exchange) rotate(from, to int, put func(p, j int, b int32)) bool {
	b, k := from/x.replicas, from%x.replicas
	c, j := to/x.replicas, to%x.replicas
	p := x.rotations[from*x.nodes*x.replicas+to].p - 1
	slots := x.l.slots(p)
	if int(slots[k]) != b || !x.mayShift(p, j, k) || !x.mayEnter(p, j, k, int32(c)) {
		return false
	}
	a := slots[j]
	put(p, j, int32(x.l.pr.vacant()))
	put(p, k, a)
	put(p, j, int32(c))
	return true
}
