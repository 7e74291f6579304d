// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"testing"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func TestJudgeStopTellsHowTheLastLifeEnded(t *testing.T) {
	cases := []struct {
		name      string
		then, now string
		clean     bool
		want      Stop
	}{
		{"empty directory", "", "b1", false, StopNone},
		{"empty directory with a stray mark", "", "b1", true, StopNone},
		{"mark, same boot", "b1", "b1", true, StopClean},
		{"mark, machine booted since", "b1", "b2", true, StopClean},
		{"no mark, same boot", "b1", "b1", false, StopKilled},
		{"no mark, machine booted since", "b1", "b2", false, StopPowerLoss},
		{"no mark, boot id not known now", "b1", "", false, StopPowerLoss},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := JudgeStop(c.then, c.now, c.clean); got != c.want {
				t.Errorf("JudgeStop = %v, want %v", got, c.want)
			}
		})
	}
}

// The table of starts, as far as pure functions decide it: each stop with each verdict.
func TestTableOfStarts(t *testing.T) {
	type row struct {
		state storeState
		keeps bool
	}
	want := map[kv.Verdict]map[Stop]row{
		kv.VerdictConfirmed: {
			StopNone: {stateConfirmed, false}, StopClean: {stateConfirmed, true},
			StopKilled: {stateConfirmed, false}, StopPowerLoss: {stateConfirmed, false},
		},
		kv.VerdictUnknown: {
			StopNone: {stateRefused, false}, StopClean: {stateUnconfirmed, false},
			StopKilled: {stateUnconfirmed, false}, StopPowerLoss: {stateUnconfirmed, false},
		},
		kv.VerdictLost: {
			StopNone: {stateRefused, false}, StopClean: {stateRefused, false},
			StopKilled: {stateRefused, false}, StopPowerLoss: {stateRefused, false},
		},
		kv.VerdictForked: {
			StopNone: {stateRefused, false}, StopClean: {stateRefused, false},
			StopKilled: {stateRefused, false}, StopPowerLoss: {stateRefused, false},
		},
	}
	for verdict, stops := range want {
		for stop, want := range stops {
			state := stateAfter(verdict, Past{Stop: stop}.Fresh())
			got := row{state, keepsIncarnations(stop, state == stateConfirmed)}
			if got != want {
				t.Errorf("%v after %v: %+v, want %+v", verdict, stop, got, want)
			}
		}
	}
}

func TestNamesOfStopsAndVerdicts(t *testing.T) {
	names := map[string]string{
		StopNone.String(): "none", StopClean.String(): "clean", StopKilled.String(): "killed",
		StopPowerLoss.String(): "power-loss", Stop(9).String(): "stop(9)",
		kv.VerdictUnknown.String(): "unknown", kv.VerdictConfirmed.String(): "confirmed",
		kv.VerdictLost.String(): "lost", kv.VerdictForked.String(): "forked",
		kv.Verdict(9).String(): "verdict(9)",
	}
	for got, want := range names {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// restart is one real stop and start; it tells whether the incarnation went on.
func restart(t *testing.T, end func(*life) setup, verdict kv.Verdict) (kept bool, next *life) {
	t.Helper()
	first := fresh(t)
	before := first.put("k", "1", vclock.Context{})
	s := end(first)
	s.verdict = verdict
	next = begin(t, s)
	after := next.put("k", "2", before.Object.Context)
	if after.Dot.Actor == before.Dot.Actor && after.Dot.Counter <= before.Dot.Counter {
		t.Errorf("dot %s after %s", after.Dot, before.Dot)
	}
	if got := values(next.object("k")); len(got) != 1 || got[0] != "2" {
		t.Errorf("after the restart the key holds %q", got)
	}
	return after.Dot.Actor == before.Dot.Actor, next
}

func TestRestartsKeepOrBeginIncarnations(t *testing.T) {
	killed := func(l *life) setup {
		s := l.crashed(nil)
		s.past.Stop = StopKilled
		return s
	}
	powerLoss := func(l *life) setup { return l.crashed(nil) }
	clean := func(l *life) setup { return l.stopped() }
	cases := []struct {
		name    string
		end     func(*life) setup
		verdict kv.Verdict
		kept    bool
	}{
		{"clean stop, confirmed", clean, kv.VerdictConfirmed, true},
		{"clean stop, group not reached", clean, kv.VerdictUnknown, false},
		{"kill, confirmed", killed, kv.VerdictConfirmed, false},
		{"kill, group not reached", killed, kv.VerdictUnknown, false},
		{"power loss, confirmed", powerLoss, kv.VerdictConfirmed, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				kept, next := restart(t, c.end, c.verdict)
				if kept != c.kept {
					t.Errorf("incarnation kept: %v, want %v", kept, c.kept)
				}
				confirmed := next.read("k").Confirmed
				if confirmed != (c.verdict == kv.VerdictConfirmed) {
					t.Errorf("replies say confirmed: %v after %v", confirmed, c.verdict)
				}
			})
		})
	}
}

// A mark that a life did not use is good for the next one; one that was minted past, or
// that stands without a clean stop, never is.
func TestMarksAreUsedOnceAndOnlyAfterACleanStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := fresh(t)
		dot := first.put("k", "1", vclock.Context{}).Dot
		s := first.stopped()
		s.verdict = kv.VerdictConfirmed
		idle := begin(t, s)
		s = idle.stopped()
		if len(s.past.Marks) != 1 || s.past.Marks[0].Counter != dot.Counter {
			t.Fatalf("an idle life left the marks %+v", s.past.Marks)
		}
		s.verdict = kv.VerdictUnknown
		unconfirmed := begin(t, s)
		fork := unconfirmed.put("k", "2", vclock.Context{}).Dot
		if fork.Actor == dot.Actor {
			t.Fatal("an unconfirmed store resumed its incarnation")
		}
		unconfirmed.Confirm(kv.VerdictConfirmed)
		if next := unconfirmed.put("k", "3", vclock.Context{}).Dot; next.Actor != fork.Actor {
			t.Errorf("after the confirmation %s, want to go on with %s", next, fork)
		}
		s = unconfirmed.stopped()
		if len(s.past.Marks) != 1 || s.past.Marks[0].Actor != fork.Actor {
			t.Errorf("marks %+v, want one of %s", s.past.Marks, fork)
		}
		s.past.Stop, s.verdict = StopKilled, kv.VerdictConfirmed // a leftover mark
		killed := begin(t, s)
		if next := killed.put("k", "4", vclock.Context{}).Dot; next.Actor == fork.Actor {
			t.Error("a mark without a clean stop was resumed")
		}
	})
}

func TestStampsGoOnAfterACleanStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := fresh(t)
		first.put("k", "1", vclock.Context{})
		s := first.stopped()
		s.past.Stamp, s.verdict = kv.Stamp(1<<63), kv.VerdictConfirmed // the clock was far ahead
		next := begin(t, s)
		m := next.put("other", "2", vclock.Context{})
		v, _ := m.Object.Find(m.Dot)
		if next.target("other").Partition != next.target("k").Partition && v.Stamp <= s.past.Stamp {
			t.Errorf("stamp %d after %d", v.Stamp, s.past.Stamp)
		}
	})
}

func TestStoresThatTheGroupRefusesServeNothing(t *testing.T) {
	cases := []struct {
		name    string
		past    Past
		verdict kv.Verdict
		refused bool
	}{
		{"not asked yet", Past{Stop: StopClean}, 0, false},
		{"empty, group not reached", Past{Stop: StopNone}, kv.VerdictUnknown, false},
		{"wiped", Past{Stop: StopNone}, kv.VerdictLost, true},
		{"restored or cloned", Past{Stop: StopClean}, kv.VerdictForked, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := begin(t, setup{past: c.past, verdict: c.verdict})
				m := l.mint(l.putting("k", "v", vclock.Context{}))
				r := l.read("k")
				s := l.merge(l.copying("k", foreign(1, "x", kv.Object{}, vclock.Context{})))
				for what, got := range map[string]struct {
					wire.Standing
					code wire.ReplicaCode
				}{"mint": {m.Standing, m.Code}, "read": {r.Standing, r.Code}, "store": {s.Standing, s.Code}} {
					if got.Role != kv.RoleNotReady || got.code != wire.ReplicaRefused {
						t.Errorf("%s: role %v, code %d", what, got.Role, got.code)
					}
				}
				if got := l.Status(); got.Ready || got.Refused != c.refused || got.Reason == "" {
					t.Errorf("status %+v", got)
				}
				if actors, _ := l.CleanActors(); c.refused && len(actors) > 0 {
					t.Errorf("a refused store keeps %v", actors)
				}
			})
		})
	}
}

// A mark that an unclean stop has left tells less than was issued after it. A life that
// mints nothing must not hand it on, to one that would issue those dots again (TRAPS C6).
func TestTrapC6MarksOfAnUncleanStopAreNotHandedOn(t *testing.T) {
	for _, stop := range []Stop{StopKilled, StopPowerLoss} {
		bubble(t, func(t *testing.T) {
			first := fresh(t)
			first.put("k", "1", vclock.Context{})
			s := first.stopped()
			s.past.Stop, s.verdict = stop, kv.VerdictConfirmed
			idle := begin(t, s)
			if marks := idle.stopped().past.Marks; len(marks) != 0 {
				t.Errorf("%s: a clean stop keeps %v", stop, marks)
			}
		})
	}
}

// Dots are those of their node and role: a mark of another is not gone on with.
func TestMarksOfAnotherNodeOrRoleAreNotResumed(t *testing.T) {
	cases := map[string]func(*wire.ActorMark){
		"node": func(m *wire.ActorMark) {
			other, err := vclock.NewActor(m.Actor.Node()+1, 7)
			if err != nil {
				t.Fatal(err)
			}
			m.Actor = other
		},
		"role": func(m *wire.ActorMark) { m.Role = kv.RoleFallback },
	}
	for name, change := range cases {
		bubble(t, func(t *testing.T) {
			first := fresh(t)
			first.put("k", "1", vclock.Context{})
			s := first.stopped()
			s.verdict = kv.VerdictConfirmed
			change(&s.past.Marks[0])
			marked := s.past.Marks[0].Actor
			if got := begin(t, s).put("k", "2", vclock.Context{}).Dot.Actor; got == marked {
				t.Errorf("%s: the incarnation %v of another goes on", name, got)
			}
		})
	}
}
