// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func TestTenThousandWaitersGetTheLockInTheirOrder(t *testing.T) {
	waiters := 10_000
	if testing.Short() {
		waiters = 500
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 2, func(c *Config) { c.TailWait = time.Second })
		var sessions []locks.SessionID
		for i, n := range r.nodes {
			sessions = append(sessions, n.open(byte(i+1), time.Hour))
		}
		first := r.nodes[0].acquire(wants(sessions[0], 1, "jobs", 0), 0)
		var mu sync.Mutex
		var order []int
		var last kv.Fence
		var waits sync.WaitGroup
		for i := range waiters {
			waits.Go(func() {
				n, id, holder := r.nodes[i%5], sessions[i%5], uint64(i+2)
				var got locks.Result
				for got = n.acquire(wants(id, holder, "jobs", 23*time.Hour), MaxPoll); got.Code == locks.CodeQueued; {
					got = n.acquire(wants(id, holder, "jobs", 23*time.Hour), MaxPoll)
				}
				mu.Lock()
				order = append(order, i)
				if got.Code != locks.CodeOK || got.Fence <= last {
					t.Errorf("waiter %d: %v after fence %d", i, got, last)
				}
				last = got.Fence
				mu.Unlock()
				n.do(state.Release{Session: id, Holder: holder, Name: "jobs", Fence: got.Fence})
			})
			if i%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(5 * time.Second)
		var queue []locks.Waiter
		r.nodes[0].Read(func(s *state.State) {
			lock, _ := s.Locks().Lock("jobs")
			queue = lock.Queue
		})
		if len(queue) != waiters {
			t.Fatalf("%d wait, not %d", len(queue), waiters)
		}
		r.nodes[0].do(state.Release{Session: sessions[0], Holder: 1, Name: "jobs", Fence: first.Fence})
		waits.Wait()
		for place, w := range queue {
			if order[place] != int(w.Holder)-2 {
				t.Fatalf("place %d went to waiter %d, not %d", place, order[place], w.Holder-2)
			}
		}
	})
}

func TestAMemberParksSoManyWaitsAndRefusesMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, func(c *Config) { c.Parked = 2 })
		n := r.nodes[1]
		id := n.open(1, time.Hour)
		n.acquire(wants(id, 1, "jobs", 0), 0)
		var waits sync.WaitGroup
		for holder := uint64(2); holder <= 3; holder++ {
			waits.Go(func() { n.acquire(wants(id, holder, "jobs", time.Minute), time.Second) })
		}
		time.Sleep(100 * time.Millisecond)
		if _, err := n.Acquire(r.ctx, wants(id, 4, "jobs", time.Minute), time.Second); !errors.Is(
			err, ErrOverloaded) {
			t.Errorf("one wait too many: %v", err)
		}
		if got := n.acquire(wants(id, 5, "jobs", 0), 0); got.Code != locks.CodeHeld {
			t.Errorf("a try beside parked waits: %v", got)
		}
		waits.Wait()
		if got := n.acquire(wants(id, 6, "jobs", time.Minute), time.Millisecond); got.Position != 3 {
			t.Errorf("after the polls: %v", got) // places 1 and 2 are kept
		}
		if n.desk.count() != 0 || len(n.desk.waiting) != 0 {
			t.Errorf("%d are parked, %d known", n.desk.count(), len(n.desk.waiting))
		}
	})
}

func TestAWaitEndsAtItsTimeThoughNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		id := n.open(1, time.Hour)
		n.acquire(wants(id, 1, "jobs", 0), 0)
		began := time.Now()
		if got := n.acquire(wants(id, 2, "jobs", 3*time.Second), 10*time.Second); got.Code !=
			locks.CodeWaitOver {
			t.Errorf("a wait of 3s: %v", got)
		}
		if took := time.Since(began); took < 3*time.Second || took > 3200*time.Millisecond {
			t.Errorf("a wait of 3s took %v", took)
		}
		// The client goes away: its place does too.
		ctx, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		if _, err := n.Acquire(ctx, wants(id, 3, "jobs", 3*time.Second), MaxPoll); !errors.Is(
			err, context.DeadlineExceeded) {
			t.Errorf("a client that goes away: %v", err)
		}
		n.Read(func(s *state.State) {
			if c := s.Locks().Counts(); c.Waiters != 1 {
				t.Errorf("%d wait", c.Waiters)
			}
		})
		time.Sleep(3 * time.Second)
		n.Read(func(s *state.State) {
			if c := s.Locks().Counts(); c.Waiters != 0 {
				t.Errorf("%d wait", c.Waiters)
			}
		})
	})
}

// Of two calls for one attempt both are told; so is one that was cancelled, and one whose
// lock was taken away again before it looked.
func TestADeskTellsEveryTicketOfAnAttempt(t *testing.T) {
	id := locks.SessionID{1}
	for _, c := range []struct {
		name   string
		events []locks.Event
		want   locks.Code
	}{
		{"granted", []locks.Event{{Kind: locks.EventGranted, Fence: 7}}, locks.CodeOK},
		{"wait over", []locks.Event{{Kind: locks.EventWaitOver}}, locks.CodeWaitOver},
		{"cancelled", []locks.Event{{Kind: locks.EventCancelled}}, locks.CodeLockLost},
		{"session ended", []locks.Event{{Kind: locks.EventEnded}}, locks.CodeSessionExpired},
		{"granted and taken away", []locks.Event{
			{Kind: locks.EventGranted, Fence: 7}, {Kind: locks.EventReleased, Fence: 7},
		}, locks.CodeLockLost},
		{"queued", []locks.Event{{Kind: locks.EventQueued}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(3)
			var tickets []*ticket
			for range 3 {
				ticket, _ := d.take(attempt{id, 1})
				tickets = append(tickets, ticket)
			}
			other := attempt{id, 2}
			if _, ok := d.take(other); ok {
				t.Error("one ticket too many")
			}
			d.leave(tickets[1])
			foreign, _ := d.take(other)
			for i := range c.events {
				c.events[i].Session, c.events[i].Holder = id, 1
			}
			d.note(c.events)
			for _, i := range []int{0, 2} {
				if got := d.fateOf(tickets[i]); got.code != c.want {
					t.Errorf("ticket %d: %v", i, got)
				}
				d.leave(tickets[i])
			}
			if got := d.fateOf(foreign); got != (fate{}) {
				t.Errorf("another attempt hears %v", got)
			}
			d.leave(foreign)
			if d.count() != 0 || len(d.waiting) != 0 {
				t.Errorf("%d are parked, %d known", d.count(), len(d.waiting))
			}
		})
	}
}

// A snapshot in the place of entries tells no events: the desk looks everybody up.
func TestASnapshotAnswersWaitsWhoseEventsItSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		a, b, c := n.open(1, time.Hour), n.open(2, time.Hour), n.open(3, time.Hour)
		held := map[string]locks.Result{}
		for i, name := range []string{"granted", "over", "queued", "ended"} {
			held[name] = n.acquire(wants(a, uint64(i+1), name, 0), 0)
		}
		got := map[string]locks.Result{}
		var mu sync.Mutex
		var healed time.Time // written once, while all of them wait
		var waits sync.WaitGroup
		wait := func(id locks.SessionID, holder uint64, name string, span time.Duration) {
			waits.Go(func() {
				answer := n.acquire(wants(id, holder, name, span), 20*time.Second)
				if late := !healed.IsZero() && time.Since(healed) > 5*time.Second; late &&
					answer.Code != locks.CodeQueued {
					t.Errorf("%s: told %v after the snapshot came", name, time.Since(healed))
				}
				mu.Lock()
				defer mu.Unlock()
				got[name] = answer
			})
		}
		wait(b, 1, "granted", time.Hour)
		wait(b, 2, "over", 5*time.Second)
		wait(b, 3, "queued", time.Hour)
		wait(c, 1, "ended", time.Hour)
		time.Sleep(time.Second)
		r.net.Partition([]string{"n4"}, []string{"n1", "n2", "n3"})
		seat := r.nodes[1]
		seat.do(state.Release{
			Session: a, Holder: 1, Name: "granted", Fence: held["granted"].Fence,
		})
		seat.do(state.SessionClose{ID: c})
		time.Sleep(5 * time.Second)
		for _, s := range r.nodes[:3] { // what happened is in no log any more
			s.machine.mu.Lock()
			s.machine.recent.reset(s.machine.state.Index() + 1)
			s.machine.mu.Unlock()
		}
		healed = time.Now()
		r.net.Heal()
		waits.Wait()
		for name, want := range map[string]locks.Code{
			"granted": locks.CodeOK, "over": locks.CodeLockLost, "queued": locks.CodeQueued,
			"ended": locks.CodeSessionExpired,
		} {
			if got[name].Code != want {
				t.Errorf("%s: %v", name, got[name])
			}
		}
	})
}

// A member that comes back restores a snapshot from before the wait that it has parked.
func TestAWaitOutlivesASnapshotFromBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		seat, n := r.nodes[0], r.nodes[3]
		n.calls.failing(func(method string) error {
			if method == wire.MethodMetaTail {
				return rpc.ErrNotSent
			}
			return nil
		})
		old := rigState(t, 3, 1)
		a, b := seat.open(1, time.Hour), seat.open(2, time.Hour)
		held := seat.acquire(wants(a, 1, "jobs", 0), 0)
		time.AfterFunc(time.Second, func() {
			must(t, n.machine.restore(old.Index(), old.Term(), old.Snapshot(nil)))
		})
		time.AfterFunc(2*time.Second, func() {
			seat.do(state.Release{Session: a, Holder: 1, Name: "jobs", Fence: held.Fence})
			n.calls.failing(nil)
		})
		if got := n.acquire(wants(b, 1, "jobs", time.Minute), MaxPoll); got.Code != locks.CodeOK {
			t.Errorf("the wait ended with %v", got)
		}
	})
}
