// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Diff names exactly the leaves whose keys differ: what a comparison of the sets says.
func TestDiffIsThatOfTheSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := ShapeOf(seed, 4, 1)
		mine, theirs := drawModel(t), drawModel(t)
		if rapid.Bool().Draw(t, "nearly the same") {
			theirs = maps.Clone(mine)
			key := drawKey(t)
			theirs[key] = drawEntry(t, key)
		}
		differ := make(map[uint16]bool)
		for n := range 41 {
			if key := keyOf(n); mine[key] != theirs[key] {
				differ[leafOf(shape, key)] = true
			}
		}
		got, err := Diff(mine.tree(shape), theirs.tree(shape))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSorted(got) || len(got) != len(differ) {
			t.Fatalf("leaves %v, want %v", got, differ)
		}
		for _, leaf := range got {
			if !differ[leaf] {
				t.Fatalf("leaf %d is the same", leaf)
			}
		}
	})
}

func TestRowsOfSumsDifferWhereTheirSumsDo(t *testing.T) {
	row := func(hashes ...uint64) (sums []Sum) {
		for _, h := range hashes {
			sums = append(sums, Sum{Hash: h, Count: h})
		}
		return sums
	}
	tests := []struct {
		name         string
		mine, theirs []Sum
		want         []uint16
	}{
		{"equal", row(1, 2, 3), row(1, 2, 3), nil},
		{"first and last", row(1, 2, 3), row(9, 2, 9), []uint16{0, 2}},
		{"mine is longer", row(1, 2, 3), row(1), []uint16{1, 2}},
		{"theirs is longer", row(1), row(1, 2, 3), []uint16{1, 2}},
		{"the rest is empty", row(1), append(row(1), Sum{}), nil},
		{"count alone", []Sum{{5, 1}}, []Sum{{5, 2}}, []uint16{0}},
	}
	for _, tt := range tests {
		if got := Differing(tt.mine, tt.theirs); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A write that one side has and the other not yet differs once; what is behind differs
// each time.
func TestTrapM3OnlyWhatDiffersTwiceIsLookedInto(t *testing.T) {
	shape := ShapeOf(seed, 4, 1)
	mine, theirs := model{}, model{}
	old := Entry{HeldObject, 1}
	mine["behind"], theirs["behind"] = old, Entry{HeldObject, 2}
	mine["written"], theirs["written"] = old, Entry{HeldObject, 3} // arrives between the looks
	first, err := Diff(mine.tree(shape), theirs.tree(shape))
	if err != nil {
		t.Fatal(err)
	}
	mine["written"] = theirs["written"]
	mine["next"] = old // and another one is on its way
	second, err := Diff(mine.tree(shape), theirs.tree(shape))
	if err != nil {
		t.Fatal(err)
	}
	want := []uint16{leafOf(shape, "behind")}
	if got := Both(first, second); !slices.Equal(got, want) {
		t.Errorf("leaves %v, want %v", got, want)
	}
}

func TestBothIsTheIntersection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) []uint16 {
			list := rapid.SliceOfDistinct(rapid.Uint16Range(0, 20), rapid.ID[uint16]).Draw(t, name)
			slices.Sort(list)
			return list
		}
		first, second := draw("first"), draw("second")
		var want []uint16
		for _, leaf := range first {
			if slices.Contains(second, leaf) {
				want = append(want, leaf)
			}
		}
		if got := Both(first, second); !slices.Equal(got, want) {
			t.Fatalf("both of %v and %v: %v", first, second, got)
		}
	})
}

// Whatever has gone wrong, one exchange goes into a few leaves only, and who goes on
// where it ended comes to all of them.
func TestTrapM4OneExchangeGoesIntoAFewLeaves(t *testing.T) {
	all := make([]uint16, Leaves)
	for i := range all {
		all[i] = uint16(i)
	}
	met := LeafSet{}
	for from := uint16(0); from < Leaves; from += MaxLeaves {
		chosen := Choose(all, from, MaxLeaves)
		if chosen.Len() != MaxLeaves {
			t.Errorf("from %d on %d leaves were chosen", from, chosen.Len())
		}
		for leaf := range uint16(Leaves) {
			if chosen.Has(leaf) {
				met.Add(leaf)
			}
		}
	}
	if met.Len() != Leaves {
		t.Errorf("%d leaves were never chosen", Leaves-met.Len())
	}
	some := []uint16{3, 64, 65, 1023}
	for from, want := range map[uint16][]uint16{
		0: {3, 64}, 3: {3, 64}, 4: {64, 65}, 65: {65, 1023}, 66: {3, 1023}, 1024: {3, 64},
	} {
		chosen := Choose(some, from, 2)
		for _, leaf := range some {
			if chosen.Has(leaf) != slices.Contains(want, leaf) {
				t.Errorf("from %d: leaf %d chosen: %v, want %v", from, leaf, chosen.Has(leaf), want)
			}
		}
	}
	if none := Choose(nil, 0, MaxLeaves); none.Len() != 0 {
		t.Errorf("of no leaves %d were chosen", none.Len())
	}
}
