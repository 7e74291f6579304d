// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// idealShares computes the targets another way, in floating point: each zone has a level,
// a node's share is the level times its weight, capped at one slot per partition. All
// zones have the common level but those that their bounds hold above or below it. Levels
// are found by bisection. Shares are by position in members; those that leave get 0.
func idealShares(members []Member, partitions, replicas int) []float64 {
	zones := make(map[string][]int)
	for i, m := range members {
		if m.Weight > 0 {
			zones[m.Zone] = append(zones[m.Zone], i)
		}
	}
	var names []string
	var sizes []int
	for zone, nodes := range zones {
		names, sizes = append(names, zone), append(sizes, len(nodes))
	}
	q := float64(partitions)
	held := func(zone string, level float64) float64 {
		sum := 0.0
		for _, i := range zones[zone] {
			sum += min(q, level*float64(members[i].Weight))
		}
		return sum
	}
	limits := make(map[string][2]float64)
	for z, b := range zoneBounds(sizes, replicas) {
		limits[names[z]] = [2]float64{q * float64(b.lo), q * float64(b.hi)}
	}
	part := func(zone string, level float64) float64 {
		return min(max(held(zone, level), limits[zone][0]), limits[zone][1])
	}
	common := bisect(func(level float64) bool {
		sum := 0.0
		for zone := range zones {
			sum += part(zone, level)
		}
		return sum >= q*float64(replicas)
	})
	shares := make([]float64, len(members))
	for zone, nodes := range zones {
		level := bisect(func(level float64) bool { return held(zone, level) >= part(zone, common)-1e-9 })
		for _, i := range nodes {
			shares[i] = min(q, level*float64(members[i].Weight))
		}
	}
	return shares
}

// bisect returns the least argument from which on f holds.
func bisect(f func(float64) bool) float64 {
	lo, hi := 0.0, float64(MaxPartitions)
	for range 200 {
		if mid := (lo + hi) / 2; f(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

func TestTargetsFillNodesAndZonesLikeWater(t *testing.T) {
	cases := []struct {
		name    string
		zones   []string
		weights []uint32
		want    []float64 // of 128 partitions, 3 replicas
	}{
		{"equal", []string{"a", "a", "a", "a"}, []uint32{1, 1, 1, 1}, []float64{96, 96, 96, 96}},
		{"by weight", []string{"", "", "", "", "", ""}, []uint32{1, 1, 1, 1, 2, 2},
			[]float64{48, 48, 48, 48, 96, 96}},
		{"a node is full", []string{"", "", "", ""}, []uint32{9, 1, 1, 1},
			[]float64{128, 85 + 1./3, 85 + 1./3, 85 + 1./3}},
		{"a zone is full", []string{"a", "a", "a", "b", "c"}, []uint32{2, 1, 1, 1, 1},
			[]float64{64, 32, 32, 128, 128}},
		{"a zone must hold more", []string{"a", "b", "b", "b", "b"}, []uint32{1, 9, 9, 9, 9},
			[]float64{128, 64, 64, 64, 64}},
		{"four zones", []string{"a", "b", "c", "d"}, []uint32{2, 2, 1, 1},
			[]float64{128, 128, 64, 64}},
		{"a node takes nothing", []string{"", "", "", ""}, []uint32{0, 1, 1, 1},
			[]float64{0, 128, 128, 128}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			members := makeMembers(len(c.zones), 1, func(i int) uint32 { return c.weights[i] })
			for i := range members {
				members[i].Zone = c.zones[i]
			}
			pr, err := prepare(Problem{Partitions: 128, Replicas: 3, Members: members})
			if err != nil {
				t.Fatal(err)
			}
			targets, _ := pr.targets()
			ideal := idealShares(members, 128, 3)
			for i, m := range members {
				got := 0.0
				if at, ok := pr.index[m.ID]; ok {
					got = float64(targets[at].num) / float64(targets[at].den)
				}
				if math.Abs(got-c.want[i]) > 1e-9 {
					t.Errorf("node %d: target %v, want %v", m.ID, got, c.want[i])
				}
				if math.Abs(ideal[i]-c.want[i]) > 1e-6 {
					t.Errorf("node %d: the reference says %v, want %v", m.ID, ideal[i], c.want[i])
				}
			}
		})
	}
}

func TestTargetsAgreeWithTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawProblem(t)
		pr, err := prepare(in)
		if err != nil {
			t.Fatal(err)
		}
		targets, vessels := pr.targets()
		counts := make([]int, len(pr.nodes))
		for _, v := range vessels {
			v.rounded(targets, counts)
		}
		ideal := idealShares(in.Members, in.Partitions, in.Replicas)
		sum := 0
		for i, m := range in.Members {
			at, ok := pr.index[m.ID]
			if !ok {
				continue
			}
			target := targets[at]
			if got := float64(target.num) / float64(target.den); math.Abs(got-ideal[i]) > 1e-6 {
				t.Fatalf("node %d: target %v, want %v", m.ID, got, ideal[i])
			}
			if b := target.share(1); counts[at] < b.lo || counts[at] > b.hi {
				t.Fatalf("node %d: %d slots of %d/%d", m.ID, counts[at], target.num, target.den)
			}
			sum += counts[at]
		}
		if sum != in.Partitions*in.Replicas {
			t.Fatalf("%d slots of %d", sum, in.Partitions*in.Replicas)
		}
	})
}

func TestSharesAreRoundedBothWays(t *testing.T) {
	cases := []struct {
		num, den int64
		parts    int
		want     bounds
	}{
		{10, 1, 1, bounds{10, 10}},
		{10, 1, 3, bounds{3, 4}},
		{12, 1, 3, bounds{4, 4}},
		{32, 3, 1, bounds{10, 11}},
		{1, 3, 3, bounds{0, 1}},
		{0, 3, 3, bounds{0, 0}},
	}
	for _, c := range cases {
		if got := (target{c.num, c.den}).share(c.parts); got != c.want {
			t.Errorf("1/%d of %d/%d is %v, want %v", c.parts, c.num, c.den, got, c.want)
		}
	}
}
