// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"errors"
	"math"
	"testing"
)

func TestActorsHoldTheirNodeAndIncarnation(t *testing.T) {
	for _, tc := range []struct {
		node        uint16
		incarnation uint64
		text        string
	}{
		{0, 1, "0.000000000001"},
		{1, 0xa, "1.00000000000a"},
		{math.MaxUint16, MaxIncarnation, "65535.ffffffffffff"},
		{258, 1 << 47, "258.800000000000"},
	} {
		a, err := NewActor(tc.node, tc.incarnation)
		if err != nil {
			t.Fatal(err)
		}
		if a.Node() != tc.node || a.Incarnation() != tc.incarnation || a.String() != tc.text {
			t.Errorf("%d with %d: got node %d, incarnation %d, %s",
				tc.node, tc.incarnation, a.Node(), a.Incarnation(), a)
		}
	}
}

func TestIncarnationsThatDoNotFitAreRefused(t *testing.T) {
	for _, incarnation := range []uint64{0, MaxIncarnation + 1, math.MaxUint64} {
		if a, err := NewActor(1, incarnation); !errors.Is(err, ErrIncarnation) || a != 0 {
			t.Errorf("%d: got %s, %v", incarnation, a, err)
		}
	}
}

func TestDotsAreOrderedByActorThenCounter(t *testing.T) {
	sorted := []Dot{{}, {0, 1}, {1, 0}, {1, 1}, {1, 2}, {2, 1}, {math.MaxUint64, 1}}
	for i, d := range sorted {
		for j, e := range sorted {
			want := min(max(i-j, -1), 1)
			if got := d.Compare(e); got != want {
				t.Errorf("%s to %s: %d, want %d", d, e, got, want)
			}
		}
		if d.IsZero() != (i == 0) {
			t.Errorf("%s is zero: %t", d, d.IsZero())
		}
	}
}
