// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"testing"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

func val(client uint32, seq uint64) history.Value { return history.Value{Client: client, Seq: seq} }

// lostHistory is of one key: two writes, each over the one before, and a read that shows
// neither, but another one which nobody made.
func lostHistory() (*history.History, *checker.Violation) {
	op := func(p int, k history.Kind, from, to int64) history.Op {
		return history.Op{
			Process: p, Kind: k, Key: "k", Invoked: from, Completed: to, Outcome: history.OK, Node: "n1",
		}
	}
	first, read, second, last := op(1, history.Put, 10, 20), op(2, history.Get, 30, 40),
		op(2, history.Put, 50, 60), op(3, history.Get, 70, 5000)
	first.Value, first.Blind = val(1, 1), true
	read.Read = []history.Value{val(1, 1)}
	second.Value, second.Context = val(2, 1), []history.Value{val(1, 1)}
	last.Read, last.Node = []history.Value{val(9, 9)}, "n2"
	h := &history.History{Ops: []history.Op{first, read, second, last}}
	return h, &checker.Violation{Rule: "lost-update", Key: "k", Ops: []int{0, 1, 2, 3}}
}

func TestCausalGraphTellsWhoWroteOverWhatAndWhoReadIt(t *testing.T) {
	h, v := lostHistory()
	g := newCausalGraph(h, writesOf(h), v)
	var arrows []string
	for _, a := range g.Arrows {
		arrows = append(arrows, fmt.Sprint(g.Boxes[a.from].op, " ", a.Class, " ", g.Boxes[a.to].op))
	}
	slices.Sort(arrows)
	want := []string{"-1 shows 3", "0 missing 3", "0 over 2", "0 shows 1", "1 session 2"}
	if !slices.Equal(arrows, want) {
		t.Errorf("arrows %q, must be %q", arrows, want)
	}
	last := g.Boxes[3]
	for i, b := range g.Boxes {
		if i != 3 && b.X >= last.X {
			t.Errorf("box %q is not left of the evidence", b.Head)
		}
		for j, other := range g.Boxes[:i] {
			if b.X == other.X && b.Y == other.Y {
				t.Errorf("boxes %d and %d lie on each other", i, j)
			}
		}
	}
	for _, a := range g.Arrows {
		if a.X1 > a.X2 {
			t.Errorf("arrow %s goes back", a.Class)
		}
	}
}

func TestCausalGraphOfADeleteWithoutContext(t *testing.T) {
	h, v := lostHistory()
	d := &h.Ops[2]
	d.Kind, d.Context, d.Blind = history.Delete, nil, true
	g := newCausalGraph(h, writesOf(h), v)
	if !slices.ContainsFunc(g.Arrows, func(a arrow) bool {
		return a.Class == "over" && g.Boxes[a.from].op == 0 && g.Boxes[a.to].op == 2
	}) {
		t.Errorf("the delete did not meet what was written before it: %+v", g.Arrows)
	}
}

func TestCausalGraphOfACircleEnds(t *testing.T) {
	h, v := lostHistory()
	h.Ops[0].Context, h.Ops[0].Blind = []history.Value{val(2, 1)}, false // and that over this
	if g := newCausalGraph(h, writesOf(h), v); g == nil || len(g.Boxes) != 5 {
		t.Errorf("graph %+v", g)
	}
}

func TestCausalGraphOfNothingIsNone(t *testing.T) {
	h := smallHistory()
	if g := newCausalGraph(h, writesOf(h), &checker.Violation{Ops: []int{0}}); g != nil {
		t.Errorf("a read of nothing came from %+v", g)
	}
	if d := newSpaceTime(h, &checker.Violation{Ops: []int{5}}, nil); d != nil {
		t.Errorf("an operation that is not there was drawn: %+v", d)
	}
}

func TestSpaceTimeKeepsTheOrderOfTimes(t *testing.T) {
	h, v := lostHistory()
	v.Ops = []int{0, 3} // the others are beside it
	h.Ops[1].Outcome = history.Info
	faults := []Fault{
		{Kind: "kill", From: 15, Until: 55, Nodes: []string{"n1"}, Bit: true},
		{Kind: "loss", From: 1, Until: 1 << 40},
		{Kind: "late", From: 1 << 40, Until: 1 << 41},
	}
	d := newSpaceTime(h, v, faults)
	if len(d.Lanes) != 5 || d.Lanes[0].Name != "process 1" || d.Lanes[4].Name != "node n2" {
		t.Errorf("lanes %+v", d.Lanes)
	}
	for i, b := range d.Bars[1:] {
		if b.X <= d.Bars[i].Right() {
			t.Errorf("bar %d begins at %g, before the one before ends at %g", i+1, b.X, d.Bars[i].Right())
		}
	}
	if d.Bars[0].Number != 1 || d.Bars[3].Number != 2 || d.Bars[1].Number != 0 {
		t.Error("numbers are not those of the path")
	}
	if d.Bars[1].Answered || !d.Bars[2].Answered {
		t.Error("what is not known was answered, or what is known was not")
	}
	if len(d.Bands) != 2 || d.Bands[0].Y != d.Lanes[3].Y-laneHeight/2+4 || d.Bands[1].Y != laneTop {
		t.Errorf("faults %+v: one on node n1, one on all", d.Bands)
	}
	if d.Width > 2000 {
		t.Errorf("it is %d pixels wide", d.Width)
	}
}

func TestKeysWithViolationsComeFirstAndAreCutAroundThem(t *testing.T) {
	h := &history.History{}
	for i := range 3000 {
		key := fmt.Sprintf("k%d", i%3)
		if i >= 2500 {
			key = fmt.Sprintf("other %d", i) // 500 keys: too many
		}
		h.Ops = append(h.Ops, history.Op{
			Process: i % 4, Kind: history.Get, Key: key, Invoked: int64(i), Completed: int64(i) + 1,
			Outcome: history.OK,
		})
	}
	report := &checker.Report{Results: []checker.Result{{Violations: []checker.Violation{
		{Rule: "stale", Key: "k2", Ops: []int{2, 2000}}, {Rule: "lost", Key: "k2", Ops: []int{2000}},
		{Rule: "gone", Key: "never used"}, {Rule: "silence"},
	}}}}
	keys := newKeys(h, report, 0)
	if len(keys) != maxKeys || keys[0].Name != "k2" || keys[1].Name != "k0" {
		t.Fatalf("%d keys, %q first", len(keys), keys[0].Name)
	}
	k := keys[0]
	if !slices.Equal(k.Rules, []string{"stale", "lost"}) || k.All != 833 || len(k.Ops) != maxKeyOps {
		t.Errorf("rules %q, %d of %d operations", k.Rules, len(k.Ops), k.All)
	}
	var evidence []string
	for i, op := range k.Ops {
		if op.Bad != nil {
			evidence = append(evidence, fmt.Sprintf("%d %v", op.From, op.Bad))
		}
		if i > 0 && op.From <= k.Ops[i-1].From {
			t.Fatalf("operation %d is out of order", i)
		}
	}
	if !slices.Equal(evidence, []string{"2 [stale]", "2000 [stale lost]"}) {
		t.Errorf("evidence %q", evidence)
	}
}
