// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"testing"
)

func TestNodesShareTheProcess(t *testing.T) {
	if got := processors(2, 3); got != 5 {
		t.Errorf("%d processors for three nodes on two cores, want one more for each", got)
	}
	cases := []struct {
		each uint64
		want int64
	}{
		{256 << 20, 768 << 20}, {0, math.MaxInt64}, {math.MaxUint64, math.MaxInt64},
		{math.MaxInt64 / 3, math.MaxInt64 / 3 * 3},
	}
	for _, c := range cases {
		if got := memoryLimit(c.each, 3); got != c.want {
			t.Errorf("three nodes of %d bytes: %d, want %d", c.each, got, c.want)
		}
	}
}
