// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/dyno-kv/dyno/jepsen/history"
)

func TestCodesTellLatenciesToOnePerCent(t *testing.T) {
	for _, ns := range []int64{1000, 1234, 55_000, 1e6, 123_456_789, 1e9, 3.6e12} {
		if got := latencyOf(code(ns)); math.Abs(got/float64(ns)-1) > 0.0051 {
			t.Errorf("%d ns are told as %g", ns, got)
		}
	}
	if code(-5) != 0 || code(0) != 0 || code(math.MaxInt64) >= codes {
		t.Error("what is out of bounds has a code out of bounds")
	}
}

// TestSeriesCountsEachOperation reads the columns and the levels back, and counts anew.
func TestSeriesCountsEachOperation(t *testing.T) {
	h := longInput(5000).History
	s := newSeries(h, maxPoints)
	if s.Points != 5000 || len(s.points) != 8*5000 || s.Every != 1 {
		t.Fatalf("%d points in %d bytes, each %dth", s.Points, len(s.points), s.Every)
	}
	at, ops := int64(0), slices.Clone(h.Ops)
	slices.SortStableFunc(ops, func(a, b history.Op) int { return int(a.Invoked - b.Invoked) })
	for i := range ops {
		op := &ops[i]
		at += int64(binary.LittleEndian.Uint32(s.points[4*i:]))
		took := binary.LittleEndian.Uint16(s.points[4*5000+2*i:])
		node, what := s.points[6*5000+i], s.points[7*5000+i]
		if d := at*s.Unit - (op.Invoked - s.From); d > 0 || d <= -s.Unit {
			t.Fatalf("operation %d is %d ns off", i, d)
		}
		if took != code(op.Completed-op.Invoked) || s.Nodes[node] != op.Node ||
			history.Kind(what&15) != op.Kind || history.Outcome(what>>4) != op.Outcome {
			t.Fatalf("operation %d is told as another one", i)
		}
	}
	offset := 0
	for _, n := range s.Slices {
		var all [3]uint32
		for slice := range n {
			var counts [3]uint32
			for k := range counts {
				counts[k] = binary.LittleEndian.Uint32(s.levels[offset+4*(k*n+slice):])
				all[k] += counts[k]
			}
			checkSlice(t, s, ops, slice, n, counts, offset+12*n)
		}
		offset += 20 * n
		if sum := all[0] + all[1] + all[2]; sum != 5000 {
			t.Errorf("level of %d slices counts %d", n, sum)
		}
	}
	if offset != len(s.levels) {
		t.Errorf("levels are %d bytes, must be %d", len(s.levels), offset)
	}
}

func checkSlice(
	t *testing.T, s *series, ops []history.Op, slice, n int, counts [3]uint32, quantiles int,
) {
	t.Helper()
	if slice%40 != 7 { // each of them would take long
		return
	}
	var took []uint16
	var want [3]uint32
	for i := range ops {
		if s.slice(ops[i].Invoked, n) != slice {
			continue
		}
		want[ops[i].Outcome-history.OK]++
		if ops[i].Outcome == history.OK {
			took = append(took, code(ops[i].Completed-ops[i].Invoked))
		}
	}
	if counts != want {
		t.Fatalf("slice %d of %d counts %v, must be %v", slice, n, counts, want)
	}
	slices.Sort(took)
	for q, share := range quantileShares() {
		got := binary.LittleEndian.Uint16(s.levels[quantiles+2*(q*n+slice):])
		want := uint16(noCode)
		if len(took) > 0 {
			want = took[int(math.Ceil(share*float64(len(took))))-1]
		}
		if got != want {
			t.Fatalf("slice %d of %d: quantile %g is %d, must be %d", slice, n, share, got, want)
		}
	}
}

func TestSeriesThinsOutWhatIsTooLong(t *testing.T) {
	const most = 1000
	h := &history.History{Ops: make([]history.Op, 2*most+1)}
	for i := range h.Ops {
		h.Ops[i] = history.Op{
			Kind: history.Get, Outcome: history.OK, Invoked: int64(i) * 2e10, Completed: int64(i)*2e10 + 1,
		}
	}
	s := newSeries(h, most) // 11 hours: also longer than 32 bits of microseconds
	if s.Every != 3 || s.Points > most || s.Unit < 2 {
		t.Errorf("each %dth, %d points, unit %d", s.Every, s.Points, s.Unit)
	}
	sum := uint32(0)
	for slice := range s.Slices[0] {
		sum += binary.LittleEndian.Uint32(s.levels[4*slice:])
	}
	if int(sum) != len(h.Ops) {
		t.Errorf("the levels count %d of %d", sum, len(h.Ops))
	}
}
