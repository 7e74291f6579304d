// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func after(d time.Duration) time.Time { return start.Add(d) }

func TestASessionIsDueOneTTLAfterItsLastRenewal(t *testing.T) {
	l := NewLeases()
	l.Note(Event{Kind: EventOpened, Session: sid(1), Span: ttl}, start)
	for n := range 10 {
		now := after(time.Duration(n) * ttl / 2)
		if got := l.Renew(sid(1), now); got != RenewalTaken {
			t.Fatalf("renewal %d: %v", n, got)
		}
		if ids := l.Due(now, 1); ids != nil {
			t.Fatalf("renewal %d: due at once", n)
		}
	}
	last := 9 * ttl / 2
	if ids := l.Due(after(last+ttl-1), 1); ids != nil {
		t.Error("due before its TTL is over")
	}
	if ids := l.Due(after(last+ttl), 1); !slices.Equal(ids, []SessionID{sid(1)}) {
		t.Errorf("due when it is over: %v", ids)
	}
}

func TestARenewalThatComesOutOfOrderShortensNothing(t *testing.T) {
	l := NewLeases()
	l.Arm([]Lease{{sid(1), ttl}}, start)
	l.Renew(sid(1), after(10*time.Second))
	l.Renew(sid(1), after(time.Second))
	if ids := l.Due(after(ttl+9*time.Second), 1); ids != nil {
		t.Errorf("due by the older renewal: %v", ids)
	}
}

func TestWhatIsDueIsHandedOutAgainUntilItsEndIsNoted(t *testing.T) {
	l := NewLeases()
	l.Arm([]Lease{{sid(1), ttl}}, start)
	for n := range 3 {
		at := ttl + time.Duration(n)*repeatAfter
		if ids := l.Due(after(at-1), 1); ids != nil {
			t.Errorf("round %d: too early", n)
		}
		if ids := l.Due(after(at), 1); len(ids) != 1 {
			t.Errorf("round %d: %v", n, ids)
		}
		if ids := l.Due(after(at), 1); ids != nil {
			t.Errorf("round %d: twice", n)
		}
	}
	l.Note(Event{Kind: EventEnded, Session: sid(1), Holder: 3}, after(time.Hour)) // a waiter's
	if _, ok := l.Next(); !ok {
		t.Error("the end of a waiter was taken for that of its session")
	}
	l.Note(Event{Kind: EventEnded, Session: sid(1)}, after(time.Hour))
	if _, ok := l.Next(); ok {
		t.Error("there is something to wait for")
	}
	if ids := l.Due(after(time.Hour), 1); ids != nil {
		t.Errorf("due when it has ended: %v", ids)
	}
}

func TestSessionsExpireAtMostAThousandASecond(t *testing.T) {
	const sessions = 5_000
	var all []Lease
	for n := range sessions {
		all = append(all, Lease{sid(n), ttl})
	}
	l := NewLeases()
	l.Arm(all, start)
	seen := make(map[SessionID]bool)
	now := ttl
	for ; len(seen) < sessions; now += 10 * time.Millisecond {
		if now > ttl+time.Minute {
			t.Fatalf("%d were due after a minute", len(seen))
		}
		for _, id := range l.Due(after(now), MaxExpire) {
			seen[id] = true
		}
		most := int((now-ttl)/time.Millisecond) + expiryGroup
		if len(seen) > most {
			t.Fatalf("%d were due within %v", len(seen), now-ttl)
		}
		if next, _ := l.Next(); len(seen) == most && !next.After(after(now)) {
			t.Fatalf("after %v the next is told for %v", now-ttl, next.Sub(after(ttl)))
		}
	}
	if took := now - ttl; took > 5100*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	// Those that are behind in this are renewed still.
	l.Arm(all, start)
	due := l.Due(after(ttl), MaxExpire)
	if len(due) != expiryGroup || l.Renew(due[0], after(ttl)) != RenewalOpen {
		t.Errorf("%d are due at once, and the first is %v", len(due), l.Renew(due[0], after(ttl)))
	}
	for n := range sessions {
		if !slices.Contains(due, sid(n)) && l.Renew(sid(n), after(ttl+time.Second)) != RenewalTaken {
			t.Fatalf("session %d is not renewed", n)
		}
	}
}

func TestAWaitIsOverAfterItsTime(t *testing.T) {
	w := NewWaits()
	queued := func(n uint64, span time.Duration) {
		w.Note(Event{Kind: EventQueued, Session: sid(1), Holder: n, Name: "a", Span: span}, start)
	}
	for n := uint64(1); n <= 6; n++ {
		queued(n, time.Duration(n)*time.Second)
	}
	for n, kind := range []EventKind{EventGranted, EventWaitOver, EventCancelled, EventEnded} {
		w.Note(Event{Kind: kind, Session: sid(1), Holder: uint64(n + 1), Name: "a"}, start)
	}
	w.Note(Event{Kind: EventReleased, Session: sid(1), Holder: 5}, start) // of another's grant
	if next, ok := w.Next(); !ok || next != after(5*time.Second) {
		t.Errorf("next %v", next.Sub(start))
	}
	want := Wait{Session: sid(1), Holder: 5, Name: "a", Wait: 5 * time.Second}
	if got := w.Due(after(5*time.Second), 9); !slices.Equal(got, []Wait{want}) {
		t.Errorf("due: %v", got)
	}
	if got := w.Due(after(10*time.Second-1), 1); len(got) != 1 || got[0].Holder != 6 {
		t.Errorf("due: %v", got)
	}
	if got := w.Due(after(10*time.Second), 9); !slices.Equal(got, []Wait{want}) {
		t.Errorf("due again: %v", got)
	}
}

func TestANewLeaderGivesEveryWaiterItsWholeWait(t *testing.T) {
	l := newLog(t)
	l.open(1)
	l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeQueued, take(1, 2, "a"))
	w := NewWaits()
	w.Note(Event{Kind: EventQueued, Session: sid(9), Holder: 9, Span: time.Second}, start)
	w.Arm(l.table.Waiting(), after(time.Hour))
	if got := w.Due(after(time.Hour+minute-1), 9); got != nil {
		t.Errorf("due: %v", got)
	}
	if got := w.Due(after(time.Hour+minute), 9); len(got) != 1 || got[0].Holder != 2 {
		t.Errorf("due: %v", got)
	}
}

// TestDeadlinesDoWhatAListDoes holds the heap against a list of all deadlines.
func TestDeadlinesDoWhatAListDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leases := NewLeases()
		due := make(map[SessionID]time.Time)
		handed := make(map[SessionID]bool)
		now := start
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "passes")) * time.Millisecond)
			id := sid(rapid.IntRange(1, 12).Draw(t, "session"))
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				span := time.Duration(rapid.IntRange(5, 20).Draw(t, "ttl")) * time.Second
				leases.Note(Event{Kind: EventOpened, Session: id, Span: span}, now)
				due[id], handed[id] = now.Add(span), false
			case 1:
				leases.Note(Event{Kind: EventEnded, Session: id}, now)
				delete(due, id)
			case 2, 3:
				_, known := due[id]
				want := RenewalUnknown
				switch {
				case known && handed[id]:
					want = RenewalOpen
				case known:
					want = RenewalTaken
					due[id] = now.Add(leases.entries[id].span)
				}
				if got := leases.Renew(id, now); got != want {
					t.Fatalf("%v: %v, want %v", id, got, want)
				}
			default:
				checkDue(t, leases, due, handed, now)
			}
			sorted := rapid.Bool().Draw(t, "sorted")
			if sorted {
				leases.Sort(now)
			}
			next, ok := leases.Next()
			if sorted && ok && !next.After(now) && !slices.Contains(over(due, now), true) {
				t.Fatalf("at %v nothing is due, and next is %v", now, next)
			}
			if ok != (len(due) > 0) {
				t.Fatalf("%d deadlines, and next is %v", len(due), ok)
			}
			for id, at := range due {
				if at.Before(next) {
					t.Fatalf("%v is due at %v, and next is %v", id, at, next)
				}
			}
		}
	})
}

// over says of each deadline whether it is over.
func over(due map[SessionID]time.Time, now time.Time) []bool {
	var list []bool
	for _, at := range due {
		list = append(list, !at.After(now))
	}
	return list
}

func checkDue(
	t *rapid.T, leases *Leases, due map[SessionID]time.Time, handed map[SessionID]bool, now time.Time,
) {
	t.Helper()
	got := leases.Due(now, MaxExpire)
	for id, at := range due {
		if over := !at.After(now); over != slices.Contains(got, id) {
			t.Fatalf("at %v: %v, due at %v, in %v", now, id, at, got)
		} else if over {
			due[id], handed[id] = now.Add(repeatAfter), true
		}
	}
}
