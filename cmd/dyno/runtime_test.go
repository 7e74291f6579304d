// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
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

func TestMemoryIsGivenBackOnceAfterEachTimeOfWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var total atomic.Uint64
		var trims atomic.Int64
		go trimWhenIdle(ctx, total.Load, func() { trims.Add(1) })
		synctest.Wait()
		for _, work := range []struct {
			bytes uint64
			want  int64 // trims so far
		}{{idleBytes, 0}, {idleBytes * 9, 0}, {100, 1}, {0, 1}, {5000, 1}, {idleBytes, 1}, {1, 2}, {0, 2}} {
			total.Add(work.bytes)
			time.Sleep(idlePeriod)
			synctest.Wait()
			if got := trims.Load(); got != work.want {
				t.Fatalf("%d trims after %d bytes, want %d", got, work.bytes, work.want)
			}
		}
	})
}
