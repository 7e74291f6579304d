// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// asking is about the tree of a partition, as the present ring has it.
func (l *life) asking(p uint16) wire.TreeTarget {
	return wire.TreeTarget{
		Partition: p, Placement: l.ring.Load().Placement(p).Version, Instance: instance,
		Shape: l.shape(p).ID(), RemainingMS: 1000,
	}
}

func TestSumsAreThoseOfTheTree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.rebuild()
		for i := range 200 {
			l.put(fmt.Sprintf("key-%d", i), "v", vclock.Context{})
		}
		const p = 2
		tree := l.stored(p)
		branches := tree.Branches()
		var leaf, branch uint16
		for leaf = range antientropy.Leaves {
			if tree.Leaf(leaf).Count > 0 {
				branch = leaf / antientropy.Fanout
				break
			}
		}
		none := wire.TreeSum{}
		for _, c := range []struct {
			level wire.TreeLevel
			nodes []uint16
			want  []antientropy.Sum
		}{
			{wire.TreeRoot, []uint16{0}, []antientropy.Sum{tree.Root()}},
			{wire.TreeBranches, []uint16{31, branch}, []antientropy.Sum{branches[31], branches[branch]}},
			{wire.TreeLeaves, []uint16{leaf, 0}, []antientropy.Sum{tree.Leaf(leaf), tree.Leaf(0)}},
			{wire.TreeLeaves, []uint16{1024, 65535}, make([]antientropy.Sum, 2)},
			{wire.TreeBranches, []uint16{32}, make([]antientropy.Sum, 1)},
			{wire.TreeRoot, []uint16{1}, make([]antientropy.Sum, 1)},
		} {
			got := l.TreeSums(&wire.TreeSumsRequest{TreeTarget: l.asking(p), Level: c.level, Nodes: c.nodes})
			want := []wire.TreeSum{}
			for _, s := range c.want {
				want = append(want, wire.TreeSum{Hash: s.Hash, Keys: s.Count})
			}
			if got.Code != wire.ReplicaOK || !cmp.Equal(got.Sums, want) {
				t.Errorf("level %d, %v: code %d, %v, want %v", c.level, c.nodes, got.Code, got.Sums, want)
			}
		}
		if got := sumsOf(tree, wire.TreeRoot, []uint16{0}); got[0] == none {
			t.Error("a tree of 200 keys is empty")
		}
	})
}

// A tree of another placement, older or newer, another instance's, of another shape, or none
// at all is told of to nobody (TRAPS M4, M7).
func TestTrapM7ATreeIsShownToWhoAsksForJustThatTree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.put("k", "v", vclock.Context{})
		const p = 2
		ask := func(name string, change func(*wire.TreeTarget), want wire.ReplicaCode) {
			at := l.asking(p)
			change(&at)
			sums := l.TreeSums(&wire.TreeSumsRequest{
				TreeTarget: at, Level: wire.TreeRoot, Nodes: []uint16{0},
			})
			list := l.TreeEntries(&wire.TreeListRequest{TreeTarget: at, Limit: 10})
			if sums.Code != want || list.Code != want {
				t.Errorf("%s: codes %d and %d, want %d: %s", name, sums.Code, list.Code, want, sums.Detail)
			}
			if want != wire.ReplicaOK && (len(sums.Sums) > 0 || len(list.Entries) > 0) {
				t.Errorf("%s: told something", name)
			}
		}
		ask("not built", func(*wire.TreeTarget) {}, wire.ReplicaNotComparable)
		l.rebuild()
		ask("built", func(*wire.TreeTarget) {}, wire.ReplicaOK)
		ask("older", func(at *wire.TreeTarget) { at.Placement-- }, wire.ReplicaNotComparable)
		ask("newer", func(at *wire.TreeTarget) { at.Placement++ }, wire.ReplicaRefused)
		ask("other shape", func(at *wire.TreeTarget) { at.Shape++ }, wire.ReplicaNotComparable)
		ask("other instance", func(at *wire.TreeTarget) { at.Instance++ }, wire.ReplicaRefused)
		ask("no such partition", func(at *wire.TreeTarget) { at.Partition = 99 }, wire.ReplicaRefused)
		l.ring.Store(changed(t, l.ring.Load(), func(s *ring.State) {
			s.Placements[p].Version++
			for i := range s.Placements[p].Slots {
				if slot := &s.Placements[p].Slots[i]; slot.Owner == self {
					*slot = kv.Slot{Owner: self, Next: 4, Phase: kv.PhaseWriteBothReadNew}
				}
			}
			s.Members = append(s.Members, ring.Member{
				ID: 4, Name: "n4", Weight: 1, Instance: instance, Client: "h4:1", Peer: "h4:2", Gossip: "h4:3",
			})
		}))
		ask("leaving", func(*wire.TreeTarget) {}, wire.ReplicaNotComparable)
	})
}

// Pages of a list, with their ends, are all keys of the leaves; a record that can not be
// read is among them.
func TestEntriesAreThoseOfTheirLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		const p = 1
		leaves, want := []uint16{}, 0
		for i := range 100 {
			key := fmt.Sprintf("key-%d", i)
			if l.target(key).Partition != p {
				continue
			}
			l.put(key, "v", vclock.Context{})
			if leaves = append(leaves, l.leaf(key)); want == 0 {
				l.damage(key)
			}
			want++
		}
		l.rebuild()
		got, damaged := 0, 0
		q := &wire.TreeListRequest{TreeTarget: l.asking(p), Leaves: append(leaves, 65535), Limit: 7}
		for more := true; more; {
			page := l.TreeEntries(q)
			if page.Code != wire.ReplicaOK || len(page.Entries) > 7 {
				t.Fatalf("code %d, %s, %d entries", page.Code, page.Detail, len(page.Entries))
			}
			for _, e := range page.Entries {
				got++
				if e.Damaged {
					damaged++
				}
			}
			q.After, more = page.Next, page.More
		}
		if got != want || damaged != 1 {
			t.Errorf("%d entries, %d damaged, want %d and 1", got, damaged, want)
		}
	})
}

// One page is made at a time; who waits for his turn longer than he may is told so.
func TestListsWaitForTheirTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.rebuild()
		l.listing <- struct{}{}
		began := time.Now()
		q := &wire.TreeListRequest{TreeTarget: l.asking(1), Limit: 7}
		if got := l.TreeEntries(q); got.Code != wire.ReplicaExpired {
			t.Errorf("code %d", got.Code)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("after %v", took)
		}
		time.AfterFunc(500*time.Millisecond, func() { <-l.listing })
		if got := l.TreeEntries(q); got.Code != wire.ReplicaOK {
			t.Errorf("code %d: %s", got.Code, got.Detail)
		}
	})
}
