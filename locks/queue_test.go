// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"testing"
)

func TestQueuesAreServedInTheOrderOfArrival(t *testing.T) {
	l := newLog(t)
	l.open(4)
	first := l.want(CodeOK, take(1, 1, "a"))
	for n := 2; n <= 4; n++ {
		if r := l.want(CodeQueued, take(n, 1, "a")); r.Position != n-1 || r.Index != l.at.Index {
			t.Errorf("session %d: %+v", n, r)
		}
	}
	l.wantEvents("queued 2/1", "queued 3/1", "queued 4/1")
	l.want(CodeOK, release(1, 1, "a", first.Fence))
	l.wantEvents("granted 2/1")
	l.wantHolders("a", "2/1")
	l.wantQueue("a", "3/1", "4/1")

	// The waiter learns its grant from a repetition too, and its neighbour its new place.
	r := l.want(CodeOK, take(2, 1, "a"))
	if r.Fence != l.table.Fence() || r.Index != l.at.Index-1 {
		t.Errorf("granted as %+v", r)
	}
	if r := l.want(CodeQueued, take(4, 1, "a")); r.Position != 2 {
		t.Errorf("position %d", r.Position)
	}
}

func TestReadersDoNotOvertakeAWriter(t *testing.T) {
	l := newLog(t)
	l.open(6)
	first := l.want(CodeOK, share(1, 1, "a"))
	l.want(CodeOK, share(2, 1, "a"))
	l.want(CodeQueued, take(3, 1, "a"))
	l.want(CodeQueued, share(4, 1, "a"))
	l.want(CodeQueued, share(5, 1, "a"))
	l.want(CodeQueued, take(6, 1, "a"))
	c := share(2, 2, "a")
	c.Wait = 0
	l.want(CodeHeld, c) // nor does a try
	l.table.TakeEvents()

	second, _ := l.table.Lock("a")
	l.want(CodeOK, release(1, 1, "a", first.Fence))
	l.wantEvents()
	l.want(CodeOK, release(2, 1, "a", second.Holders[1].Fence))
	l.wantEvents("granted 3/1")
	l.want(CodeOK, Cancel{Session: sid(3), Holder: 1, Name: "a"})
	l.wantEvents("granted 4/1", "granted 5/1") // together, each with a fence of its own
	lock, _ := l.table.Lock("a")
	if lock.Kind != KindShared || lock.Holders[0].Fence >= lock.Holders[1].Fence {
		t.Errorf("%+v", lock)
	}
	l.wantQueue("a", "6/1")
}

func TestReadersJoinWhenTheWriterBeforeThemGoes(t *testing.T) {
	for _, tc := range []struct {
		name string
		goes any
		says []string
	}{
		{"cancelled", Cancel{Session: sid(2), Holder: 1, Name: "a"},
			[]string{"cancelled 2/1", "granted 3/1"}},
		{"its wait is over", CancelWait{Session: sid(2), Holder: 1, Name: "a"},
			[]string{"wait over 2/1", "granted 3/1"}},
		{"its session ends", SessionClose{ID: sid(2)},
			[]string{"ended 2/1", "ended 2/0", "granted 3/1"}},
		{"finished with", Acquire{
			Session: sid(2), Holder: 2, DoneThrough: 1, Name: "b", Kind: KindShared,
		}, []string{"cancelled 2/1", "granted 3/1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLog(t)
			l.open(3)
			l.want(CodeOK, share(1, 1, "a"))
			l.want(CodeQueued, take(2, 1, "a"))
			l.want(CodeQueued, share(3, 1, "a"))
			l.table.TakeEvents()
			l.do(tc.goes)
			l.wantEvents(tc.says...)
			l.wantHolders("a", "1/1", "3/1")
			l.wantQueue("a")
		})
	}
}

func TestATryIsRefusedOnceAndForAll(t *testing.T) {
	l := newLog(t)
	l.open(2)
	first := l.want(CodeOK, try(1, 1, "a"))
	l.want(CodeHeld, try(2, 1, "a"))
	l.wantQueue("a")
	l.want(CodeOK, release(1, 1, "a", first.Fence))
	l.want(CodeLockLost, try(2, 1, "a")) // a late duplicate, and the lock is free
	l.want(CodeLockLost, take(2, 1, "a"))
	l.wantHolders("a")
	l.want(CodeOK, try(2, 2, "a"))
}

func TestAnActiveNumberHasOneLockAndOneKind(t *testing.T) {
	l := newLog(t)
	l.open(2)
	l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeQueued, take(2, 1, "a"))
	for session := 1; session <= 2; session++ {
		l.want(CodeConflict, share(session, 1, "a"))
		l.want(CodeInvalid, take(session, 1, "b"))
		l.want(CodeInvalid, Cancel{Session: sid(session), Holder: 1, Name: "b"})
		l.want(CodeOK, CancelWait{Session: sid(session), Holder: 1, Name: "b"})
	}
	if r := l.want(CodeOK, release(1, 1, "b", l.table.Fence())); r.Released {
		t.Error("a lock of another name was released")
	}
	l.want(CodeLockLost, SetValue{
		Session: sid(1), Holder: 1, Name: "b", Fence: l.table.Fence(), Revision: 1,
	})
	l.wantHolders("a", "1/1")
	l.wantQueue("a", "2/1")
	l.wantHolders("b")
}

func TestBothKindsMixOnOneLock(t *testing.T) {
	l := newLog(t)
	l.open(1)
	r := l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeQueued, share(1, 2, "a"))
	l.want(CodeOK, release(1, 1, "a", r.Fence))
	lock, _ := l.table.Lock("a")
	if lock.Kind != KindShared || len(lock.Holders) != 1 {
		t.Errorf("%+v", lock)
	}
}

func TestTheFirstRequestOfANumberCounts(t *testing.T) {
	l := newLog(t)
	l.open(2)
	c := take(1, 1, "a")
	c.Value = []byte("first")
	l.want(CodeOK, c)
	queued := take(2, 1, "a")
	l.want(CodeQueued, queued)
	c.Value, queued.Wait, queued.Value = []byte("second"), 0, []byte("second")
	l.want(CodeOK, c)
	l.want(CodeQueued, queued)
	lock, _ := l.table.Lock("a")
	if string(lock.Holders[0].Value) != "first" || lock.Queue[0].Wait != minute ||
		lock.Queue[0].Value != nil {
		t.Errorf("%+v", lock)
	}
}

func TestAGrantKeepsWhatItsWaiterSaid(t *testing.T) {
	l := newLog(t)
	l.open(2)
	r := l.want(CodeOK, take(1, 1, "a"))
	c := share(2, 1, "a")
	c.Value = []byte("text")
	l.want(CodeQueued, c)
	c.Value[0] = 'T' // the message's bytes are the caller's
	l.want(CodeOK, release(1, 1, "a", r.Fence))
	lock, _ := l.table.Lock("a")
	if h := lock.Holders[0]; string(h.Value) != "text" || h.Permits != 1 || h.Index != l.at.Index {
		t.Errorf("%+v", h)
	}
}
