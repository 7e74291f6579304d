// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
)

const lifeL kv.Instance = 20

var (
	moveLX   = Move{Partition: 3, Slot: 1, From: 2, To: 4}
	storeX   = Store{Instance: 40, OpenSeq: 1}
	atRest   = Placement{Version: 10, Slots: []kv.Slot{kv.Stable(1), kv.Stable(2), kv.Stable(3)}}
	fillingX = kv.Slot{Owner: 2, Next: 4, Phase: kv.PhaseWriteBothReadOld}
	readingX = kv.Slot{Owner: 2, Next: 4, Phase: kv.PhaseWriteBothReadNew}
)

// stepper drives one move and fails the test where a step is refused.
type stepper struct {
	t *testing.T
	p Placement
	g Progress
}

func (s *stepper) take(p Placement, g Progress, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	s.p, s.g = p, g
}

// to takes a new move to a step by the shortest way. Versions rise by 10.
func to(t *testing.T, step Step) *stepper {
	t.Helper()
	s := &stepper{t: t, p: atRest, g: Planned(moveLX)}
	if step == StepPlanned {
		return s
	}
	s.take(s.g.Begin(s.p, 20, lifeL, storeX.Instance))
	if step == StepSwitched || step == StepDone {
		s.g = s.g.Fenced(2, 20)
		s.copied()
		s.take(s.g.ReadNew(s.p, 30, storeX))
	}
	if step == StepDone {
		s.g = s.g.Fenced(2, 30)
		s.take(s.g.Finish(s.p, 40))
	}
	if step == StepAborting || step == StepAborted {
		s.take(s.g.Abort(s.p, 50))
	}
	if step == StepAborted {
		s.g = s.g.Fenced(4, 50)
		s.take(s.g.Restore(s.p, 60))
	}
	return s
}

func (s *stepper) copied() {
	s.t.Helper()
	g, err := s.g.Copied(lifeL, storeX)
	if err != nil {
		s.t.Fatal(err)
	}
	s.g = g
}

func TestAMoveGoesThroughItsPhasesAndRaisesTheVersionEachTime(t *testing.T) {
	for _, c := range []struct {
		step Step
		slot kv.Slot
		at   kv.PlacementVersion
	}{
		{StepPlanned, kv.Stable(2), 10},
		{StepFilling, fillingX, 20},
		{StepSwitched, readingX, 30},
		{StepDone, kv.Stable(4), 40},
		{StepAborting, fillingX, 50},
		{StepAborted, kv.Stable(2), 60},
	} {
		t.Run(c.step.String(), func(t *testing.T) {
			s := to(t, c.step)
			want := Placement{Version: c.at, Slots: []kv.Slot{kv.Stable(1), c.slot, kv.Stable(3)}}
			if diff := cmp.Diff(want, s.p); diff != "" || s.g.Step != c.step {
				t.Fatalf("%v: %s", s.g.Step, diff)
			}
		})
	}
	if atRest.Slots[1] != kv.Stable(2) || atRest.Version != 10 {
		t.Fatal("a placement was changed in place")
	}
}

func TestAStepWhoseConditionsDoNotHoldIsRefusedAndChangesNothing(t *testing.T) {
	begin := func(s *stepper) (Placement, Progress, error) {
		return s.g.Begin(s.p, 90, lifeL, storeX.Instance)
	}
	restart := func(s *stepper) (Placement, Progress, error) { return s.g.Restart(s.p, 90, 41) }
	readNew := func(s *stepper) (Placement, Progress, error) {
		return s.g.ReadNew(s.p, 90, storeX)
	}
	finish := func(s *stepper) (Placement, Progress, error) { return s.g.Finish(s.p, 90) }
	abort := func(s *stepper) (Placement, Progress, error) { return s.g.Abort(s.p, 90) }
	restore := func(s *stepper) (Placement, Progress, error) { return s.g.Restore(s.p, 90) }
	nothing := func(*stepper) {}
	synced := func(s *stepper) { s.g = s.g.Fenced(2, 20); s.copied() }
	for _, c := range []struct {
		name string
		step Step
		bend func(*stepper)
		take func(*stepper) (Placement, Progress, error)
		why  string
	}{
		{"begin twice", StepFilling, nothing, begin, "has begun"},
		{"begin to a member", StepPlanned, func(s *stepper) { s.g.Move.To = 3 }, begin,
			"node 3 stands in slot 2"},
		{"begin to a node that joins another slot", StepPlanned, func(s *stepper) {
			s.p.Slots = []kv.Slot{{Owner: 1, Next: 4, Phase: kv.PhaseWriteBothReadOld},
				kv.Stable(2), kv.Stable(3)}
		}, begin, "node 4 stands in slot 0"},
		{"begin from nowhere", StepPlanned, func(s *stepper) { s.g.Move.From = 0 }, begin,
			"from a node to a node"},
		{"begin to nowhere", StepPlanned, func(s *stepper) { s.g.Move.To = 0 }, begin,
			"from a node to a node"},
		{"begin from another's slot", StepPlanned, func(s *stepper) { s.g.Move.From = 9 },
			begin, "the slot is"},
		{"begin in no slot", StepPlanned, func(s *stepper) { s.g.Move.Slot = 3 }, begin,
			"has 3 slots"},
		{"begin below all slots", StepPlanned, func(s *stepper) { s.g.Move.Slot = -1 }, begin,
			"has 3 slots"},
		{"begin at an old version", StepPlanned, func(s *stepper) { s.p.Version = 90 }, begin,
			"not above"},
		{"restart what did not begin", StepPlanned, nothing, restart, "while filling only"},
		{"restart after the switch", StepSwitched, nothing, restart, "while filling only"},
		{"restart in the same life", StepFilling, func(s *stepper) { s.g.ToInstance = 41 },
			restart, "still has the instance 41"},
		{"read new before the copy", StepFilling, nothing, readNew, "not complete"},
		{"read new after the store was replaced", StepFilling, func(s *stepper) {
			synced(s)
			s.g.Synced.Instance++
		}, readNew, "copy again"},
		{"read new after the store was reopened", StepFilling, func(s *stepper) {
			synced(s)
			s.g.Synced.OpenSeq++
		}, readNew, "copy again"},
		{"read new while aborting", StepAborting, func(s *stepper) { s.g.Synced = storeX },
			readNew, "from filling only"},
		{"finish without a fence", StepSwitched, nothing, finish, "not acknowledged"},
		{"finish with the fence of P1 only", StepSwitched,
			func(s *stepper) { s.g = s.g.Fenced(2, 29) }, finish, "at version 30"},
		{"finish with the fence of the wrong node", StepSwitched,
			func(s *stepper) { s.g = s.g.Fenced(4, 30).Fenced(7, 30) }, finish,
			"not acknowledged"},
		{"finish while filling", StepFilling, synced, finish, "from switched only"},
		{"abort before it began", StepPlanned, nothing, abort, "nothing to turn back"},
		{"abort when done", StepDone, nothing, abort, "nothing to turn back"},
		{"abort twice", StepAborting, nothing, abort, "nothing to turn back"},
		{"restore without a fence", StepAborting, nothing, restore, "not acknowledged"},
		{"restore with the fence of the wrong node", StepAborting,
			func(s *stepper) { s.g = s.g.Fenced(2, 50).Fenced(4, 49) }, restore, "node 4"},
		{"restore what was not aborted", StepSwitched,
			func(s *stepper) { s.g = s.g.Fenced(4, 90) }, restore, "aborting"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := to(t, c.step)
			c.bend(s)
			p, g, err := c.take(s)
			if !errors.Is(err, ErrStep) || !strings.Contains(err.Error(), c.why) {
				t.Fatalf("%v, want %q", err, c.why)
			}
			if diff := cmp.Diff(s.p, p) + cmp.Diff(s.g, g); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestACopyCountsOnlyAfterTheLeaverIsFenced(t *testing.T) {
	s := to(t, StepFilling)
	if _, err := s.g.Copied(lifeL, storeX); !errors.Is(err, ErrStep) {
		t.Fatalf("T3: %v", err)
	}
	s.g = s.g.Fenced(2, 19)
	if _, err := s.g.Copied(lifeL, storeX); !errors.Is(err, ErrStep) {
		t.Fatalf("T3: with an older fence: %v", err)
	}
	s.g = s.g.Fenced(2, 20)
	for _, other := range []Store{{}, {Instance: 41, OpenSeq: 1}} {
		if _, err := s.g.Copied(lifeL, other); !errors.Is(err, ErrStep) {
			t.Fatalf("T12: to store %v: %v", other, err)
		}
	}
	if _, err := s.g.Copied(lifeL+1, storeX); !errors.Is(err, ErrStep) {
		t.Fatalf("T12: from another life: %v", err)
	}
	s.copied()
	if s = to(t, StepAborting); s.g.Fenced(2, 90).MayCopy() {
		t.Fatal("an aborting move may not copy")
	}
}

func TestAJoinerThatLostItsStoreIsFilledAnewAfterAnotherFence(t *testing.T) {
	s := to(t, StepFilling)
	s.g = s.g.Fenced(2, 20)
	s.copied()
	s.take(s.g.Restart(s.p, 25, 41))
	if s.p.Version != 25 || s.p.Slots[1] != fillingX || s.g.MayCopy() {
		t.Fatalf("%+v %+v", s.p, s.g)
	}
	if node, at := s.g.FenceWanted(); node != 2 || at != 25 {
		t.Fatalf("wants node %d at %d", node, at)
	}
	if _, _, err := s.g.ReadNew(s.p, 90, storeX); !errors.Is(err, ErrStep) {
		t.Fatalf("the old copy still counts: %v", err)
	}
	s.g = s.g.Fenced(2, 25)
	g, err := s.g.Copied(lifeL, Store{Instance: 41, OpenSeq: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.take(g.ReadNew(s.p, 30, Store{Instance: 41, OpenSeq: 1}))
}

func TestTheWantedFenceIsTheLeaversAndInAnAbortTheJoiners(t *testing.T) {
	for _, c := range []struct {
		step Step
		node kv.NodeID
		at   kv.PlacementVersion
	}{
		{StepPlanned, 0, 0}, {StepFilling, 2, 20}, {StepSwitched, 2, 30}, {StepDone, 0, 0},
		{StepAborting, 4, 50}, {StepAborted, 0, 0},
	} {
		s := to(t, c.step)
		if node, at := s.g.FenceWanted(); node != c.node || at != c.at {
			t.Errorf("%v wants node %d at %d", c.step, node, at)
		}
		if c.node == 0 {
			continue
		}
		if node, at := s.g.Fenced(c.node, c.at).FenceWanted(); node != 0 || at != 0 {
			t.Errorf("%v still wants node %d at %d", c.step, node, at)
		}
	}
}

func TestARecordedFenceNeverFalls(t *testing.T) {
	g := Planned(moveLX).Fenced(2, 30).Fenced(2, 20).Fenced(4, 31).Fenced(4, 5).Fenced(1, 99)
	if g.FromFence != 30 || g.ToFence != 31 {
		t.Fatalf("%+v", g)
	}
}

func TestAbortFromEitherPhaseGoesThroughWriteBothReadOld(t *testing.T) {
	for _, step := range []Step{StepFilling, StepSwitched} {
		s := to(t, step)
		s.take(s.g.Abort(s.p, 70))
		if s.p.Slots[1] != fillingX || s.p.Version != 70 {
			t.Fatalf("T16: from %v: %+v", step, s.p)
		}
	}
}

func TestAcceptIsTheRuleOfTheReplica(t *testing.T) {
	moving := Placement{Version: 30, Slots: []kv.Slot{kv.Stable(1), readingX, kv.Stable(3)}}
	done := Placement{Version: 40, Slots: []kv.Slot{kv.Stable(1), kv.Stable(4), kv.Stable(3)}}
	for _, c := range []struct {
		name    string
		p       Placement
		node    kv.NodeID
		fence   kv.PlacementVersion
		request kv.PlacementVersion
		want    Verdict
	}{
		{"an owner takes the present version", moving, 1, 0, 30, VerdictAccept},
		{"an owner takes any older version", moving, 1, 0, 1, VerdictAccept},
		{"nobody takes a version that it does not know", moving, 1, 0, 31, VerdictBehind},
		{"not even who owns nothing", moving, 9, 0, 31, VerdictBehind},
		{"a leaver takes its fence's version", moving, 2, 20, 20, VerdictAccept},
		{"a leaver refuses below its fence", moving, 2, 20, 19, VerdictFenced},
		{"a leaver without a fence takes any", moving, 2, 0, 1, VerdictAccept},
		{"a joiner takes what is sent to it", moving, 4, 0, 20, VerdictAccept},
		{"an aborted joiner refuses below its fence", moving, 4, 30, 29, VerdictFenced},
		{"who left refuses everything", done, 2, 30, 40, VerdictNotOwner},
		{"also what is older", done, 2, 30, 10, VerdictNotOwner},
		{"who came back keeps its fence", done, 4, 35, 34, VerdictFenced},
		{"a stranger refuses everything", done, 9, 0, 40, VerdictNotOwner},
		{"node 0 is nobody", done, 0, 0, 40, VerdictNotOwner},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Accept(c.p, c.node, c.fence, c.request); got != c.want {
				t.Fatalf("%v, want %v", got, c.want)
			}
		})
	}
}
