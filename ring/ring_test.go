// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

// smallState is a valid state that has every kind of thing: a slot at rest, slots in both
// moving phases, and a member that holds nothing.
func smallState() State {
	return State{
		Cluster:  testCluster,
		Version:  7,
		Replicas: 2,
		Members: []Member{
			{ID: 4, Name: "d", Zone: "y", Instance: 3},
			{ID: 1, Name: "a", Zone: "x", Weight: 1, Instance: 5, Client: "127.0.0.1:1"},
			{ID: 3, Name: "c", Zone: "x", Weight: 2},
			{ID: 2, Name: "b", Zone: "y", Weight: MaxWeight, Peer: "127.0.0.1:2"},
			{ID: 9, Name: "e", Zone: "w", Weight: 1},
		},
		Placements: []Placement{
			{Version: 1, Slots: []kv.Slot{kv.Stable(1), kv.Stable(2)}},
			{Version: 8, Slots: []kv.Slot{
				{Owner: 2, Next: 3, Phase: kv.PhaseWriteBothReadOld},
				{Owner: 1, Next: 4, Phase: kv.PhaseWriteBothReadNew},
			}},
		},
	}
}

func TestNewNamesEveryBrokenRule(t *testing.T) {
	slot := func(p, j int, slot kv.Slot) func(*State) {
		return func(s *State) { s.Placements[p].Slots[j] = slot }
	}
	moving := kv.PhaseWriteBothReadOld
	cases := []struct {
		name  string
		spoil func(*State)
		want  string
	}{
		{"no cluster", func(s *State) { s.Cluster = ClusterID{} }, "cluster: " + ruleCluster},
		{"no version", func(s *State) { s.Version = 0 }, "version: " + ruleVersion},
		{"no partition", func(s *State) { s.Placements = nil }, "0 placements: " + rulePartitions},
		{"three partitions", func(s *State) { s.Placements = append(s.Placements, s.Placements[0]) },
			"3 placements: " + rulePartitions},
		{"no replica", func(s *State) { s.Replicas = 0 }, "0 replicas: " + ruleReplicas},
		{"too many replicas", func(s *State) { s.Replicas = 17 }, "17 replicas: " + ruleReplicas},
		{"a slot too few", func(s *State) { s.Replicas = 3 },
			"partition 0: 2 slots, 3 replicas: " + ruleSlotCount},
		{"a slot too many", func(s *State) { s.Replicas = 1 },
			"partition 1: 2 slots, 1 replicas: " + ruleSlotCount},
		{"member 0", func(s *State) { s.Members[4].ID = 0 }, `member "e": ` + ruleMemberID},
		{"same number", func(s *State) { s.Members[4].ID = 4 }, `member "e": number 4: ` + ruleSameID},
		{"no name", func(s *State) { s.Members[0].Name = "" }, "member 4: " + ruleNoName},
		{"same name", func(s *State) { s.Members[3].Name = "a" }, `member 2: name "a": ` + ruleSameName},
		{"heavy", func(s *State) { s.Members[1].Weight = MaxWeight + 1 },
			"member 1: weight 1048577: " + ruleWeight},
		{"instance", func(s *State) { s.Members[1].Instance = 32 << 48 }, "member 1: instance "},
		{"no placement version", func(s *State) { s.Placements[1].Version = 0 },
			"partition 1: version 0: " + rulePlacement},
		{"placement generation", func(s *State) { s.Placements[0].Version = 32 << 48 },
			"partition 0: version 9007199254740992: " + rulePlacement},
		{"no phase", slot(0, 0, kv.Slot{Owner: 1}), "partition 0, slot 0: phase(0): " + rulePhase},
		{"foreign phase", slot(0, 0, kv.Slot{Owner: 1, Phase: 4}),
			"partition 0, slot 0: phase(4): " + rulePhase},
		{"no owner", slot(1, 1, kv.Slot{Next: 4, Phase: moving}), "partition 1, slot 1: " + ruleOwner},
		{"vacant", slot(1, 1, kv.Slot{Phase: kv.PhaseStable}), "partition 1, slot 1: " + ruleOwner},
		{"stable with two", slot(0, 1, kv.Slot{Owner: 2, Next: 3, Phase: kv.PhaseStable}),
			"partition 0, slot 1: " + ruleNextStable},
		{"moving alone", slot(0, 1, kv.Slot{Owner: 2, Phase: moving}),
			"partition 0, slot 1: " + ruleNextMoving},
		{"moving alone, reading new", slot(0, 1, kv.Slot{Owner: 2, Phase: kv.PhaseWriteBothReadNew}),
			"partition 0, slot 1: " + ruleNextMoving},
		{"to itself", slot(0, 1, kv.Slot{Owner: 2, Next: 2, Phase: moving}),
			"partition 0, slot 1: " + ruleNextOwner},
		{"unknown owner", slot(0, 1, kv.Stable(8)), "partition 0, slot 1: node 8: " + ruleKnown},
		{"unknown next", slot(0, 1, kv.Slot{Owner: 2, Next: 8, Phase: moving}),
			"partition 0, slot 1: node 8: " + ruleKnown},
		{"owner twice", slot(0, 1, kv.Stable(1)), "partition 0, slot 1: node 1: " + ruleDistinct},
		{"owner is next elsewhere", slot(1, 1, kv.Stable(3)),
			"partition 1, slot 1: node 3: " + ruleDistinct},
		{"next is owner elsewhere", slot(1, 1, kv.Slot{Owner: 1, Next: 2, Phase: moving}),
			"partition 1, slot 1: node 2: " + ruleDistinct},
		{"next twice", slot(1, 1, kv.Slot{Owner: 1, Next: 3, Phase: moving}),
			"partition 1, slot 1: node 3: " + ruleDistinct},
	}
	if _, err := New(smallState()); err != nil {
		t.Fatalf("the state that the cases spoil is not valid itself: %v", err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := smallState()
			c.spoil(&s)
			r, err := New(s)
			if r != nil || !errors.Is(err, ErrInvalid) {
				t.Fatalf("New = %v, %v, want ErrInvalid", r, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("New: %v\nwant it to name %q", err, c.want)
			}
		})
	}
}

func TestNewNamesAllBrokenRulesAtOnce(t *testing.T) {
	s := smallState()
	s.Version = 0
	s.Members[4].Name = "a"
	s.Placements[0].Slots[0] = kv.Stable(2)
	_, err := New(s)
	if err == nil {
		t.Fatal("New accepts it")
	}
	want := `ring: invalid state:
version: the ring version must not be zero
member 9: name "a": two members must not share a name
partition 0, slot 1: node 2: a node must not stand in two slots of one partition`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestNewCountsARuleThatIsBrokenEverywhere(t *testing.T) {
	s := formed(t, 1024, 3, makeMembers(3, 1, equalWeights))
	for p := range s.Placements {
		s.Placements[p].Version = 0
	}
	_, err := New(s)
	if err == nil {
		t.Fatal("New accepts it")
	}
	text := err.Error()
	if n := strings.Count(text, rulePlacement); n != 5 || len(text) > 1000 {
		t.Errorf("%d lines, %d bytes: %v", n, len(text), text)
	}
	if want := "partition 3: version 0: " + rulePlacement; !strings.Contains(text, want) {
		t.Errorf("%v\nwant it to name %q", text, want)
	}
	if want := "and 1020 more: " + rulePlacement; !strings.HasSuffix(text, want) {
		t.Errorf("%v\nwant it to end with %q", text, want)
	}
}

func TestNewTakesTheLargestRings(t *testing.T) {
	for _, c := range []struct{ partitions, replicas int }{{MaxPartitions, 1}, {8, MaxReplicas}} {
		members := makeMembers(MaxReplicas, 1, func(int) uint32 { return MaxWeight })
		members[0].Instance = kv.Instance(31)<<48 | 1
		r := mustNew(t, formed(t, c.partitions, c.replicas, members))
		last := r.Preference(uint16(c.partitions - 1))
		if int(last.Partition) != c.partitions-1 || len(last.Slots) != c.replicas {
			t.Errorf("the last partition is %+v", last)
		}
	}
}

func TestRingAnswersFromItsState(t *testing.T) {
	r := mustNew(t, smallState())
	if got := r.Cluster(); got != testCluster {
		t.Errorf("Cluster() = %v", got)
	}
	if got := r.HashSeed(); got != testCluster.HashSeed() {
		t.Errorf("HashSeed() = %#x", got)
	}
	if v, n, q := r.Version(), r.Replicas(), r.Partitions(); v != 7 || n != 2 || q != 2 {
		t.Errorf("Version, Replicas, Partitions = %d, %d, %d, want 7, 2, 2", v, n, q)
	}
	var ids []kv.NodeID
	for _, m := range r.Members() {
		ids = append(ids, m.ID)
	}
	if diff := cmp.Diff([]kv.NodeID{1, 2, 3, 4, 9}, ids); diff != "" {
		t.Errorf("Members() (-want +got):\n%s", diff)
	}
	for _, want := range smallState().Members {
		if got, ok := r.Member(want.ID); !ok || got != want {
			t.Errorf("Member(%d) = %+v, %v, want %+v", want.ID, got, ok, want)
		}
		if got, ok := r.MemberByName(want.Name); !ok || got != want {
			t.Errorf("MemberByName(%q) = %+v, %v, want %+v", want.Name, got, ok, want)
		}
	}
	if m, ok := r.Member(5); ok || m != (Member{}) {
		t.Errorf("Member(5) = %+v, %v, want none", m, ok)
	}
	if m, ok := r.MemberByName("z"); ok || m != (Member{}) {
		t.Errorf(`MemberByName("z") = %+v, %v, want none`, m, ok)
	}
	if diff := cmp.Diff(smallState().Placements[1], r.Placement(1)); diff != "" {
		t.Errorf("Placement(1) (-want +got):\n%s", diff)
	}
}

func TestAPartitionThatTheRingDoesNotHaveIsNowhere(t *testing.T) {
	r := mustNew(t, smallState())
	for _, p := range []uint16{2, 3, 65535} {
		if got := r.Placement(p); got.Version != 0 || got.Slots != nil {
			t.Errorf("Placement(%d) = %+v", p, got)
		}
		got := r.Preference(p)
		if got.Partition != p || got.Version != 0 || got.Slots != nil || got.Fallbacks != nil {
			t.Errorf("Preference(%d) = %+v", p, got)
		}
		if j, ok := r.SlotOf(p, 1); ok {
			t.Errorf("SlotOf(%d, 1) = %d", p, j)
		}
	}
}

func TestSlotOfFindsBothMembersOfAMovingSlot(t *testing.T) {
	r := mustNew(t, smallState())
	for node, want := range map[kv.NodeID]int{2: 0, 3: 0, 1: 1, 4: 1} {
		if got, ok := r.SlotOf(1, node); !ok || got != want {
			t.Errorf("SlotOf(1, %d) = %d, %v, want %d", node, got, ok, want)
		}
	}
	for _, node := range []kv.NodeID{0, 9, 77} {
		if got, ok := r.SlotOf(1, node); ok {
			t.Errorf("SlotOf(1, %d) = %d, want none", node, got)
		}
		if got, ok := r.SlotOf(0, node); ok {
			t.Errorf("SlotOf(0, %d) = %d, want none", node, got)
		}
	}
}

func TestARingSharesNothingWithItsStates(t *testing.T) {
	s := smallState()
	r := mustNew(t, s)
	spoil := func(s State) {
		for i := range s.Members {
			s.Members[i].Name = "spoiled"
		}
		for p := range s.Placements {
			s.Placements[p].Version = 99
			s.Placements[p].Slots[0].Owner = 99
		}
	}
	spoil(s)
	spoil(r.State())
	if m, ok := r.Member(1); !ok || m.Name != "a" {
		t.Errorf("Member(1) = %+v, %v", m, ok)
	}
	if diff := cmp.Diff(smallState().Placements[0], r.Placement(0)); diff != "" {
		t.Errorf("Placement(0) (-want +got):\n%s", diff)
	}
	if got := r.Preference(0); got.Version != 1 || got.Slots[0] != kv.Stable(1) {
		t.Errorf("Preference(0) = %+v", got)
	}
}

func TestAStoredStateGivesTheSameRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := mustNew(t, drawState(t))
		second := mustNew(t, first.State())
		if diff := cmp.Diff(first, second, cmp.AllowUnexported(Ring{})); diff != "" {
			t.Fatalf("ring (-first +second):\n%s", diff)
		}
	})
}

func TestOwnersOfAStateAreThoseThatSlotsLeave(t *testing.T) {
	want := [][]kv.NodeID{{1, 2}, {2, 1}}
	if diff := cmp.Diff(want, smallState().Owners()); diff != "" {
		t.Errorf("Owners() (-want +got):\n%s", diff)
	}
}
