// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"cmp"
	"slices"
)

// target is the number of slots that a node should hold, as the fraction num/den.
// All targets of a problem sum up to all its slots.
type target struct{ num, den int64 }

// share returns the bounds of a 1/parts share of the target, rounded down and up.
func (t target) share(parts int) bounds {
	den := t.den * int64(parts)
	return bounds{lo: int(t.num / den), hi: int((t.num + den - 1) / den)}
}

// vessel is a set of nodes that share a number of slots by weight.
type vessel struct {
	nodes []int // indices of nodes
	slots int64
}

// targets divides partitions x replicas slots among the nodes by weight, as far as the
// rules let it: a node holds no partition twice, so at most partitions slots; a zone
// holds bounds of each partition's slots. What a capped node or zone can not take the
// others share by weight (water-filling), and a zone that must hold more than its weight
// takes it from the others.
//
// The level is the same in all zones but those that their bounds hold. Which these are
// is found as flexible boxes are laid out: take the common level; where the zones
// together would lose more by their upper bounds than they gain by their lower ones, the
// true level is above, so the full ones stay full and are set aside; else the other way
// round.
//
// It also returns the vessels, from which rounded starts a layout; all arithmetic is
// exact.
func (pr *problem) targets() ([]target, []vessel) {
	result := make([]target, len(pr.nodes))
	var vessels []vessel
	open := make([]int, len(pr.zones))
	for z := range open {
		open[z] = z
	}
	slots := int64(pr.partitions) * int64(pr.replicas)
	for len(open) > 0 {
		var nodes []int
		for _, z := range open {
			nodes = append(nodes, pr.zones[z].nodes...)
		}
		den := pr.fill(nodes, slots, result)
		// Above and below are in units of 1/den slots.
		above, below := int64(0), int64(0)
		for _, z := range open {
			over, under := pr.outOfBounds(z, result, den)
			above += over
			below += under
		}
		if above == 0 && below == 0 {
			vessels = append(vessels, vessel{nodes, slots})
			break
		}
		rest := open[:0]
		for _, z := range open {
			over, under := pr.outOfBounds(z, result, den)
			fixed := int64(-1)
			if over > 0 && above >= below {
				fixed = int64(pr.zones[z].hi) * int64(pr.partitions)
			} else if under > 0 && below >= above {
				fixed = int64(pr.zones[z].lo) * int64(pr.partitions)
			}
			if fixed < 0 {
				rest = append(rest, z)
				continue
			}
			pr.fill(pr.zones[z].nodes, fixed, result)
			vessels = append(vessels, vessel{pr.zones[z].nodes, fixed})
			slots -= fixed
		}
		open = rest
	}
	return result, vessels
}

// fill divides slots among nodes by weight, none above one per partition, into result.
// All targets that it sets have the denominator that it returns.
func (pr *problem) fill(nodes []int, slots int64, result []target) int64 {
	byWeight := slices.Clone(nodes)
	slices.SortStableFunc(byWeight, func(a, b int) int {
		return cmp.Compare(pr.nodes[b].weight, pr.nodes[a].weight)
	})
	weights := int64(0)
	for _, i := range byWeight {
		weights += pr.nodes[i].weight
	}
	most := int64(pr.partitions)
	full := 0
	for full < len(byWeight) {
		weight := pr.nodes[byWeight[full]].weight
		if weight*slots < most*weights {
			break
		}
		slots -= most
		weights -= weight
		full++
	}
	den := max(weights, 1)
	for k, i := range byWeight {
		if k < full {
			result[i] = target{most * den, den}
		} else {
			result[i] = target{pr.nodes[i].weight * slots, den}
		}
	}
	return den
}

// outOfBounds returns by how much, in units of 1/den slots, the targets of zone z sum up
// to more or to less than the zone may hold.
func (pr *problem) outOfBounds(z int, targets []target, den int64) (over, under int64) {
	sum := int64(0)
	for _, i := range pr.zones[z].nodes {
		sum += targets[i].num
	}
	unit := int64(pr.partitions) * den
	return max(sum-int64(pr.zones[z].hi)*unit, 0), max(int64(pr.zones[z].lo)*unit-sum, 0)
}

// rounded rounds the targets of a vessel to whole slots that sum up to the vessel's: each
// node gets what the running sum gains, rounded. The nodes of a zone stand together, so
// a zone's sum is rounded up or down too and stays within the zone's bounds.
func (v vessel) rounded(targets []target, result []int) {
	before := int64(0)
	for _, i := range v.nodes {
		after := before + targets[i].num
		result[i] = int(after/targets[i].den - before/targets[i].den)
		before = after
	}
}
