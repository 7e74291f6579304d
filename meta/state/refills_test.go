// SPDX-License-Identifier: Apache-2.0

package state

import (
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// lose lets node 2 of a formed cluster lose its store, and the group hear of it.
func lose(t *testing.T, l *log) (refilled *Member, before Member) {
	t.Helper()
	before, _ = l.Member(2)
	return l.ok(NewInstance{Node: 2, Previous: before.Instance, For: openingOf(2, 9)}).Member,
		before
}

func sourcesOf(l *log, ids ...kv.NodeID) (sources []ring.Source) {
	for _, id := range ids {
		m, _ := l.Member(id)
		sources = append(sources, ring.Source{Node: id, Instance: m.Instance})
	}
	return sources
}

func TestAnInstanceReplacesTheOneBefore(t *testing.T) {
	l := formed(t)
	version, placements := l.View().Version, l.placements
	after, before := lose(t, l)
	if after.Instance <= before.Instance || l.View().Ring.Instance(2) != after.Instance {
		t.Errorf("the instance is %d, after %d", after.Instance, before.Instance)
	}
	if l.View().Version <= version {
		t.Error("the ring has no new version")
	}
	c := NewInstance{Node: 2, Previous: before.Instance, For: openingOf(2, 9)}
	if again := l.unchanged(c); again.Code != CodeOK || again.Member.Instance != after.Instance {
		t.Errorf("again %v %v", again.Code, again.Member)
	}
	newest := ring.NewestPlacement(placements)
	for p, placement := range l.placements {
		if placement.Version != after.Refill.Since || placement.Version <= newest {
			t.Errorf("partition %d is at version %d; it was %d, and the life began at %d", p,
				placement.Version, newest, after.Refill.Since)
		}
	}
	c.For = openingOf(2, 2)
	l.want(CodeRefused, c)
	l.want(CodeInvalid, NewInstance{Node: 2, Previous: after.Instance})
	l.want(CodeNotFound, NewInstance{Node: 9})
	late := l.ok(registration(4)).Member
	l.want(CodeRefused, NewInstance{Node: late.ID, Previous: late.Instance, For: openingOf(4, 1)})
}

// Goal: what was said of the store that is lost holds for that one alone.
func TestOnlyTheStoreOfTheNewLifeIsAccepted(t *testing.T) {
	l := formed(t)
	l.ok(AssignRaft{Node: 2, For: openingOf(2, 1)})
	shown := OpenStore{Node: 2, Opens: []kv.Open{openingOf(2, 9)}}
	if v := l.ok(shown).Verdict; v != kv.VerdictForked {
		t.Fatalf("an empty directory is %v", v)
	}
	_, _ = lose(t, l)
	old := OpenStore{Node: 2, Opens: []kv.Open{openingOf(2, 1), openingOf(2, 3)}}
	if v := l.ok(old).Verdict; v != kv.VerdictForked {
		t.Errorf("the lost store is %v", v)
	}
	if r := l.ok(shown); r.Verdict != kv.VerdictConfirmed || r.Member.Refused ||
		!r.Member.RaftRefused {
		t.Errorf("the new one is %v, %+v", r.Verdict, r.Member)
	}
	next := OpenStore{Node: 2, Opens: []kv.Open{openingOf(2, 9), openingOf(2, 10)}}
	if r := l.ok(next); r.Verdict != kv.VerdictConfirmed || !r.Member.Refill.Active() {
		t.Errorf("its next opening is %v, %+v", r.Verdict, r.Member)
	}
}

func TestARefillEndsWithTheFencesAndCopiesOfAllOwners(t *testing.T) {
	l := formed(t)
	after, _ := lose(t, l)
	c := FinishRefill{
		Node: 2, Instance: after.Instance, Open: after.Open, Fence: after.Refill.Since,
		Sources: sourcesOf(l, 1, 3),
	}
	if missing := l.MissingSources(2, c.Sources[:1]); len(missing) != 1 || missing[0] != 3 {
		t.Errorf("missing %v", missing)
	}
	for why, bend := range map[string]func(*FinishRefill){
		"instance of node": func(c *FinishRefill) { c.Instance-- },
		"opened again":     func(c *FinishRefill) { c.Open.Nonce++ },
		"fenced itself":    func(c *FinishRefill) { c.Fence-- },
		"lacks what nodes": func(c *FinishRefill) { c.Sources = c.Sources[:1] },
	} {
		bent := c
		bend(&bent)
		if r := l.want(CodeRefused, bent); !strings.Contains(r.Detail, why) {
			t.Errorf("refused with %q, want %q", r.Detail, why)
		}
	}
	version := l.View().Version
	if m := l.ok(c).Member; m.Refill.Active() || l.View().Version != version {
		t.Errorf("%+v, and the ring is at %d, was %d", m, l.View().Version, version)
	}
	if r := l.unchanged(c); r.Code != CodeOK {
		t.Errorf("again %v", r.Code)
	}
	l.want(CodeNotFound, FinishRefill{Node: 9})
}

func TestALossIsAcceptedByAnOperatorOnly(t *testing.T) {
	l := formed(t)
	for _, id := range []kv.NodeID{1, 3} {
		m, _ := l.Member(id)
		l.ok(NewInstance{Node: id, Previous: m.Instance, For: openingOf(id, 9)})
	}
	if n := len(l.Alone(2)); n != len(l.placements) || len(l.Alone(3)) > 0 {
		t.Errorf("of %d partitions of node 2 no other owner is whole", n)
	}
	after, _ := lose(t, l)
	c := FinishRefill{
		Node: 2, Instance: after.Instance, Open: after.Open, Fence: after.Refill.Since,
	}
	if r := l.want(CodeRefused, c); !strings.Contains(r.Detail, "no intact owner is left") {
		t.Errorf("refused with %q", r.Detail)
	}
	if n := len(l.Orphaned(2, nil)); n != len(l.placements) || len(l.Orphaned(9, nil)) > 0 ||
		len(l.Orphaned(2, sourcesOf(l, 1))) > 0 {
		t.Errorf("%d partitions are orphaned", n)
	}
	word := AcceptLoss{Node: 2, Instance: after.Instance}
	l.want(CodeRefused, AcceptLoss{Node: 2, Instance: after.Instance - 1})
	l.want(CodeNotFound, AcceptLoss{Node: 2, Instance: after.Instance, Without: []kv.NodeID{9}})
	l.want(CodeNotFound, AcceptLoss{Node: 9})
	l.ok(word)
	l.ok(c)
	if r := l.unchanged(word); r.Code != CodeOK {
		t.Errorf("a word that comes late: %v", r.Code)
	}
	// The others copy from the one that is taken for whole.
	if missing := l.MissingSources(1, nil); len(missing) != 1 || missing[0] != 2 {
		t.Errorf("missing %v", missing)
	}
}

// Goal: what an operator accepted was said of one life.
func TestAnAcceptedLossIsThatOfOneLife(t *testing.T) {
	l := formed(t)
	after, _ := lose(t, l)
	l.ok(AcceptLoss{Node: 2, Instance: after.Instance, Without: []kv.NodeID{1, 3}})
	m := l.ok(NewInstance{Node: 2, Previous: after.Instance, For: openingOf(2, 11)}).Member
	if m.Refill.Accepted || len(m.Refill.Without) > 0 || m.Refill.Since <= after.Refill.Since {
		t.Errorf("%+v after %+v", m.Refill, after.Refill)
	}
}

func TestTrapsG7NoPurgeWhileAnOwnerIsBeingFilled(t *testing.T) {
	l := formed(t)
	begun := l.ok(PurgeEpoch{
		Request: requestOf(1), Partition: 1, Placement: l.placements[1].Version,
	}).Epoch
	after, _ := lose(t, l)
	round := PurgeEpoch{Request: requestOf(2), Partition: 1, Placement: after.Refill.Since}
	if r := l.want(CodeRefused, round); !strings.Contains(r.Detail, "is being filled") {
		t.Errorf("refused with %q", r.Detail)
	}
	l.want(CodeRefused, PurgeCommit{Partition: 1, Placement: after.Refill.Since, Epoch: begun})
	l.ok(FinishRefill{
		Node: 2, Instance: after.Instance, Open: after.Open, Fence: after.Refill.Since,
		Sources: sourcesOf(l, 1, 3),
	})
	round.Request = requestOf(3)
	l.ok(round)
}
