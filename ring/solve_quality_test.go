// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

// moveLimit is how many times the model's minimum a join or a leave may move.
const moveLimit = 1.15

// long reports whether the full tables are wanted.
func long() bool { return os.Getenv("DYNO_LONG") != "" }

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
