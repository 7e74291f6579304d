// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

func TestManySlotsAndFallbacksOutgrowTheInlineSeats(t *testing.T) {
	s := spec(MaxSlots, 0, layout(MaxSlots, 4, kv.PhaseWriteBothReadOld)...)
	s.Slots[0].Next = 0
	s.Slots[0].Phase = kv.PhaseStable
	for i := range s.Slots { // owners 1 to 16 and joiners 11 to 14 would meet
		s.Slots[i].Owner += 100
	}
	s.Sloppy = true
	for f := kv.NodeID(201); f < 240; f++ {
		s.Fallbacks = append(s.Fallbacks, f)
	}
	w := startWrite(t, s)
	for e := range w.Entries() {
		w.Add(owner(e.Node, ResultFailed))
	}
	targets := askAll(w)
	if len(targets) != MaxSlots {
		t.Fatalf("%d hints for %d slots", len(targets), MaxSlots)
	}
	for i, target := range targets {
		d := w.Add(fallback(target.Node, target.Slot, ResultStored))
		if last := i == len(targets)-1; (d == Reached) != last {
			t.Fatalf("%v after %d hints", d, i+1)
		}
	}
}

func TestSoManyFallbacksAreAskedAndNoMore(t *testing.T) {
	s := spec(1, 0, stable(1)...)
	s.Sloppy, s.Fallbacks, s.Suspects = true, []kv.NodeID{5, 6, 7, 8, 9, 10}, []kv.NodeID{5}
	asked := []kv.NodeID{}
	for w := startWrite(t, s); w.Decision() == Pending; {
		w.Add(owner(1, ResultFailed))
		for _, target := range askAll(w) {
			asked = append(asked, target.Node)
			w.Add(fallback(target.Node, target.Slot, ResultFailed))
		}
	}
	if wanted := []kv.NodeID{6, 7, 8, 9}; !slices.Equal(asked, wanted) {
		t.Fatalf("a write asks %v, want %v", asked, wanted)
	}
	asked = asked[:0]
	for r := startRead(t, s); r.Decision() == Pending; {
		r.Add(owner(1, ResultFailed))
		for _, target := range askAll(r) {
			asked = append(asked, target.Node)
			r.Add(fallback(target.Node, target.Slot, ResultFailed))
		}
	}
	if wanted := []kv.NodeID{6, 7, 8, 9}; !slices.Equal(asked, wanted) {
		t.Fatalf("a read asks %v, want %v", asked, wanted)
	}
}

func TestBadSpecsAreRefusedWithTheReason(t *testing.T) {
	good := spec(2, 1, stable(1, 2, 3)...)
	for _, c := range []struct {
		name string
		bend func(*Spec)
		why  string
	}{
		{"no slots", func(s *Spec) { s.Slots = nil }, "0 slots"},
		{"too many slots", func(s *Spec) { s.Slots = layout(17, 0, 0) }, "17 slots"},
		{"need nothing", func(s *Spec) { s.Need = 0 }, "need 0"},
		{"need too much", func(s *Spec) { s.Need = 4 }, "need 4"},
		{"negative pr", func(s *Spec) { s.NeedConfirmed = -1 }, "need -1 confirmed"},
		{"pr above r", func(s *Spec) { s.NeedConfirmed = 3 }, "need 3 confirmed"},
		{"no instances", func(s *Spec) { s.Instances = nil }, "no instances"},
		{"no owner", func(s *Spec) { s.Slots = stable(1, 2, 0) }, "slot 2"},
		{"no phase", func(s *Spec) { s.Slots = []kv.Slot{{Owner: 1}, {Owner: 2}} }, "slot 0"},
		{"half a move", func(s *Spec) {
			s.Slots = []kv.Slot{{Owner: 1, Phase: kv.PhaseWriteBothReadNew}, kv.Stable(2)}
		}, "slot 0"},
		{"a move at rest", func(s *Spec) {
			s.Slots = []kv.Slot{kv.Stable(2), {Owner: 1, Next: 3, Phase: kv.PhaseStable}}
		}, "slot 1"},
		{"a move to itself", func(s *Spec) {
			s.Slots = []kv.Slot{kv.Stable(2),
				{Owner: 1, Next: 1, Phase: kv.PhaseWriteBothReadOld}}
		}, "slot 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := good
			c.bend(&s)
			_, err := NewWrite(s)
			if !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), c.why) {
				t.Fatalf("write: %v", err)
			}
			if _, err := NewRead(s); !errors.Is(err, ErrSpec) {
				t.Fatalf("read: %v", err)
			}
		})
	}
}

func TestARoundIsOneAllocation(t *testing.T) {
	s := spec(2, 1, kv.Stable(1), kv.Stable(2),
		kv.Slot{Owner: 3, Next: 4, Phase: kv.PhaseWriteBothReadOld})
	s.Sloppy, s.Fallbacks, s.Suspects = true, []kv.NodeID{5, 6, 7}, []kv.NodeID{2}
	s.Instances = Instances(testInstance)
	var last Decision
	if n := testing.AllocsPerRun(100, func() {
		w, _ := NewWrite(s)
		for _, more := w.Next(); more; _, more = w.Next() {
		}
		w.Add(owner(2, ResultFailed))
		w.Add(fallback(5, 1, ResultStored))
		last = w.Add(owner(1, ResultStored))
	}); n > 1 || last != Reached {
		t.Fatalf("a write allocates %v times, and is %v", n, last)
	}
	if n := testing.AllocsPerRun(100, func() {
		r, _ := NewRead(s)
		for _, more := r.Next(); more; _, more = r.Next() {
		}
		r.Add(owner(1, ResultFound))
		last = r.Add(owner(3, ResultNotFound))
	}); n > 1 || last != Reached {
		t.Fatalf("a read allocates %v times, and is %v", n, last)
	}
}

func BenchmarkWriteOfThree(b *testing.B) {
	s := spec(2, 0, stable(1, 2, 3)...)
	b.ReportAllocs()
	for b.Loop() {
		w, _ := NewWrite(s)
		for _, more := w.Next(); more; _, more = w.Next() {
		}
		for node := kv.NodeID(1); node <= 3; node++ {
			w.Add(owner(node, ResultStored))
		}
	}
}
