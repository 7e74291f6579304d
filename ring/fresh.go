// SPDX-License-Identifier: Apache-2.0

package ring

// fresh lays a ring out that has no past: every rule is kept and the balance exact.
//
// All slots stand in one line, zone after zone and node after node, each node with its
// rounded target; slot u of the line belongs to partition u mod partitions (McNaughton's
// wrap-around rule, 1959). No node has more slots than there are partitions, so none
// comes to a partition twice, and a zone's slots, standing together, come to each
// partition floor or ceiling of their average, which are the zone's bounds.
func (pr *problem) fresh() []int32 {
	targets, vessels := pr.targets()
	counts := make([]int, len(pr.nodes))
	for _, v := range vessels {
		v.rounded(targets, counts)
	}
	own := make([]int32, pr.partitions*pr.replicas)
	u := 0
	for i, count := range counts {
		for range count {
			p, turn := u%pr.partitions, u/pr.partitions
			// Neighbours in the line get neighbouring positions, or nearly so.
			own[p*pr.replicas+(p+turn)%pr.replicas] = int32(i)
			u++
		}
	}
	pr.evenPositions(own)
	pr.mix(own)
	return own
}

// evenPositions reorders the lists until every node stands equally often, within one, at
// every position. It takes two positions at a time and sees each partition as an edge
// from the node at the one to the node at the other: even is where as many edges leave
// as enter, within one, and turning a path round moves that towards even at its ends
// only. Each turn lowers the sum of the squared counts, so it ends.
func (pr *problem) evenPositions(own []int32) {
	for changed := true; changed; {
		changed = false
		for j := range pr.replicas {
			for k := range pr.replicas {
				for j != k && pr.turnPath(own, j, k) {
					changed = true
				}
			}
		}
	}
}

// turnPath finds a node that stands at position j at least twice more often than at k,
// and swaps these positions along a path of partitions to one that stands more often at
// k. Such a path always exists: what can be reached from the node has no edge that
// leaves it, so not all of it can have more edges that leave than that enter.
func (pr *problem) turnPath(own []int32, j, k int) bool {
	surplus := make([]int, len(pr.nodes))
	leaving := make([][]int, len(pr.nodes)) // partitions by the node at j
	for p := range pr.partitions {
		from, to := own[p*pr.replicas+j], own[p*pr.replicas+k]
		surplus[from]++
		surplus[to]--
		leaving[from] = append(leaving[from], p)
	}
	for start := range surplus {
		if surplus[start] < 2 {
			continue
		}
		via := make([]int, len(pr.nodes)) // the partition that led here, plus 1
		queue := []int{start}
		for len(queue) > 0 {
			at := queue[0]
			queue = queue[1:]
			if surplus[at] < 0 {
				for at != start {
					slots := own[(via[at]-1)*pr.replicas:]
					at = int(slots[j])
					slots[j], slots[k] = slots[k], slots[j]
				}
				return true
			}
			for _, p := range leaving[at] {
				to := int(own[p*pr.replicas+k])
				if to != start && via[to] == 0 {
					via[to] = p + 1
					queue = append(queue, to)
				}
			}
		}
	}
	return false
}

// mixRounds is how often mix offers each slot a swap. Four leave no trace of the line.
const mixRounds = 4

// mix swaps slots of equal position between partitions, as far as the rules allow it,
// until the line no longer shows. Without it a node would share partitions with very few
// others, and these alone would carry its load and refill it when it fails.
func (pr *problem) mix(own []int32) {
	var random sequence
	for range mixRounds * len(own) {
		j := int(random.next() % uint64(pr.replicas))
		p := int(random.next() % uint64(pr.partitions))
		q := int(random.next() % uint64(pr.partitions))
		a, b := own[p*pr.replicas+j], own[q*pr.replicas+j]
		if pr.mayReplace(own, p, j, b) && pr.mayReplace(own, q, j, a) {
			own[p*pr.replicas+j], own[q*pr.replicas+j] = b, a
		}
	}
}

// mayReplace reports whether complete list p keeps the rules with b at position j.
func (pr *problem) mayReplace(own []int32, p, j int, b int32) bool {
	slots := own[p*pr.replicas : (p+1)*pr.replicas]
	from, to := pr.nodes[slots[j]].zone, pr.nodes[b].zone
	inFrom, inTo := 0, 0
	for _, i := range slots {
		if i == b {
			return false
		}
		switch pr.nodes[i].zone {
		case from:
			inFrom++
		case to:
			inTo++
		}
	}
	return from == to || inFrom > pr.zones[from].lo && inTo < pr.zones[to].hi
}

// sequence is a fixed sequence of well-mixed numbers (splitmix64; Steele et al., "Fast
// splittable pseudorandom number generators", 2014): the solver must give everyone the
// same answer, for ever.
type sequence uint64

func (s *sequence) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
