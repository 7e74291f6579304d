// SPDX-License-Identifier: Apache-2.0

package seats

import (
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
)

func TestAGroupHasOneVoterForTwoMembersAndThreeFromThreeOn(t *testing.T) {
	for members := 1; members <= 7; members++ {
		w := newWorld(t, members)
		w.settle()
		w.checkEnd()
		want := 3
		if members < 3 {
			want = 1
		}
		if all, _ := w.voters(); all != want || len(w.seats) != want {
			t.Errorf("%d members: seats %v, want %d voters", members, w.seats, want)
		}
	}
}

// Method: whatever happens to the members of a settled group, and then, after any number
// of the steps that follow, to one more of them: each step keeps the rules, and the steps
// come to their end.
func TestNoStepLosesTheMajorityAndTheStepsEnd(t *testing.T) {
	worlds := 0
	for members := 1; members <= 4; members++ {
		for _, formed := range []bool{false, true} {
			for story := range power(int(conditions), members) {
				worlds++
				steps := play(t, members, formed, story, 0, 0, well)
				if members == 4 && !formed {
					continue // as many members as are expected: the same worlds
				}
				for later := 1; later < steps; later++ {
					for victim := range members {
						for c := well + 1; c < conditions; c++ {
							if members == 4 && c > rolled {
								break // what three show is shown
							}
							play(t, members, formed, story, later, victim, c)
							worlds++
						}
					}
				}
			}
		}
	}
	t.Logf("%d worlds", worlds)
}

func power(base, exponent int) int {
	n := 1
	for range exponent {
		n *= base
	}
	return n
}

// play lets what the digits of story say happen to the members, and after so many steps c
// to a victim. It returns how many steps there were without that.
func play(t *testing.T, members int, formed bool, story, later, victim int, c condition) int {
	t.Helper()
	w := newWorld(t, members)
	w.settle()
	w.formed = formed
	for _, n := range w.members {
		w.afflict(n, condition(story%int(conditions)))
		story /= int(conditions)
	}
	if !w.quorate() {
		w.elect()
		if s := Decide(testConfig(), w.view(time.Hour)); s.Kind != None {
			w.fail("a step without a majority: " + s.Kind.String())
		}
		return 0
	}
	steps := 0
	for ; steps < later; steps++ {
		w.elect()
		s := Decide(testConfig(), w.view(time.Hour))
		if s.Kind == None {
			return steps
		}
		w.take(s)
	}
	if n := w.members[victim]; !n.leaving {
		w.afflict(n, c)
	}
	if w.quorate() {
		steps += w.settle()
		w.checkEnd()
	}
	return steps
}

func TestADeadVoterIsReplacedBeforeItIsRemoved(t *testing.T) {
	w := newWorld(t, 4)
	w.settle()
	w.afflict(w.members[1], down)
	removed := false
	for {
		s := Decide(testConfig(), w.view(time.Minute))
		if s.Kind == None {
			break
		}
		if s.Kind == Remove || s.Kind == Drop {
			all, _ := w.voters()
			removed = removed || s.Kind == Remove
			if s.Kind == Drop && all != 4 {
				t.Fatalf("dropped among %d voters, want its replacement first", all)
			}
		}
		w.take(s)
	}
	if !removed {
		t.Error("the dead voter was not removed")
	}
	w.checkEnd()
}

func TestAVoterThatIsSilentForLessThanTheTimeStays(t *testing.T) {
	w := newWorld(t, 4)
	w.settle()
	w.afflict(w.members[1], down)
	if s := Decide(testConfig(), w.view(time.Minute-1)); s.Kind != None {
		t.Errorf("%v after less than the time", s.Kind)
	}
	if s := Decide(testConfig(), w.view(time.Minute)); s.Kind != Assign || s.Node != 4 {
		t.Errorf("%+v after the time, want a raft id for node 4", s)
	}
}

func TestARefusedStoreGetsANewRaftIDAndItsOldOneGoesFirst(t *testing.T) {
	w := newWorld(t, 3)
	w.settle()
	n := w.members[1]
	old := n.begun
	w.afflict(n, rolled)
	if s := Decide(testConfig(), w.view(9*time.Second)); s.Kind != None {
		t.Errorf("%v at once: it may be a copy, and the store itself well", s.Kind)
	}
	var kinds []Kind
	for {
		s := Decide(testConfig(), w.view(10*time.Second))
		if s.Kind == None {
			break
		}
		if s.Kind == Remove && s.Raft != old {
			t.Errorf("removed %v, want %v", s.Raft, old)
		}
		kinds = append(kinds, s.Kind)
		w.take(s)
	}
	want := []Kind{Assign, Remove, AddLearner, Promote}
	if len(kinds) != len(want) {
		t.Fatalf("steps %v, want %v", kinds, want)
	}
	for i := range want {
		if kinds[i] != want[i] {
			t.Fatalf("steps %v, want %v", kinds, want)
		}
	}
}

// A copy of a directory that shows up takes nothing from the store that it was made of.
func TestACopyThatShowsUpDoesNotUnseatTheStoreItself(t *testing.T) {
	w := newWorld(t, 3)
	w.settle()
	n := w.members[1]
	copied := append(n.opens[:0:0], n.opens[:len(n.opens)-1]...)
	w.apply(state.OpenStore{Node: n.id, Opens: append(copied, kv.Open{Seq: 9, Nonce: 99})})
	v := w.view(0) // it is heard of all the time
	for i := range v.Seats {
		v.Seats[i].Silent = 0
	}
	if s := Decide(testConfig(), v); s.Kind != None {
		t.Errorf("%v for a seat that answers", s.Kind)
	}
}

func TestALearnerIsPromotedOnlyWhenItHasCaughtUpInThisTerm(t *testing.T) {
	w := newWorld(t, 3)
	for s := (Step{}); s.Kind != Promote; s = Decide(testConfig(), w.view(0)) {
		if s.Kind != 0 {
			w.take(s)
		}
	}
	for name, c := range map[string]struct {
		match, first, last uint64
		silent             time.Duration
		want               Kind
	}{
		"level":                    {match: 1000, first: 500, last: 1000, want: Promote},
		"as far behind as may be":  {match: 750, first: 500, last: 1000, want: Promote},
		"further":                  {match: 749, first: 500, last: 1000, want: None},
		"of an earlier term":       {match: 999, first: 1000, last: 1000, want: None},
		"of this term, just begun": {match: 1000, first: 1000, last: 1000, want: Promote},
		"silent for a moment": {
			match: 1000, first: 500, last: 1000, silent: 1001 * time.Millisecond, want: None,
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := w.view(0)
			v.First, v.Last = c.first, c.last
			for i := range v.Seats {
				if !v.Seats[i].Voter {
					v.Seats[i].Match, v.Seats[i].Silent = c.match, c.silent
				}
			}
			if s := Decide(testConfig(), v); s.Kind != c.want {
				t.Errorf("%v, want %v", s.Kind, c.want)
			}
		})
	}
}

// Two voters tolerate no more than one does.
func TestOneVoterBecomesThreeInOneGo(t *testing.T) {
	w := newWorld(t, 3)
	for {
		s := Decide(testConfig(), w.view(0))
		if s.Kind == None {
			break
		}
		if all, _ := w.voters(); s.Kind != Promote && all == 2 {
			t.Errorf("%v among two voters", s.Kind)
		}
		w.take(s)
	}
	w.checkEnd()
	alone := newWorld(t, 3)
	alone.afflict(alone.members[2], down)
	alone.settle()
	if all, _ := alone.voters(); all != 2 {
		t.Errorf("%d voters where only two members run, want both", all)
	}
}

func TestSeatsGoToDifferentZonesFirst(t *testing.T) {
	w := newWorld(t, 6, "a", "a", "b", "b", "c", "c")
	w.settle()
	for id := range w.seats {
		if n := id.Node(); n != 1 && n != 3 && n != 5 {
			t.Errorf("node %d has a seat, want the first of each zone", n)
		}
	}
	w.checkEnd()
}

func TestALeavingLeaderHandsOverFirst(t *testing.T) {
	w := newWorld(t, 4)
	w.settle()
	w.formed = true
	w.afflict(w.leader, leaving)
	old, transferred := w.leader, false
	for {
		s := Decide(testConfig(), w.view(0))
		if s.Kind == None {
			break
		}
		transferred = transferred || s.Kind == Transfer
		w.take(s)
	}
	if !transferred || w.seats[old.begun] {
		t.Errorf("transferred %t, seats %v", transferred, w.seats)
	}
	w.checkEnd()
}

func TestALeaverGoesOnlyWhenItsReplacementIsThere(t *testing.T) {
	w := newWorld(t, 4)
	w.settle()
	w.formed = true
	w.afflict(w.members[1], leaving)
	for {
		s := Decide(testConfig(), w.view(0))
		if s.Kind == None {
			break
		}
		w.take(s)
		if all, _ := w.voters(); all < 3 {
			t.Fatalf("%d voters after %v", all, s.Kind)
		}
	}
	w.checkEnd()
}

func TestTheGroupShrinksOnlyWhereMembersLeave(t *testing.T) {
	w := newWorld(t, 3)
	w.settle()
	w.formed = true
	w.afflict(w.members[2], down)
	w.settle()
	if all, _ := w.voters(); all != 3 {
		t.Fatalf("%d voters after one died, want 3", all)
	}
	w.afflict(w.members[2], leaving)
	w.settle()
	if all, _ := w.voters(); all != 1 {
		t.Errorf("%d voters after one of three left, want 1", all)
	}
	w.checkEnd()
}

func TestKindsHaveNames(t *testing.T) {
	for k := None; k <= Transfer; k++ {
		if k.String() == (Transfer+1).String() || k.String() == "" {
			t.Errorf("kind %d has no name", k)
		}
	}
	if got := Kind(99).String(); got != "kind(99)" {
		t.Error(got)
	}
}
