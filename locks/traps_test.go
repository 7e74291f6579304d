// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// The traps of docs/traps.md, section 6, as far as they can be played without a group and
// a network.

func TestL1TheFenceTellsTwoHoldersApart(t *testing.T) {
	l := newLog(t)
	l.open(2)
	paused := l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeOK, SessionExpire{IDs: []SessionID{sid(1)}, Term: l.at.Term})
	present := l.want(CodeOK, take(2, 1, "a"))
	if present.Fence <= paused.Fence {
		t.Errorf("fence %d after %d", present.Fence, paused.Fence)
	}
	// The one that was paused learns it with whatever it asks.
	l.want(CodeSessionExpired, take(1, 1, "a"))
	l.want(CodeSessionExpired, release(1, 1, "a", paused.Fence))
	l.wantHolders("a", "2/1")
}

// A machine that was suspended believes that no time has passed, its lease is valid and the
// lock its own: the leader's clock went on. Whatever it asks when it wakes it has lost, and
// its fence is the lower one.
func TestTrapK4AHolderWhoseClockStoodStillHasLost(t *testing.T) {
	l := newLog(t)
	l.open(2)
	leases := NewLeases()
	leases.Arm(l.table.Leases(), start)
	asleep := l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeQueued, take(2, 1, "a"))
	if got := leases.Renew(sid(2), after(ttl/2)); got != RenewalTaken {
		t.Fatalf("the renewal of who is awake: %v", got)
	}
	due := leases.Due(after(ttl), 10)
	if len(due) != 1 || due[0] != sid(1) {
		t.Fatalf("due: %v", due)
	}
	// It wakes between the proposal and the entry.
	if got := leases.Renew(sid(1), after(ttl)); got == RenewalTaken {
		t.Error("it was told that its session lives on")
	}
	l.want(CodeOK, SessionExpire{IDs: due, Term: l.at.Term})
	l.wantHolders("a", "2/1")
	present := l.want(CodeOK, take(2, 1, "a"))
	if present.Fence <= asleep.Fence {
		t.Errorf("fence %d after %d", present.Fence, asleep.Fence)
	}
	for _, late := range []any{take(1, 1, "a"), take(1, 2, "a"), release(1, 1, "a", asleep.Fence)} {
		l.want(CodeSessionExpired, late)
	}
	l.wantHolders("a", "2/1")
}

func TestL2NobodyIsGrantedAfterItsSessionDied(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(l *log)
	}{
		{"the waiter dies first", func(l *log) {
			l.want(CodeOK, SessionExpire{IDs: []SessionID{sid(2)}, Term: l.at.Term})
			l.want(CodeOK, SessionExpire{IDs: []SessionID{sid(1)}, Term: l.at.Term})
		}},
		{"both in one entry, the holder named first", func(l *log) {
			l.want(CodeOK, SessionExpire{IDs: []SessionID{sid(1), sid(2)}, Term: l.at.Term})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLog(t)
			l.open(3)
			for session := 1; session <= 3; session++ {
				l.do(take(session, 1, "a"))
			}
			l.table.TakeEvents()
			tc.end(l)
			l.wantHolders("a", "3/1")
			l.wantQueue("a")
			for _, e := range l.table.TakeEvents() {
				if e.Kind == EventGranted && e.Session == sid(2) {
					t.Errorf("the dead was granted: %+v", e)
				}
			}
		})
	}
}

func TestL3ALostReplyCostsNothing(t *testing.T) {
	t.Run("acquire is repeated", func(t *testing.T) {
		l := newLog(t)
		l.open(2)
		first := l.want(CodeOK, take(1, 1, "a"))
		if again := l.want(CodeOK, take(1, 1, "a")); again != first {
			t.Errorf("%+v, then %+v", first, again)
		}
		l.wantQueue("a")

		queued := l.want(CodeQueued, take(2, 1, "a"))
		if again := l.want(CodeQueued, take(2, 1, "a")); again != queued {
			t.Errorf("%+v, then %+v", queued, again)
		}
		l.wantQueue("a", "2/1")
	})
	t.Run("release is repeated when the session holds the lock again", func(t *testing.T) {
		l := newLog(t)
		l.open(1)
		first := l.want(CodeOK, take(1, 1, "a"))
		late := release(1, 1, "a", first.Fence)
		l.want(CodeOK, late)
		second := l.want(CodeOK, take(1, 2, "a"))
		if l.want(CodeOK, late).Released {
			t.Error("the late release says that it released")
		}
		// Nor does it with the number of one grant and the fence of the other.
		l.want(CodeOK, release(1, 2, "a", first.Fence))
		l.want(CodeOK, release(1, 1, "a", second.Fence))
		l.wantHolders("a", "1/2")
	})
	t.Run("a late acquire locks nothing", func(t *testing.T) {
		l := newLog(t)
		l.open(1)
		l.want(CodeOK, Cancel{Session: sid(1), Holder: 1, Name: "a"}) // overtakes it
		l.want(CodeLockLost, take(1, 1, "a"))
		l.want(CodeOK, release(1, 2, "a", l.want(CodeOK, take(1, 2, "a")).Fence))
		l.want(CodeLockLost, take(1, 2, "a"))
		l.wantHolders("a")
	})
	t.Run("a late session stays ended", func(t *testing.T) {
		l := newLog(t)
		l.open(1)
		l.want(CodeOK, take(1, 1, "a"))
		l.want(CodeOK, SessionClose{ID: sid(1)})
		l.want(CodeSessionExpired, SessionOpen{ID: sid(1), Name: "s1", TTL: ttl})
		l.want(CodeSessionExpired, take(1, 1, "a"))
		l.want(CodeOK, SessionClose{ID: sid(2)}) // overtakes its SessionOpen
		l.want(CodeSessionExpired, SessionOpen{ID: sid(2), Name: "s2", TTL: ttl})
		l.wantHolders("a")
	})
}

func TestL4AStaleLeaderExpiresNobody(t *testing.T) {
	l := newLog(t)
	l.open(1)
	l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeStaleTerm, SessionExpire{IDs: []SessionID{sid(1)}, Term: l.at.Term - 1})
	l.wantHolders("a", "1/1")
	l.wantEvents()
}

func TestL4NoRenewalIsAnsweredOnceTheExpiryIsProposed(t *testing.T) {
	leases := NewLeases()
	leases.Arm([]Lease{{sid(1), ttl}}, start)
	if ids := leases.Due(after(ttl), 10); len(ids) != 1 {
		t.Fatalf("due: %v", ids)
	}
	for _, late := range []time.Duration{ttl, ttl + time.Second, 10 * ttl} {
		if got := leases.Renew(sid(1), after(late)); got != RenewalOpen {
			t.Errorf("after %v: %v", late, got)
		}
	}
	leases.Note(Event{Kind: EventEnded, Session: sid(1)}, after(10*ttl))
	if got := leases.Renew(sid(1), after(10*ttl)); got != RenewalUnknown {
		t.Errorf("once it is applied: %v", got)
	}
}

func TestL5ANewLeaderGivesEverySessionItsFullTime(t *testing.T) {
	l := newLog(t)
	l.open(2)
	leases := NewLeases()
	leases.Arm(l.table.Leases(), start)
	leases.Due(after(ttl), 1) // one expiry was proposed, and lost with the office

	took := ttl + time.Second
	leases.Arm(l.table.Leases(), after(took))
	for n := 1; n <= 2; n++ {
		if got := leases.Renew(sid(n), after(took)); got != RenewalTaken {
			t.Errorf("session %d: %v", n, got)
		}
	}
	if ids := leases.Due(after(took+ttl-1), 10); ids != nil {
		t.Errorf("due before the full time: %v", ids)
	}
	if ids := leases.Due(after(took+ttl), 10); len(ids) != 2 {
		t.Errorf("due after it: %v", ids)
	}
}

func TestL6ATableDependsOnItsCommandsAlone(t *testing.T) {
	// Restored at every index and applied twice over it is the same: history_test.go and
	// states_test.go. Here: that the order in which maps are walked shows nowhere.
	var first Data
	var events []Event
	for round := range 20 {
		b := newBulk(t, 40)
		for n := 40; n >= 1; n-- {
			b.at.Index++
			b.table.Acquire(b.at, share(n, 1, "a"))
			b.table.Acquire(b.at, take(n, 2, "b"))
			b.table.Acquire(b.at, take(n, 3, "c"))
		}
		b.want(CodeOK, SessionExpire{
			IDs: []SessionID{sid(40), sid(1), sid(17), sid(3)}, Term: b.at.Term,
		})
		data, told := b.table.Export(), b.table.TakeEvents()
		if round == 0 {
			first, events = data, told
			continue
		}
		if diff := difference(first, data); diff != "" {
			t.Fatalf("round %d:\n%s", round, diff)
		}
		if diff := difference(events, told); diff != "" {
			t.Fatalf("round %d:\n%s", round, diff)
		}
	}
}

func TestL8FencesGoOnAfterARecoveryThatLostEntries(t *testing.T) {
	l := newLog(t)
	l.open(1)
	l.at.Index = 5_000
	lost := l.want(CodeOK, take(1, 1, "a")).Fence // its entry is not on the survivor

	survivor := newLog(t)
	survivor.open(1)
	survivor.at.Index = 4_000
	survivor.at.Generation = 1
	next := survivor.want(CodeOK, take(1, 2, "b"))
	if next.Fence <= lost {
		t.Errorf("fence %d after %d", next.Fence, lost)
	}
	if generation, index := kv.SplitID(next.Fence); generation != 1 || index != 4_001 {
		t.Errorf("fence %d is index %d of generation %d", next.Fence, index, generation)
	}
}

func TestL8FencesGoOnWhenALockIsMadeAgain(t *testing.T) {
	l := newLog(t)
	l.open(1)
	last := kv.Fence(0)
	for n := uint64(1); n < 10; n++ {
		l.at.Index = 7 // all in one batch
		r := l.want(CodeOK, take(1, n, "a"))
		if r.Fence <= last {
			t.Fatalf("fence %d after %d", r.Fence, last)
		}
		last = r.Fence
		l.want(CodeOK, release(1, n, "a", r.Fence))
		if _, held := l.table.Lock("a"); held {
			t.Fatal("a free lock is kept")
		}
	}
}

func TestL9AHolderIsASessionAndANumberNotAName(t *testing.T) {
	l := newLog(t)
	for n := 1; n <= 2; n++ {
		l.want(CodeOK, SessionOpen{ID: sid(n), Name: "worker", TTL: ttl})
	}
	l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeQueued, take(2, 1, "a")) // of the same name
	l.want(CodeQueued, take(1, 2, "a")) // another goroutine of the same session
	l.wantHolders("a", "1/1")
	l.wantQueue("a", "2/1", "1/2")
}
