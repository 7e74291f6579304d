// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
)

// lost is a ring of four partitions and four nodes, of which node 2 lost its store.
func lost() []Placement {
	return []Placement{
		{Version: 10, Slots: []kv.Slot{kv.Stable(1), kv.Stable(2), kv.Stable(3)}},
		{Version: 12, Slots: []kv.Slot{kv.Stable(1), kv.Stable(3), kv.Stable(4)}},
		{Version: 11, Slots: []kv.Slot{kv.Stable(2), kv.Stable(3), kv.Stable(4)}},
		{Version: 10, Slots: []kv.Slot{kv.Stable(4), kv.Stable(1), kv.Stable(2)}},
	}
}

// allBut tells that all stores are whole but those of some nodes. Node n lives its n-th life.
func allBut(filling ...kv.NodeID) Whole {
	return func(n kv.NodeID) (kv.Instance, bool) {
		for _, f := range filling {
			if n == f {
				return kv.Instance(n), false
			}
		}
		return kv.Instance(n), n <= 4
	}
}

func source(n kv.NodeID) Source { return Source{Node: n, Instance: kv.Instance(n)} }

func TestRefillRaisesTheNodesPartitionsToOneVersionAboveAll(t *testing.T) {
	before := lost()
	after, g, err := BeginRefill(before, 2, 13)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lost(), before); diff != "" {
		t.Errorf("the placements that were given have changed:\n%s", diff)
	}
	for p, want := range []kv.PlacementVersion{13, 12, 13, 13} {
		if after[p].Version != want {
			t.Errorf("partition %d is at version %d, want %d", p, after[p].Version, want)
		}
	}
	if !g.Active() || g.Since != 13 || g.MayCopy(12) || !g.MayCopy(13) {
		t.Errorf("the refill is %+v", g)
	}
	if _, _, err := BeginRefill(before, 2, 12); !errors.Is(err, ErrRefill) {
		t.Errorf("a version of another partition: %v", err)
	}
	if _, g, err := BeginRefill(before, 5, 13); err != nil || g.Active() || g.MayCopy(13) {
		t.Errorf("a node without a slot has nothing to be filled with: %+v, %v", g, err)
	}
	before[3].Slots[2] = kv.Slot{Owner: 2, Next: 3, Phase: kv.PhaseWriteBothReadOld}
	if _, _, err := BeginRefill(before, 2, 13); !errors.Is(err, ErrRefill) ||
		!strings.Contains(err.Error(), "partition 3 moves") {
		t.Errorf("a slot of the node moves: %v", err)
	}
}

func TestRefillWaitsForAllWholeOwners(t *testing.T) {
	placements, g, err := BeginRefill(lost(), 2, 13)
	if err != nil {
		t.Fatal(err)
	}
	store := Store{Instance: 2, OpenSeq: 7}
	full := Filled{Store: store, Fence: 13, Sources: []Source{source(1), source(3), source(4)}}
	elsewhere := full
	elsewhere.Sources = []Source{source(1), source(3), {Node: 4, Instance: 3}}
	orphan := full
	orphan.Sources = []Source{source(4)}
	for _, c := range []struct {
		name   string
		refill Refill
		whole  Whole
		filled Filled
		why    string // "": over
	}{
		{"all were copied", g, allBut(2), full, ""},
		{"nothing is lost", Refill{}, allBut(), full, "not being filled"},
		{"T12 another opening", g, allBut(2), Filled{Store: Store{2, 6}, Fence: 13,
			Sources: full.Sources}, "was opened or replaced"},
		{"T12 another life", g, allBut(2), Filled{Store: Store{1, 7}, Fence: 13,
			Sources: full.Sources}, "was opened or replaced"},
		{"another owner was lost since", g, allBut(2), Filled{Store: store, Fence: 12,
			Sources: full.Sources}, "fenced itself at version 12"},
		{"a life of a source that is over", g, allBut(2), elsewhere, "lacks what nodes [4] have"},
		{"one of two intact ones", g, allBut(2), Filled{Store: store, Fence: 13,
			Sources: []Source{source(3)}}, "lacks what nodes [1 4] have"},
		{"others are being filled", g, allBut(2, 1, 4), Filled{Store: store, Fence: 13,
			Sources: []Source{source(3)}}, "1 partitions no intact owner"},
		{"nobody is left", g, allBut(2, 1, 3, 4), Filled{Store: store, Fence: 13},
			"3 partitions no intact owner"},
		{"nobody is left, and that is accepted", g.Accept(nil), allBut(2, 1, 3, 4),
			Filled{Store: store, Fence: 13}, ""},
		{"an acceptance is no dispensation from those that are there", g.Accept(nil), allBut(2),
			orphan, "lacks what nodes [1 3] have"},
		{"owners are given up", g.Accept([]kv.NodeID{3}).Accept([]kv.NodeID{1, 3}), allBut(2),
			orphan, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.refill.Finish(placements, 2, store, c.whole, c.filled)
			switch {
			case c.why == "" && err != nil:
				t.Error(err)
			case c.why != "" && (!errors.Is(err, ErrRefill) || !strings.Contains(err.Error(), c.why)):
				t.Errorf("%v, want %q", err, c.why)
			}
		})
	}
	accepted := g.Accept([]kv.NodeID{3}).Accept([]kv.NodeID{1, 3})
	if diff := cmp.Diff([]kv.NodeID{1, 3}, accepted.Without); diff != "" || g.Accepted {
		t.Errorf("owners given up:\n%s", diff)
	}
}
