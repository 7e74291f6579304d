// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Every value is below exactly those powers of two that it is below (I1).
func TestAValueIsCountedBelowThePowersThatItIsBelow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Uint64Range(0, 1<<40-1)).Draw(t, "values")
		var d Doubling
		sum := uint64(0)
		for _, v := range values {
			d.Observe(v)
			sum += v
		}
		from := rapid.IntRange(0, 20).Draw(t, "from")
		to := rapid.IntRange(from, 40).Draw(t, "to")
		step := rapid.IntRange(1, 5).Draw(t, "step")
		below, all := d.Below(from, to, step)
		var want []uint64
		for i := from; i <= to; i += step {
			n := uint64(0)
			for _, v := range values {
				if v < 1<<i {
					n++
				}
			}
			want = append(want, n)
		}
		if !slices.Equal(below, want) || all != uint64(len(values)) || d.Count() != all || d.Sum() != sum {
			t.Fatalf("%v: below %v of %d, sum %d; want %v of %d, sum %d", values, below, all, d.Sum(),
				want, len(values), sum)
		}
	})
}

func TestValuesBeyondTheLastBucketAreInIt(t *testing.T) {
	t.Parallel()
	var d Doubling
	d.Observe(math.MaxUint64)
	d.ObserveTime(-time.Second) // a clock that steps back
	if below, all := d.Below(0, 40, 40); all != 2 || !slices.Equal(below, []uint64{1, 1}) {
		t.Errorf("below %v of %d", below, all)
	}
}
