// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// finished returns the numbers that a session has finished.
func (l *log) finished(session int) (uint64, []Interval) {
	l.tb.Helper()
	s, ok := l.table.Session(sid(session))
	if !ok {
		l.tb.Fatalf("session %d is not there", session)
	}
	return s.DoneThrough, s.Done
}

func TestDoneThroughEndsWhatItsNumbersStillHave(t *testing.T) {
	l := newLog(t)
	l.open(3)
	l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeOK, take(2, 1, "b"))
	l.want(CodeQueued, take(1, 2, "b"))
	l.want(CodeQueued, take(3, 1, "a"))
	l.want(CodeQueued, take(3, 2, "b"))
	l.want(CodeOK, take(1, 5, "c"))
	l.table.TakeEvents()

	c := take(1, 6, "a")
	c.DoneThrough = 4
	l.want(CodeQueued, c) // behind those who waited already
	l.wantEvents("cancelled 1/2", "granted 3/1", "queued 1/6")
	l.wantHolders("a", "3/1")
	l.wantQueue("a", "1/6")
	l.wantQueue("b", "3/2")
	l.wantHolders("c", "1/5")
	if through, above := l.finished(1); through != 4 || above != nil {
		t.Errorf("finished through %d and %v", through, above)
	}
	for n := uint64(1); n <= 4; n++ {
		l.want(CodeLockLost, take(1, n, "z"))
	}
}

func TestDoneThroughCountsWhereTheRestIsRefused(t *testing.T) {
	l := newLog(t)
	l.open(1)
	l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeOK, take(1, 3, "b"))
	c := share(1, 3, "b")
	c.DoneThrough = 2
	l.want(CodeConflict, c)
	l.wantHolders("a")
	c.DoneThrough = 3 // of its own number: no client can mean that
	l.want(CodeInvalid, c)
	l.wantHolders("b", "1/3")
}

func TestAnOlderDoneThroughTakesNothingBack(t *testing.T) {
	l := newLog(t)
	l.open(1)
	c := take(1, 9, "a")
	c.DoneThrough = 8
	l.want(CodeOK, c)
	c = take(1, 10, "b")
	c.DoneThrough = 2
	l.want(CodeOK, c)
	if through, _ := l.finished(1); through != 8 {
		t.Errorf("finished through %d", through)
	}
}

func TestCancelFinishesANumberInEveryState(t *testing.T) {
	l := newLog(t)
	l.open(2)
	l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeQueued, take(2, 1, "a"))
	cancel := func(session int, n uint64, released bool) {
		t.Helper()
		r := l.want(CodeOK, Cancel{Session: sid(session), Holder: n, Name: "a"})
		if r.Released != released {
			t.Errorf("number %d of %d: %+v", n, session, r)
		}
		l.want(CodeLockLost, take(session, n, "a"))
	}
	l.table.TakeEvents()
	cancel(2, 1, false) // waits
	l.wantEvents("cancelled 2/1")
	cancel(1, 1, true)  // holds
	cancel(1, 1, false) // finished
	cancel(1, 7, false) // new
	l.wantEvents()
	if through, above := l.finished(1); through != 1 || !slices.Equal(above, []Interval{{7, 7}}) {
		t.Errorf("finished through %d and %v", through, above)
	}
}

func TestTheEndOfAWaitTouchesWaitersOnly(t *testing.T) {
	l := newLog(t)
	l.open(2)
	over := func(session int, n uint64) CancelWait {
		return CancelWait{Session: sid(session), Holder: n, Name: "a"}
	}
	l.want(CodeOK, over(2, 1)) // new, and it stays new
	first := l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeOK, over(1, 1)) // holds
	l.want(CodeQueued, take(2, 1, "a"))
	l.want(CodeQueued, take(2, 2, "a"))
	l.want(CodeWaitOver, over(2, 1))
	l.want(CodeOK, over(2, 1))
	l.want(CodeLockLost, take(2, 1, "a"))
	l.want(CodeOK, release(1, 1, "a", first.Fence))
	l.want(CodeOK, over(2, 2)) // was granted before the command came
	l.wantHolders("a", "2/2")
}

func TestForceReleaseEndsTheGrantThatItNames(t *testing.T) {
	l := newLog(t)
	l.open(3)
	first := l.want(CodeOK, share(1, 1, "a"))
	second := l.want(CodeOK, share(2, 1, "a"))
	l.want(CodeQueued, take(3, 1, "a"))
	l.table.TakeEvents()
	force := ForceRelease{Name: "a", Fence: second.Fence, By: "me", Reason: "stuck"}
	if r := l.want(CodeOK, force); !r.Released {
		t.Errorf("%+v", r)
	}
	l.wantEvents("released 2/1")
	l.wantHolders("a", "1/1")
	for _, other := range []ForceRelease{
		force, {Name: "b", Fence: first.Fence}, {Name: "a", Fence: first.Fence + 1000},
	} {
		if r := l.want(CodeOK, other); r.Released {
			t.Errorf("%+v: %+v", other, r)
		}
	}
	force.Fence = first.Fence
	l.want(CodeOK, force)
	l.wantEvents("released 1/1", "granted 3/1")
	l.want(CodeLockLost, share(1, 1, "a")) // the holder can not have it back by asking again
}

func TestOfTwoValuesTheHigherRevisionStays(t *testing.T) {
	l := newLog(t)
	l.open(1)
	r := l.want(CodeOK, take(1, 1, "a"))
	set := SetValue{Session: sid(1), Holder: 1, Name: "a", Fence: r.Fence}
	for _, step := range []struct {
		revision uint64
		value    string
		want     string
	}{
		{1, "one", "one"}, {3, "three", "three"}, {2, "two", "three"}, {3, "other", "three"},
		{4, "", ""},
	} {
		set.Revision, set.Value = step.revision, []byte(step.value)
		if got := l.want(CodeOK, set); got != r {
			t.Errorf("answered %+v, the grant was %+v", got, r)
		}
		lock, _ := l.table.Lock("a")
		if got := string(lock.Holders[0].Value); got != step.want {
			t.Errorf("revision %d leaves %q, want %q", step.revision, got, step.want)
		}
	}
	set.Fence--
	l.want(CodeLockLost, set)
}

func TestSessionsOpenOnceAndEndOnce(t *testing.T) {
	l := newLog(t)
	open := SessionOpen{ID: sid(1), Name: "s", Owner: 1, TTL: ttl}
	first := l.want(CodeOK, open)
	if first.Index != 1 || first.TTL != ttl {
		t.Errorf("%+v", first)
	}
	again := open
	again.Owner = 2 // through another node
	if r := l.want(CodeOK, again); r != first {
		t.Errorf("%+v, then %+v", first, r)
	}
	if s, _ := l.table.Session(sid(1)); s.Owner != 1 {
		t.Errorf("%+v", s)
	}
	again.Name = "other"
	l.want(CodeConflict, again)
	again = open
	again.TTL = time.Hour
	l.want(CodeConflict, again)
	l.wantEvents("opened 1/0")

	l.want(CodeOK, SessionExpire{IDs: []SessionID{sid(1), sid(1), sid(8)}, Term: l.at.Term})
	l.want(CodeOK, SessionClose{ID: sid(1)})
	l.wantEvents("ended 1/0")
	l.want(CodeSessionExpired, open)
	// Sessions that never were are not among those that ended: they may still come.
	l.want(CodeOK, SessionOpen{ID: sid(8), TTL: ttl})
}

func TestEveryCommandOfASessionNeedsIt(t *testing.T) {
	l := newLog(t)
	for _, command := range []any{
		take(1, 1, "a"), release(1, 1, "a", 1),
		Cancel{Session: sid(1), Holder: 1, Name: "a"}, CancelWait{Session: sid(1), Holder: 1, Name: "a"},
		SetValue{Session: sid(1), Holder: 1, Name: "a", Fence: 1, Revision: 1},
	} {
		l.want(CodeSessionExpired, command)
	}
}

func TestFinishedNumbersAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f finished
		set := make(map[uint64]bool)
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			n := rapid.Uint64Range(1, 30).Draw(t, "number")
			if rapid.IntRange(0, 5).Draw(t, "raise") == 0 {
				f.raise(n)
				for m := range n {
					set[m+1] = true
				}
			} else {
				f.add(n)
			}
			set[n] = true
			through, above := intervals(set)
			if f.through != through || !slices.Equal(f.above, above) {
				t.Fatalf("%v, want %d and %v", f, through, above)
			}
			if err := f.validate(); err != nil {
				t.Fatal(err)
			}
			for n := range uint64(32) {
				if n > 0 && f.has(n) != set[n] {
					t.Fatalf("%v has %d: %v", f, n, f.has(n))
				}
			}
		}
	})
}

func TestTheHighestNumberCanBeFinished(t *testing.T) {
	l := newLog(t)
	l.open(1)
	c := take(1, MaxHolder, "a")
	c.DoneThrough = MaxHolder - 2
	r := l.want(CodeOK, c)
	l.want(CodeOK, release(1, MaxHolder, "a", r.Fence))
	l.want(CodeOK, Cancel{Session: sid(1), Holder: MaxHolder - 1, Name: "a"})
	if through, above := l.finished(1); through != MaxHolder || above != nil {
		t.Errorf("finished through %d and %v", through, above)
	}
}
