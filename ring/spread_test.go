// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

func TestReplicasSpreadEvenlyOverZones(t *testing.T) {
	cases := []struct {
		name     string
		sizes    []int
		replicas int
		want     []bounds
	}{
		{"one zone", []int{5}, 3, []bounds{{3, 3}}},
		{"two zones", []int{5, 5}, 3, []bounds{{1, 2}, {1, 2}}},
		{"three zones", []int{5, 5, 1}, 3, []bounds{{1, 1}, {1, 1}, {1, 1}}},
		{"five zones", []int{1, 2, 3, 4, 5}, 3, []bounds{{0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}}},
		{"a zone of one", []int{1, 9}, 3, []bounds{{1, 1}, {2, 2}}},
		{"small zones", []int{1, 1, 9, 9}, 5, []bounds{{1, 1}, {1, 1}, {1, 2}, {1, 2}}},
		{"every node", []int{2, 1}, 3, []bounds{{2, 2}, {1, 1}}},
		{"one replica", []int{2, 1}, 1, []bounds{{0, 1}, {0, 1}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := zoneBounds(c.sizes, c.replicas)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(bounds{})); diff != "" {
				t.Errorf("bounds (-want +got):\n%s", diff)
			}
		})
	}
}

// spreads calls visit with every way to take replicas nodes from zones of these sizes.
func spreads(sizes []int, replicas int, visit func(counts []int)) {
	counts := make([]int, len(sizes))
	var choose func(z, left int)
	choose = func(z, left int) {
		if z == len(sizes) {
			if left == 0 {
				visit(counts)
			}
			return
		}
		for counts[z] = 0; counts[z] <= min(sizes[z], left); counts[z]++ {
			choose(z+1, left-counts[z])
		}
	}
	choose(0, replicas)
}

// TestZoneBoundsAllowExactlyTheMostEvenSpreads takes the sum of squares for evenness:
// counts have the least sum exactly if no node could go from a fuller zone to an emptier.
func TestZoneBoundsAllowExactlyTheMostEvenSpreads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 5), 1, 5).Draw(t, "sizes")
		all := 0
		for _, size := range sizes {
			all += size
		}
		replicas := rapid.IntRange(1, min(all, 6)).Draw(t, "replicas")
		unevenness := func(counts []int) int {
			sum := 0
			for _, n := range counts {
				sum += n * n
			}
			return sum
		}
		least := replicas*replicas + 1
		spreads(sizes, replicas, func(counts []int) { least = min(least, unevenness(counts)) })
		allowed := zoneBounds(sizes, replicas)
		spreads(sizes, replicas, func(counts []int) {
			inside := true
			for z, n := range counts {
				inside = inside && n >= allowed[z].lo && n <= allowed[z].hi
			}
			if inside != (unevenness(counts) == least) {
				t.Fatalf("sizes %v, %d replicas, spread %v: within the bounds %v: %v, least uneven: %v",
					sizes, replicas, counts, allowed, inside, !inside)
			}
		})
	})
}

func TestSpreadNamesWhatIsWrongWithAList(t *testing.T) {
	members := []Member{
		{ID: 1, Zone: "x", Weight: 1}, {ID: 2, Zone: "x", Weight: 1}, {ID: 3, Zone: "x", Weight: 5},
		{ID: 4, Zone: "y", Weight: 1}, {ID: 5, Zone: "y", Weight: 1}, {ID: 6, Zone: "y"},
	}
	spread := NewSpread(members, 3)
	cases := []struct {
		name string
		list []kv.NodeID
		want []string
	}{
		{"two and one", []kv.NodeID{1, 4, 3}, nil},
		{"one and two", []kv.NodeID{5, 4, 3}, nil},
		{"one zone", []kv.NodeID{1, 2, 3},
			[]string{`3 nodes in zone "x", not 1 to 2`, `0 nodes in zone "y", not 1 to 2`}},
		{"twice", []kv.NodeID{1, 4, 1}, []string{"node 1 stands in it twice"}},
		{"leaving", []kv.NodeID{1, 4, 6}, []string{"node 6 is no member that takes data"}},
		{"unknown", []kv.NodeID{1, 4, 9}, []string{"node 9 is no member that takes data"}},
		{"vacant", []kv.NodeID{1, 0, 5}, []string{"node 0 is no member that takes data"}},
		{"short", []kv.NodeID{1, 4}, []string{"2 nodes, not 3"}},
		{"long", []kv.NodeID{1, 4, 5, 2}, []string{"4 nodes, not 3"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := spread.Check(c.list)
			if (err != nil) != (c.want != nil) || err != nil && !errors.Is(err, ErrSpread) {
				t.Fatalf("Check(%v) = %v, want ErrSpread: %v", c.list, err, c.want != nil)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Check(%v) = %v\nwant it to name %q", c.list, err, want)
				}
			}
		})
	}
}
