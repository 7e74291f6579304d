// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

// toyLocks grants every lock to whoever asks first, and makes nobody wait.
type toyLocks struct {
	mu    sync.Mutex // guards all below
	fence uint64
	held  map[string]uint64
	// instead answers an acquire in the place of the group, where it is not nil.
	instead func(r *workload.LockRequest) *workload.LockAnswer
	open    *workload.LockAnswer
	asked   []workload.LockRequest
	made    []*toySession
}

type toySession struct {
	group  *toyLocks
	opened time.Time
	lost   atomic.Bool
	closed bool
	left   bool
}

func (g *toyLocks) Open(
	context.Context, time.Duration,
) (workload.LockSession, workload.LockAnswer) {
	if g.open != nil {
		return nil, *g.open
	}
	s := &toySession{group: g, opened: time.Now()}
	g.made = append(g.made, s)
	return s, workload.LockAnswer{Outcome: history.OK, Node: "n1"}
}

func (s *toySession) Acquire(_ context.Context, r *workload.LockRequest) workload.LockAnswer {
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, *r)
	if g.instead != nil {
		return *g.instead(r)
	}
	if g.held[r.Name] != 0 {
		return workload.LockAnswer{Outcome: history.OK, Node: "n2"}
	}
	g.fence++
	g.held[r.Name] = g.fence
	return workload.LockAnswer{Outcome: history.OK, Fence: g.fence}
}

func (s *toySession) Release(_ context.Context, r *workload.LockRequest) workload.LockAnswer {
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	found := g.held[r.Name] == r.Fence
	if found {
		delete(g.held, r.Name)
	}
	return workload.LockAnswer{Outcome: history.OK, Released: found}
}

func (s *toySession) Close(context.Context) workload.LockAnswer {
	s.closed = true
	return workload.LockAnswer{Outcome: history.OK}
}

func (s *toySession) Leave()             { s.left = true }
func (s *toySession) Lost() bool         { return s.lost.Load() }
func (s *toySession) Renewed() int64     { return 1 }
func (s *toySession) TTL() time.Duration { return 7 * time.Second }

// toyCanceller can cancel, and release by force.
type toyCanceller struct{ *toySession }

func (s toyCanceller) Cancel(context.Context, *workload.LockRequest) workload.LockAnswer {
	return workload.LockAnswer{Outcome: history.OK}
}

func (s toyCanceller) ForceRelease(
	ctx context.Context, r *workload.LockRequest,
) workload.LockAnswer {
	return s.Release(ctx, r)
}

type cancellers struct{ *toyLocks }

func (g cancellers) Open(
	ctx context.Context, ttl time.Duration,
) (workload.LockSession, workload.LockAnswer) {
	s, a := g.toyLocks.Open(ctx, ttl)
	if s == nil {
		return nil, a
	}
	return toyCanceller{s.(*toySession)}, a
}

func newToyLocks() *toyLocks { return &toyLocks{held: make(map[string]uint64)} }

// lockRun is one client on a toy.
type lockRun struct {
	group  *toyLocks
	record *history.Recorder
	client *workload.LockClient
	owner  *workload.LockHolder
	load   workload.Locks
}

func newLockRun(t *testing.T, cancels bool, maxOps int) *lockRun {
	t.Helper()
	r := &lockRun{group: newToyLocks(), load: workload.Locks{Slots: 2, TTL: 5 * time.Second}}
	var err error
	if r.record, err = history.NewRecorder(history.Header{N: 3}, maxOps); err != nil {
		t.Fatal(err)
	}
	var service workload.LockService = r.group
	if cancels {
		service = cancellers{r.group}
	}
	began := time.Now()
	now := func() int64 { return int64(time.Since(began)) + 1 }
	names := workload.NewLockNames("l", r.load)
	r.client = workload.NewLockClient(service, 3, r.load, names, r.record, now)
	r.owner = r.client.Owner(0)
	return r
}

func (r *lockRun) do(t *testing.T, h *workload.LockHolder, step workload.LockStep) {
	t.Helper()
	if err := h.Do(t.Context(), step); err != nil {
		t.Fatal(err)
	}
}

// ops tells the recorded operations.
func (r *lockRun) ops() []history.Op { return r.record.History().Ops }

func kindsOf(ops []history.Op) string {
	var out []string
	for i := range ops {
		out = append(out, ops[i].Kind.String())
	}
	return strings.Join(out, " ")
}

func TestAHolderRecordsAllThatItDoes(t *testing.T) {
	for _, c := range []struct {
		name string
		end  workload.LockEnd
		want string
	}{
		{"released", workload.LockRelease, "session-open acquire release"},
		{"cancelled", workload.LockCancel, "session-open acquire cancel"},
		{"taken by force", workload.LockForce, "session-open acquire force-release"},
		{"closed", workload.LockClose, "session-open acquire session-close"},
		{"left", workload.LockLeave, "session-open acquire session-leave"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newLockRun(t, true, 100)
				r.do(t, r.owner, workload.LockStep{End: c.end, Hold: time.Second, Wait: time.Second})
				ops := r.ops()
				if got := kindsOf(ops); got != c.want {
					t.Fatalf("recorded %s, want %s", got, c.want)
				}
				open, got, end := &ops[0], &ops[1], &ops[2]
				if open.TTL != int64(7*time.Second) || open.Key != "3.1" || open.Node != "n1" {
					t.Errorf("%s", open)
				}
				if got.Lock.Fence != 1 || got.Lock.Holder != 1 || got.Key != "l0.0" ||
					got.Lock.Wait != int64(time.Second) {
					t.Errorf("%s", got)
				}
				if end.Invoked-got.Completed != int64(time.Second) || end.Lock.Lost {
					t.Errorf("held for %d ns: %s", end.Invoked-got.Completed, end)
				}
				released := c.end == workload.LockRelease || c.end == workload.LockForce
				if end.Lock.Released != released || released && end.Lock.Fence != 1 {
					t.Errorf("%s", end)
				}
			})
		})
	}
}

func TestOnlyTheOwnerEndsASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLockRun(t, false, 100)
		other := r.client.Holder(1)
		r.do(t, other, workload.LockStep{})
		if len(r.ops()) > 0 {
			t.Errorf("without a session: %s", kindsOf(r.ops()))
		}
		r.do(t, r.owner, workload.LockStep{})
		r.do(t, other, workload.LockStep{End: workload.LockClose})
		r.do(t, other, workload.LockStep{End: workload.LockLeave})
		const want = "session-open acquire release acquire release acquire release"
		if got := kindsOf(r.ops()); got != want {
			t.Errorf("recorded %s, want %s", got, want)
		}
		if n := r.ops()[5].Lock.Holder; n != 3 {
			t.Errorf("the third attempt of the session has number %d", n)
		}
	})
}

func TestALostSessionIsToldAndReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLockRun(t, false, 100)
		r.do(t, r.owner, workload.LockStep{})
		r.group.made[0].lost.Store(true)
		r.do(t, r.client.Holder(1), workload.LockStep{}) // has none now
		r.do(t, r.owner, workload.LockStep{})
		if err := r.owner.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		const want = "session-open acquire release session-lost session-open acquire release session-close"
		ops := r.ops()
		if got := kindsOf(ops); got != want {
			t.Fatalf("recorded %s, want %s", got, want)
		}
		if lost := &ops[3]; lost.Key != "3.1" || !lost.Lock.Lost || lost.Lock.Renewed != 1 {
			t.Errorf("%s", lost)
		}
		if ops[4].Key != "3.2" || ops[5].Lock.Session != "3.2" || !r.group.made[1].closed {
			t.Errorf("%s, %s", &ops[4], &ops[5])
		}
	})
}

// TestWhatIsLostWhileALockIsHeldIsNotClaimed: what the client knows when it releases counts.
func TestWhatIsLostWhileALockIsHeldIsNotClaimed(t *testing.T) {
	for _, left := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newLockRun(t, false, 100)
			r.do(t, r.owner, workload.LockStep{})
			var other sync.WaitGroup
			other.Go(func() { r.do(t, r.client.Holder(1), workload.LockStep{Hold: time.Second}) })
			synctest.Wait()
			if r.group.made[0].lost.Store(!left); left {
				r.do(t, r.owner, workload.LockStep{Slot: 1, End: workload.LockLeave})
			}
			other.Wait()
			ops := r.ops()
			last := &ops[len(ops)-1]
			if last.Kind != history.Release || !last.Lock.Lost {
				t.Errorf("left %t: %s", left, last)
			}
		})
	}
}

func TestAnAttemptOfUnknownOutcomeIsCancelledWhereTheClientCan(t *testing.T) {
	for _, cancels := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newLockRun(t, cancels, 100)
			r.group.instead = func(*workload.LockRequest) *workload.LockAnswer {
				return &workload.LockAnswer{Outcome: history.Info, Fence: 7, Error: "silence"}
			}
			r.do(t, r.owner, workload.LockStep{})
			want := "session-open acquire"
			if cancels {
				want += " cancel"
			}
			if got := kindsOf(r.ops()); got != want {
				t.Errorf("recorded %s, want %s", got, want)
			}
			if op := &r.ops()[1]; op.Lock.Fence != 0 || op.Error != "silence" {
				t.Errorf("%s", op)
			}
		})
	}
}

func TestAttemptsThatFailAreNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLockRun(t, true, 100)
		answers := []workload.LockAnswer{
			{Outcome: history.OK}, {Outcome: history.Fail}, {Outcome: history.Fail, Expired: true},
		}
		for _, a := range answers {
			r.group.instead = func(*workload.LockRequest) *workload.LockAnswer { return &a }
			r.do(t, r.owner, workload.LockStep{})
		}
		if got := kindsOf(r.ops()); got != "session-open acquire acquire acquire" {
			t.Errorf("recorded %s", got)
		}
		if ops := r.ops(); !ops[1].Refused() || ops[2].Lock.Expired || !ops[3].Lock.Expired {
			t.Errorf("%s; %s; %s", &ops[1], &ops[2], &ops[3])
		}
		r.group.open = &workload.LockAnswer{Outcome: history.Info}
		r.group.made[0].lost.Store(true)
		r.do(t, r.owner, workload.LockStep{})
		r.do(t, r.owner, workload.LockStep{})
		if got := kindsOf(r.ops()[4:]); got != "session-lost session-open session-open" {
			t.Errorf("recorded %s", got)
		}
	})
}

func TestLocksThatAreUsedUpGetANewName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLockRun(t, false, 1000)
		names := func() []string {
			var out []string
			for _, q := range r.group.asked {
				out = append(out, q.Name)
			}
			return slices.Compact(out)
		}
		for range 250 {
			r.do(t, r.owner, workload.LockStep{})
		}
		if got := names(); !slices.Equal(got, []string{"l0.0", "l0.1", "l0.2"}) {
			t.Errorf("250 attempts at %v", got)
		}
		r.group.instead = func(*workload.LockRequest) *workload.LockAnswer {
			return &workload.LockAnswer{Outcome: history.Info}
		}
		r.group.asked = nil
		for range 7 {
			r.do(t, r.owner, workload.LockStep{})
		}
		if got := names(); !slices.Equal(got, []string{"l0.2", "l0.3", "l0.4"}) {
			t.Errorf("7 attempts of unknown outcome at %v", got)
		}
	})
}

func TestARunEndsWhereItsOperationsCanNotBeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLockRun(t, false, 2)
		load := workload.Locks{Slots: 1}
		err := workload.RunLocks(t.Context(), r.owner, load, rand.New(rand.NewPCG(1, 1)), 10)
		if err == nil || len(r.ops()) != 2 {
			t.Errorf("%v after %d operations", err, len(r.ops()))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		load.MaxPause = time.Hour
		if err := workload.RunLocks(ctx, r.owner, load, rand.New(rand.NewPCG(1, 1)), 10); err != nil {
			t.Errorf("cut off: %v", err)
		}
	})
}

func TestStepsOfLocksAreWithinTheirBounds(t *testing.T) {
	ends := make(map[workload.LockEnd]int)
	tries, shares := 0, 0
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w := workload.DrawLocks(rng, 0)
		if again := workload.DrawLocks(rand.New(rand.NewPCG(seed, 1)), 0); !reflect.DeepEqual(w, again) {
			t.Fatalf("seed %d draws %+v and %+v", seed, w, again)
		}
		for range 200 {
			s := w.Next(rng)
			if s.Slot >= w.Slots || s.Wait > w.MaxWait || s.Hold > w.MaxHold || s.Pause > w.MaxPause ||
				s.Wait%time.Millisecond != 0 {
				t.Fatalf("seed %d: %+v of %+v", seed, s, w)
			}
			ends[s.End]++
			if s.Wait == 0 {
				tries++
			}
			if s.Shared {
				shares++
			}
		}
		if paused := workload.DrawLocks(rng, time.Second); paused.MaxPause != 2*time.Second {
			t.Errorf("pauses up to %v", paused.MaxPause)
		}
	}
	if len(ends) != 5 || tries < 1000 || shares < 1000 {
		t.Errorf("ends %v, %d tries, %d shared", ends, tries, shares)
	}
}
