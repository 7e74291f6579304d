// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

// walkFallbacks is the definition of the fallbacks, word for word: walk the partitions
// after p, and take every member that stands in no slot of p, first those of other zones.
func walkFallbacks(s State, p int) []kv.NodeID {
	zoneOf := make(map[kv.NodeID]string)
	for _, m := range s.Members {
		zoneOf[m.ID] = m.Zone
	}
	passed := make(map[kv.NodeID]bool)
	zones := make(map[string]bool)
	for _, slot := range s.Placements[p].Slots {
		for _, node := range []kv.NodeID{slot.Owner, slot.Next} {
			if node != 0 {
				passed[node], zones[zoneOf[node]] = true, true
			}
		}
	}
	var far, near, idle []kv.NodeID
	for step := 1; step < len(s.Placements); step++ {
		for _, slot := range s.Placements[(p+step)%len(s.Placements)].Slots {
			for _, node := range []kv.NodeID{slot.Owner, slot.Next} {
				switch {
				case node == 0 || passed[node]:
				case zones[zoneOf[node]]:
					near = append(near, node)
				default:
					far = append(far, node)
				}
				passed[node] = true
			}
		}
	}
	for _, m := range s.Members {
		if !passed[m.ID] {
			idle = append(idle, m.ID)
		}
	}
	slices.Sort(idle)
	return slices.Concat(far, near, idle)
}

func TestFallbacksFollowTheRingOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		r := mustNew(t, s)
		for p := range s.Placements {
			got, want := r.Preference(uint16(p)).Fallbacks, walkFallbacks(s, p)
			if !slices.Equal(got, want) {
				t.Fatalf("partition %d: fallbacks %v, want %v", p, got, want)
			}
		}
	})
}

// TestPreferenceListsNameEveryMemberOnce checks I6.
func TestPreferenceListsNameEveryMemberOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		r := mustNew(t, s)
		for p, placement := range s.Placements {
			preference := r.Preference(uint16(p))
			if int(preference.Partition) != p || preference.Version != placement.Version ||
				!slices.Equal(preference.Slots, placement.Slots) {
				t.Fatalf("partition %d: %+v does not carry %+v", p, preference, placement)
			}
			named := slices.Clone(preference.Fallbacks)
			for _, slot := range preference.Slots {
				named = append(named, slot.Owner)
				if slot.Next != 0 {
					named = append(named, slot.Next)
				}
			}
			slices.Sort(named)
			var want []kv.NodeID
			for _, m := range r.Members() {
				want = append(want, m.ID)
			}
			if !slices.Equal(named, want) {
				t.Fatalf("partition %d names %v, want %v", p, named, want)
			}
		}
	})
}

func TestFallbacksComeFromOtherZonesFirst(t *testing.T) {
	r := mustNew(t, State{
		Cluster: testCluster, Version: 1, Replicas: 1,
		Members: []Member{
			{ID: 1, Name: "a", Zone: "x"}, {ID: 2, Name: "b", Zone: "x"},
			{ID: 3, Name: "c", Zone: "y"}, {ID: 4, Name: "d", Zone: "z"},
			{ID: 5, Name: "e", Zone: "z"}, {ID: 6, Name: "f", Zone: "z"},
		},
		Placements: []Placement{
			{Version: 1, Slots: []kv.Slot{kv.Stable(1)}},
			{Version: 1, Slots: []kv.Slot{kv.Stable(2)}},
			{Version: 1, Slots: []kv.Slot{{Owner: 4, Next: 3, Phase: kv.PhaseWriteBothReadOld}}},
			{Version: 1, Slots: []kv.Slot{kv.Stable(1)}},
		},
	})
	for p, want := range [][]kv.NodeID{
		{4, 3, 2, 5, 6}, // 2 comes first on the ring but shares 1's zone; 5 and 6 hold nothing
		{4, 3, 1, 5, 6},
		{1, 2, 5, 6}, // wraps round; 3 and 4 are both in the slot
		{4, 3, 2, 5, 6},
	} {
		if diff := cmp.Diff(want, r.Preference(uint16(p)).Fallbacks); diff != "" {
			t.Errorf("partition %d: fallbacks (-want +got):\n%s", p, diff)
		}
	}
}

func TestOneMemberHasNoFallbacks(t *testing.T) {
	r := mustNew(t, formed(t, 4, 1, makeMembers(1, 1, equalWeights)))
	if got := r.Preference(3); len(got.Fallbacks) != 0 || len(got.Slots) != 1 {
		t.Errorf("Preference(3) = %+v", got)
	}
}
