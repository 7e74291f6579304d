// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

// planRing has members 1 to 7 in zones a, b, c, a, b, c, a, of which 7 leaves and holds
// nothing, and two partitions of three slots on 1, 2, 3.
func planRing(t *testing.T, bend func(*State)) *Ring {
	t.Helper()
	s := State{Cluster: ClusterID{1}, Version: 1, Replicas: 3}
	for i, zone := range []string{"a", "b", "c", "a", "b", "c", "a"} {
		s.Members = append(s.Members, Member{ID: kv.NodeID(i + 1), Name: string(rune('p' + i)),
			Zone: zone, Weight: 1, Instance: kv.Instance(100 + i)})
	}
	s.Members[6].Weight = 0
	for range 2 {
		s.Placements = append(s.Placements, Placement{Version: 1,
			Slots: []kv.Slot{kv.Stable(1), kv.Stable(2), kv.Stable(3)}})
	}
	if bend != nil {
		bend(&s)
	}
	r, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPlansThatKeepTheRulesAreTaken(t *testing.T) {
	for _, c := range []struct {
		name  string
		bend  func(*State)
		moves []Move
	}{
		{"one move", nil, []Move{{0, 0, 1, 4}}},
		{"one node in two partitions", nil, []Move{{0, 0, 1, 4}, {1, 0, 1, 4}}},
		{"two slots of one partition (T9)", nil, []Move{{0, 0, 1, 4}, {0, 1, 2, 5}}},
		{"beside a move of another slot (T9)", func(s *State) {
			s.Placements[0].Slots[0] = kv.Slot{Owner: 1, Next: 4,
				Phase: kv.PhaseWriteBothReadNew}
		}, []Move{{0, 1, 2, 5}}},
		{"zones exchange their slots", nil, []Move{{0, 0, 1, 5}, {0, 1, 2, 4}}},
		{"an uneven spread stays as bad", func(s *State) {
			s.Placements[0].Slots = []kv.Slot{kv.Stable(1), kv.Stable(4), kv.Stable(3)}
		}, []Move{{0, 2, 3, 6}}},
		{"an uneven spread is mended", func(s *State) {
			s.Placements[0].Slots = []kv.Slot{kv.Stable(1), kv.Stable(4), kv.Stable(3)}
		}, []Move{{0, 1, 4, 2}}},
		{"a node that leaves is replaced", func(s *State) {
			s.Placements[0].Slots[0] = kv.Stable(7)
		}, []Move{{0, 0, 7, 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := CheckPlan(planRing(t, c.bend), Plan{ID: 1, Moves: c.moves}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestPlansThatBreakARuleAreRefusedWithTheReason(t *testing.T) {
	running := func(s *State) {
		s.Placements[0].Slots[0] = kv.Slot{Owner: 1, Next: 4, Phase: kv.PhaseWriteBothReadOld}
	}
	for _, c := range []struct {
		name  string
		bend  func(*State)
		id    uint64
		moves []Move
		why   string
	}{
		{"no id", nil, 0, []Move{{0, 0, 1, 4}}, rulePlanID},
		{"no moves", nil, 1, nil, rulePlanEmpty},
		{"no such partition", nil, 1, []Move{{2, 0, 1, 4}}, rulePartition},
		{"no such slot", nil, 1, []Move{{0, 3, 1, 4}}, ruleSlot},
		{"a slot below zero", nil, 1, []Move{{0, -1, 1, 4}}, ruleSlot},
		{"a slot twice", nil, 1, []Move{{0, 0, 1, 4}, {0, 0, 1, 5}}, ruleOnce},
		{"a slot that moves", running, 1, []Move{{0, 0, 1, 5}}, ruleMoving},
		{"from a node that is not there", nil, 1, []Move{{0, 0, 2, 4}}, ruleFrom},
		{"to a stranger", nil, 1, []Move{{0, 0, 1, 9}}, ruleTo},
		{"to nobody", nil, 1, []Move{{0, 0, 1, 0}}, ruleTo},
		{"to a node that leaves", nil, 1, []Move{{0, 0, 1, 7}}, ruleTo},
		{"to itself", nil, 1, []Move{{0, 0, 1, 1}}, ruleTwice},
		{"to another owner", nil, 1, []Move{{0, 0, 1, 2}}, ruleTwice},
		{"to an owner that the plan moves away", nil, 1, []Move{{0, 0, 1, 2}, {0, 1, 2, 5}},
			ruleTwice},
		{"to a node that joins another slot", running, 1, []Move{{0, 1, 2, 4}}, ruleTwice},
		{"to a node that leaves another slot", running, 1, []Move{{0, 1, 2, 1}}, ruleTwice},
		{"two slots to one node", nil, 1, []Move{{0, 0, 1, 4}, {0, 1, 2, 4}}, ruleTwice},
		{"two nodes in one zone", nil, 1, []Move{{0, 1, 2, 4}}, ruleZones},
		{"two in one zone if the running move is aborted", func(s *State) {
			s.Placements[0].Slots = []kv.Slot{
				{Owner: 1, Next: 5, Phase: kv.PhaseWriteBothReadOld}, kv.Stable(2), kv.Stable(3)}
		}, 1, []Move{{0, 1, 2, 4}}, ruleZones},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := CheckPlan(planRing(t, c.bend), Plan{ID: c.id, Moves: c.moves})
			if !errors.Is(err, ErrPlan) || !strings.Contains(err.Error(), c.why) {
				t.Fatalf("got %v, want %q", err, c.why)
			}
		})
	}
}

func TestAllFaultsOfAPlanAreNamed(t *testing.T) {
	err := CheckPlan(planRing(t, nil), Plan{Moves: []Move{{0, 0, 2, 9}, {5, 0, 1, 4}}})
	for _, why := range []string{rulePlanID, ruleFrom, ruleTo, rulePartition} {
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q is missing in: %v", why, err)
		}
	}
}

func TestTheSolversMovesMakeAPlan(t *testing.T) {
	members := planRing(t, nil).Members()
	s, err := Form(ClusterID{1}, 3, 16, members[:3], 1)
	if err != nil {
		t.Fatal(err)
	}
	s.Members = members[:6]
	r, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	next, err := Solve(Problem{Partitions: 16, Replicas: 3, Members: s.Members,
		Previous: s.Owners()})
	if err != nil {
		t.Fatal(err)
	}
	moves := Moves(s.Owners(), next)
	if err := CheckPlan(r, Plan{ID: 1, Moves: moves}); err != nil || len(moves) == 0 {
		t.Fatal(len(moves), err)
	}
}

func TestInstanceIsTheMembersOrZero(t *testing.T) {
	r := planRing(t, nil)
	if r.Instance(2) != 101 || r.Instance(9) != 0 || r.Instance(0) != 0 {
		t.Fatal(r.Instance(2), r.Instance(9), r.Instance(0))
	}
}
