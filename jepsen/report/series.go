// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/history"
)

const (
	// maxPoints bounds the operations that are drawn one by one: 8 bytes of each are in the
	// page before it is packed. Beyond that they are thinned out, and the rows below, which
	// count all of them, are drawn instead.
	maxPoints = 2 << 20
	// A latency is told as a power of codeStep microseconds: to half a per cent, and from a
	// microsecond to 300 hours.
	codeStep = 1.01
	codes    = 2800
	noCode   = 0xffff // of a slice in which nothing was ok
	// maxNodes is how many nodes are told apart in pictures; the rest is one more.
	maxNodes = 63
	// nodeSlices is in how many pieces the run is cut where nodes are told apart.
	nodeSlices = 512
)

// levelSlices is in how many pieces the whole run is cut, level by level.
func levelSlices() []int { return []int{240, 960, 3840, 15360} }

// code is how a latency is told.
func code(latency int64) uint16 {
	us := max(float64(latency)/1000, 1)
	return uint16(min(math.Round(math.Log(us)/math.Log(codeStep)), codes-1))
}

// latencyOf is what a code tells, in nanoseconds.
func latencyOf(c uint16) float64 { return 1000 * math.Pow(codeStep, float64(c)) }

// series is the operations over time: each of them, and counted in slices.
type series struct {
	From, Until int64 // of the whole run
	Unit        int64 // how many nanoseconds a unit of the points' times is
	Every       int   // each so manieth operation is a point
	Points      int
	Nodes       []string
	Slices      []int // of each level

	points  []byte
	levels  []byte
	perNode []byte
}

// newSeries looks at all operations of a history, once for each level. It keeps so many
// points at most.
func newSeries(h *history.History, most int) *series {
	s := &series{Unit: 1000, Every: 1, Slices: levelSlices()}
	order := make([]int32, 0, len(h.Ops))
	for i := range h.Ops {
		if asks(&h.Ops[i]) {
			order = append(order, int32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		return cmp.Compare(h.Ops[a].Invoked, h.Ops[b].Invoked)
	})
	s.span(h, order)
	nodes := s.nodes(h)
	s.Every = max((len(order)+most-1)/most, 1)
	s.drawPoints(h, order, nodes)
	for _, n := range s.Slices {
		s.drawLevel(h, order, n)
	}
	s.drawNodes(h, nodes)
	return s
}

// span finds when the run begins and ends. Clients' times are what counts: a fault without
// end must not make all else small.
func (s *series) span(h *history.History, order []int32) {
	if len(order) == 0 {
		s.Until = 1
		return
	}
	s.From, s.Until = h.Ops[order[0]].Invoked, math.MinInt64
	for i := range h.Ops {
		s.Until = max(s.Until, h.Ops[i].Completed)
	}
	s.Until = max(s.Until, s.From+1)
	s.Unit = max(s.Unit, (s.Until-s.From)/math.MaxUint32+1)
}

// nodes numbers those that are told apart: those that served most.
func (s *series) nodes(h *history.History) map[string]uint8 {
	served := make(map[string]int)
	for i := range h.Ops {
		if name := nodeOf(&h.Ops[i]); name != "" {
			served[name]++
		}
	}
	var names []string
	for name := range served {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(-cmp.Compare(served[a], served[b]), cmp.Compare(a, b))
	})
	s.Nodes = names[:min(len(names), maxNodes)]
	slices.Sort(s.Nodes)
	numbers := make(map[string]uint8)
	for i, name := range s.Nodes {
		numbers[name] = uint8(i)
	}
	return numbers
}

// nobody stands for the node of operations on keys that no node answered: they count, or a
// node that is down would look like one that nobody asks.
const nobody = "(no answer)"

// nodeOf is the node by which an operation is counted, "" of none. Who answers an operation on
// a lock is not always told.
func nodeOf(op *history.Op) string {
	if op.Node == "" && !op.Kind.Locks() && op.Outcome != history.OK {
		return nobody
	}
	return op.Node
}

// drawPoints packs each operation, column by column: the time since the one before, the
// latency, the node, and kind and outcome.
func (s *series) drawPoints(h *history.History, order []int32, nodes map[string]uint8) {
	var kept []int32
	for n, i := range order {
		if n%s.Every == 0 {
			kept = append(kept, i)
		}
	}
	s.Points = len(kept)
	var times, latencies, served, what []byte
	before := int64(0)
	for _, i := range kept {
		op := &h.Ops[i]
		at := (op.Invoked - s.From) / s.Unit
		times = binary.LittleEndian.AppendUint32(times, uint32(at-before))
		before = at
		latencies = binary.LittleEndian.AppendUint16(latencies, code(op.Completed-op.Invoked))
		node, known := nodes[nodeOf(op)]
		if !known {
			node = maxNodes
		}
		served = append(served, node)
		what = append(what, byte(op.Kind)|byte(op.Outcome)<<4)
	}
	s.points = slices.Concat(times, latencies, served, what)
}

// slice is which of n pieces of the run a time is in.
func (s *series) slice(at int64, n int) int {
	share := float64(at-s.From) / float64(s.Until-s.From)
	return min(max(int(share*float64(n)), 0), n-1)
}

// drawLevel counts in n slices: operations by outcome, and quantiles of the latency of those
// that were ok.
func (s *series) drawLevel(h *history.History, order []int32, n int) {
	counts := make([]uint32, 3*n)
	quantiles := make([]uint16, 4*n)
	for i := range quantiles {
		quantiles[i] = noCode
	}
	var hist histogram
	end := func(at int) {
		for q, share := range quantileShares() {
			quantiles[q*n+at] = hist.quantile(share)
		}
		hist = histogram{}
	}
	at := 0
	for _, i := range order {
		op := &h.Ops[i]
		if now := s.slice(op.Invoked, n); now != at {
			if hist.all > 0 {
				end(at)
			}
			at = now
		}
		counts[int(op.Outcome-history.OK)*n+at]++
		if op.Outcome == history.OK {
			hist.add(code(op.Completed - op.Invoked))
		}
	}
	if hist.all > 0 {
		end(at)
	}
	for _, c := range counts {
		s.levels = binary.LittleEndian.AppendUint32(s.levels, c)
	}
	for _, q := range quantiles {
		s.levels = binary.LittleEndian.AppendUint16(s.levels, q)
	}
}

// drawNodes counts for each node in each slice the operations that were ok, and all of them.
func (s *series) drawNodes(h *history.History, nodes map[string]uint8) {
	counts := make([]uint32, 2*nodeSlices*len(s.Nodes))
	for i := range h.Ops {
		op := &h.Ops[i]
		node, known := nodes[nodeOf(op)]
		if !known {
			continue
		}
		at := 2 * (int(node)*nodeSlices + s.slice(op.Invoked, nodeSlices))
		if op.Outcome == history.OK {
			counts[at]++
		}
		counts[at+1]++
	}
	for _, c := range counts {
		s.perNode = binary.LittleEndian.AppendUint32(s.perNode, c)
	}
}

// quantileShares are those that are told; 1 is the longest.
func quantileShares() []float64 { return []float64{0.5, 0.99, 0.999, 1} }

// histogram counts latencies by their codes.
type histogram struct {
	by  [codes]uint32
	all int
}

func (h *histogram) add(c uint16) {
	h.by[c]++
	h.all++
}

// quantile is the smallest code that so large a share is not above, noCode of none.
func (h *histogram) quantile(share float64) uint16 {
	least, seen := max(int(math.Ceil(share*float64(h.all))), 1), 0
	for c, n := range h.by {
		if seen += int(n); n > 0 && seen >= least {
			return uint16(c)
		}
	}
	return noCode
}
