// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"math"
	"slices"
)

// The solver is compared with the optimum of two flow models under the same rules. The
// first sees each list by its own, as the rules do:
//
//	source -> partition -> (partition, zone) -> (node, position) -> node -> sink
//
// with the zones' bounds on the second arcs, one unit from a partition to a node, and the
// bounds of balance on the last two. A node that stays at its position costs nothing, all
// else costs a move. What it does not know is that the new nodes of a list take just the
// positions that are left. The second knows that every position has one node in each list,
// but not the lists:
//
//	source -> position -> (node, position) -> node -> sink
//
// Neither asks for more than the rules do, so the larger of their minima is a lower bound
// of what any solver must move.

// limits are the slots that a node may have, in total and at each position, for each
// member by index; nil stands for no limits.
type limits struct{ total, position []bounds }

// within returns the whole numbers that differ by at most delta from a part of each share.
func within(shares []float64, parts int, delta float64) []bounds {
	list := make([]bounds, len(shares))
	for i, share := range shares {
		share /= float64(parts)
		list[i].lo = max(int(math.Ceil(share-delta-1e-6)), 0)
		list[i].hi = int(math.Floor(share + delta + 1e-6))
	}
	return list
}

// roundings returns the limits of shares that are rounded up or down.
func roundings(in Problem) limits {
	shares := idealShares(in.Members, in.Partitions, in.Replicas)
	rounded := func(parts int) []bounds {
		list := make([]bounds, len(shares))
		for i, share := range shares {
			share /= float64(parts)
			list[i] = bounds{int(math.Floor(share + 1e-6)), int(math.Ceil(share - 1e-6))}
		}
		return list
	}
	return limits{rounded(1), rounded(in.Replicas)}
}

// fewestMoves solves the model of in under limits: the least number of moves from the
// previous placement, or false where nothing keeps them.
func fewestMoves(in Problem, lim limits) (int, bool) {
	zones := make(map[string]int)
	var sizes []int
	for _, m := range in.Members {
		if m.Weight == 0 {
			continue
		}
		if _, ok := zones[m.Zone]; !ok {
			zones[m.Zone] = len(sizes)
			sizes = append(sizes, 0)
		}
		sizes[zones[m.Zone]]++
	}
	n, q, r := len(in.Members), in.Partitions, in.Replicas
	partition := func(p int) int { return p * (1 + len(sizes)) }
	zone := func(p, z int) int { return partition(p) + 1 + z }
	anywhere := func(i int) int { return partition(q) + i*(r+2) } // node i, at any position
	at := func(i, j int) int { return anywhere(i) + 1 + j }
	node := func(i int) int { return anywhere(i) + 1 + r }
	stays := anywhere(n) // and the q*r vertices after it
	source, sink := stays+q*r, stays+q*r+1

	f := newFlow(sink + 1)
	for p := range q {
		f.arc(source, partition(p), 0, r, 0)
		for z, b := range zoneBounds(sizes, r) {
			f.arc(partition(p), zone(p, z), b.lo, b.hi, 0)
		}
		for i, m := range in.Members {
			if m.Weight == 0 {
				continue
			}
			z, j := zone(p, zones[m.Zone]), -1
			if len(in.Previous) > 0 {
				j = slices.Index(in.Previous[p], m.ID)
			}
			if j < 0 {
				f.arc(z, anywhere(i), 0, 1, 1)
				continue
			}
			f.arc(z, stays+p*r+j, 0, 1, 0)
			f.arc(stays+p*r+j, at(i, j), 0, 1, 0)
			f.arc(stays+p*r+j, anywhere(i), 0, 1, 1)
		}
	}
	for i := range in.Members {
		for j := range r {
			b := bounds{0, q}
			if lim.position != nil {
				b = lim.position[i]
			}
			f.arc(anywhere(i), at(i, j), 0, q, 0)
			f.arc(at(i, j), node(i), b.lo, b.hi, 0)
		}
		b := bounds{0, q}
		if lim.total != nil {
			b = lim.total[i]
		}
		f.arc(node(i), sink, b.lo, b.hi, 0)
	}
	return f.solve(source, sink, q*r)
}

// fewestMovesByPosition solves the second model.
func fewestMovesByPosition(in Problem, lim limits) (int, bool) {
	n, q, r := len(in.Members), in.Partitions, in.Replicas
	at := func(i, j int) int { return r + i*(r+1) + j }
	node := func(i int) int { return at(i, r) }
	source, sink := r+n*(r+1), r+n*(r+1)+1
	f := newFlow(sink + 1)
	for j := range r {
		f.arc(source, j, 0, q, 0)
		for i, m := range in.Members {
			before := 0
			for _, list := range in.Previous {
				if list[j] == m.ID {
					before++
				}
			}
			f.arc(j, at(i, j), 0, before, 0)
			f.arc(j, at(i, j), 0, q-before, 1)
			f.arc(at(i, j), node(i), lim.position[i].lo, lim.position[i].hi, 0)
		}
	}
	for i := range in.Members {
		f.arc(node(i), sink, lim.total[i].lo, lim.total[i].hi, 0)
	}
	return f.solve(source, sink, q*r)
}

// leastDeviation returns the least deviation from the shares that the model can reach, of
// the totals or (parts = replicas) of the positions.
func leastDeviation(in Problem, parts int) float64 {
	shares := idealShares(in.Members, in.Partitions, in.Replicas)
	var steps []float64
	for _, share := range shares {
		_, fraction := math.Modf(share / float64(parts))
		steps = append(steps, fraction, 1-fraction)
	}
	slices.Sort(steps)
	in.Previous = nil
	lo, hi := 0, len(steps)-1
	for lo < hi {
		mid, lim := (lo+hi)/2, limits{}
		if parts == 1 {
			lim.total = within(shares, parts, steps[mid])
		} else {
			lim.position = within(shares, parts, steps[mid])
		}
		if _, ok := fewestMoves(in, lim); ok {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return steps[lo]
}
