// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

// The tests of this file compare the solver with the optimum of two flow models under the
// same rules. The first sees each list by its own, as the rules do:
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

// moveLimit is how many times the model's minimum a join or a leave may move.
const moveLimit = 1.15

// long reports whether the full tables are wanted.
func long() bool { return os.Getenv("DYNO_LONG") != "" }

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

// cluster is a row of the tables.
type cluster struct {
	nodes, zones int
	weights      string
	partitions   int
}

// clusters returns the rows: the whole table, with larger rings in the long run, every
// seventh row in the short one.
func clusters() []cluster {
	var rows []cluster
	for _, nodes := range []int{3, 4, 5, 6, 7, 9, 12, 16, 20, 30, 45, 60} {
		for zones := 1; zones <= min(nodes, 5); zones++ {
			for _, weights := range []string{"equal", "unequal"} {
				rows = append(rows, cluster{nodes, zones, weights, DefaultPartitions})
			}
		}
	}
	if long() {
		for _, nodes := range []int{3, 7, 20, 60} {
			rows = append(rows, cluster{nodes, 3, "equal", 1024}, cluster{nodes, 2, "unequal", 1024})
		}
	}
	if !testing.Short() {
		return rows
	}
	var some []cluster
	for i := 0; i < len(rows); i += 7 {
		some = append(some, rows[i])
	}
	return some
}

// problem returns the row's first problem.
func (c cluster) problem() Problem {
	weight := equalWeights
	if c.weights == "unequal" {
		weight = unequalWeights
	}
	return Problem{
		Partitions: c.partitions,
		Replicas:   3,
		Members:    makeMembers(c.nodes, c.zones, weight),
	}
}

// join returns the problem after one more node, leave after one node less, and zone after
// one more node that has a zone of its own.
func join(in Problem, c cluster) Problem {
	return withMember(in, fmt.Sprintf("z%d", c.nodes%c.zones))
}

func zone(in Problem, _ cluster) Problem { return withMember(in, "new") }

func withMember(in Problem, zone string) Problem {
	newcomer := Member{ID: kv.NodeID(len(in.Members) + 1), Zone: zone, Weight: 2}
	if in.Members[0].Weight == in.Members[1].Weight {
		newcomer.Weight = 1
	}
	in.Members = append(slices.Clone(in.Members), newcomer)
	return in
}

func leave(in Problem, c cluster) Problem {
	in.Members = slices.Clone(in.Members)
	in.Members[c.nodes/2].Weight = 0
	return in
}

// solved solves in and checks the hard rules.
func solved(t *testing.T, in Problem) [][]kv.NodeID {
	t.Helper()
	owners, err := Solve(in)
	if err != nil {
		t.Fatal(err)
	}
	checkLists(t, in, owners)
	return owners
}

func TestAFirstRingIsAsBalancedAsTheOptimum(t *testing.T) {
	t.Log("nodes zones weights  partitions | most a node differs from its share (optimum): " +
		"in total, at a position")
	for _, c := range clusters() {
		in := c.problem()
		total, position := deviation(in, solved(t, in))
		bestTotal, bestPosition := leastDeviation(in, 1), leastDeviation(in, in.Replicas)
		t.Logf("%5d %5d %-8s %10d | %.2f (%.2f) %.2f (%.2f)",
			c.nodes, c.zones, c.weights, c.partitions, total, bestTotal, position, bestPosition)
		// An optimum below one is a share rounded up or down, and then so must ours be.
		if total > min(bestTotal+1, almostOne) {
			t.Errorf("%+v: in total a node differs by %v, by %v at the optimum", c, total, bestTotal)
		}
		if position > min(bestPosition+1, almostOne) {
			t.Errorf("%+v: at a position a node differs by %v, by %v at the optimum",
				c, position, bestPosition)
		}
	}
}

func TestChangesAreAsBalancedAsTheOptimumAndMoveAsLittle(t *testing.T) {
	t.Log("nodes zones weights  partitions | moves (minimum) and most that a node differs from " +
		"its share in total, at a position, after a join, a leave and a new zone")
	for _, c := range clusters() {
		in := c.problem()
		in.Previous = solved(t, in)
		row := fmt.Sprintf("%5d %5d %-8s %10d", c.nodes, c.zones, c.weights, c.partitions)
		for _, change := range []func(Problem, cluster) Problem{join, leave, zone} {
			next := change(in, c)
			if able(next.Members) < next.Replicas {
				row += " | no node can leave       "
				continue
			}
			moves, fewest, cell := compare(t, next)
			row += " | " + cell
			if float64(moves) > moveLimit*float64(fewest) {
				t.Errorf("%+v, to %d nodes: %d moves, %d would do",
					c, able(next.Members), moves, fewest)
			}
		}
		t.Log(row)
	}
}

// TestAGrowingClusterMovesAsLittleAsTheModel joins node after node, so that each change
// begins where the solver, not a first layout, left the ring. The models' minimum is a
// lower bound only: where it is a handful of moves, one more may be the true minimum.
func TestAGrowingClusterMovesAsLittleAsTheModel(t *testing.T) {
	last, zones := 24, []int{3}
	if long() {
		last, zones = 60, []int{1, 2, 3, 4, 5}
	}
	for _, z := range zones {
		for name, weight := range map[string]func(int) uint32{
			"equal": equalWeights, "unequal": unequalWeights,
		} {
			in := Problem{Partitions: DefaultPartitions, Replicas: 3}
			for n := 3; n <= last; n++ {
				in.Members = makeMembers(n, z, weight)
				if n > 3 {
					moves, fewest, cell := compare(t, in)
					t.Logf("%d zones, %s weights, %2d nodes: %s", z, name, n, cell)
					if float64(moves) > max(moveLimit*float64(fewest), float64(fewest+1)) {
						t.Errorf("%d zones, %s weights, to %d nodes: %d moves, %d would do",
							z, name, n, moves, fewest)
					}
				}
				in.Previous = solved(t, in)
			}
		}
	}
}

// compare solves a problem with a past, checks its balance and returns the moves, the
// models' minimum and a cell of the tables.
func compare(t *testing.T, in Problem) (moves, fewest int, cell string) {
	t.Helper()
	owners := solved(t, in)
	total, position := deviation(in, owners)
	if total > almostOne || position > almostOne {
		t.Errorf("%d nodes: a node differs by %v, at a position by %v",
			able(in.Members), total, position)
	}
	fewest, ok := fewestMoves(in, roundings(in))
	byPosition, alsoOK := fewestMovesByPosition(in, roundings(in))
	if !ok || !alsoOK {
		t.Errorf("%d nodes: the models find no answer", able(in.Members))
	}
	fewest = max(fewest, byPosition)
	moves = len(Moves(in.Previous, owners))
	return moves, fewest, fmt.Sprintf("%4d (%4d) %.2f %.2f", moves, fewest, total, position)
}

func TestTheModelsKnowWhatMustMove(t *testing.T) {
	in := Problem{Partitions: 128, Replicas: 3, Members: makeMembers(4, 1, equalWeights)}
	in.Previous = solved(t, Problem{
		Partitions: 128, Replicas: 3, Members: makeMembers(3, 1, equalWeights),
	})
	lim := roundings(in)
	for name, model := range map[string]func(Problem, limits) (int, bool){
		"lists": fewestMoves, "positions": fewestMovesByPosition,
	} {
		// The fourth node's share is a quarter of 384 slots.
		if moves, ok := model(in, lim); moves != 96 || !ok {
			t.Errorf("%s: a fourth node needs %d moves, %v, want 96", name, moves, ok)
		}
		same := in
		same.Previous = solved(t, in)
		if moves, ok := model(same, lim); moves != 0 || !ok {
			t.Errorf("%s: no change needs %d moves, %v, want 0", name, moves, ok)
		}
		tight := limits{within(make([]float64, 4), 1, 95), within(make([]float64, 4), 1, 128)}
		if moves, ok := model(in, tight); ok {
			t.Errorf("%s: four nodes of at most 95 slots hold 384, in %d moves", name, moves)
		}
	}
}

func BenchmarkSolve(b *testing.B) {
	for _, c := range []cluster{
		{3, 3, "equal", 128}, {60, 3, "unequal", 128}, {60, 3, "unequal", 1024},
	} {
		in := c.problem()
		owners, err := Solve(in)
		if err != nil {
			b.Fatal(err)
		}
		in.Previous = owners
		next := join(in, c)
		b.Run(fmt.Sprintf("join-%d-nodes-%d-partitions", c.nodes, c.partitions), func(b *testing.B) {
			for b.Loop() {
				if _, err := Solve(next); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
