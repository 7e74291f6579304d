// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func TestAWaitIsPolledAtLeastAsOftenAsTheProtocolHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, c, s := open(t, 3)
		other := mustOpen(t, c)
		held := mustLock(t, other.Mutex("m"))
		f.forget()
		time.AfterFunc(95*time.Second, func() { _ = held.Unlock(context.Background()) })
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := s.Mutex("m").Lock(ctx); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 95*time.Second {
			t.Errorf("granted after %v, want 95s", took)
		}
		sent := f.requests(wire.MethodLockAcquire)
		if len(sent) != 10 {
			t.Errorf("polled %d times", len(sent))
		}
		for i, r := range sent {
			want := 200*time.Second - time.Duration(i)*10*time.Second
			wait := time.Duration(r.lock.WaitMS) * time.Millisecond
			if r.lock.Holder != 1 || wait > want || wait < want-time.Second {
				t.Errorf("poll %d: %+v, want a wait of %v", i, r.lock, want)
			}
			if r.lock.TimeoutMS > 30_000 {
				t.Errorf("poll %d may take %d ms", i, r.lock.TimeoutMS)
			}
		}
	})
}

func TestTheEndOfAWaitIsATimeout(t *testing.T) {
	for _, group := range []bool{true, false} {
		t.Run(fmt.Sprintf("told by the group %t", group), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, g, c, s := open(t, 1)
				other := mustOpen(t, c)
				mustLock(t, other.Mutex("m"))
				if !group { // the answer does not come
					f.suffer(func(s seen) fate {
						if s.method == wire.MethodLockAcquire {
							return unsaid
						}
						return fated
					})
				}
				began := time.Now()
				_, err := s.Mutex("m").Lock(t.Context(), WithTimeout(12*time.Second))
				took := time.Since(began)
				if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) ||
					codeOf(err) != wire.CodeWaitTimeout || OutcomeOf(err) != OutcomeNone {
					t.Errorf("%v, outcome %v", err, OutcomeOf(err))
				}
				if took < 11900*time.Millisecond || took > 12100*time.Millisecond {
					t.Errorf("after %v, want 12s", took)
				}
				if _, waiting := g.holders("m"); waiting != 0 {
					t.Error("it still waits")
				}
				if n := len(f.requests(wire.MethodLockCancel)); (n == 0) != group {
					t.Errorf("%d cancels", n)
				}
			})
		})
	}
}

// TestWhoGivesUpLeavesTheQueue also where the answer that it got the lock is on its way.
func TestWhoGivesUpLeavesTheQueue(t *testing.T) {
	for _, granted := range []bool{false, true} {
		t.Run(fmt.Sprintf("granted %t", granted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, g, c, s := open(t, 3)
				if granted {
					f.suffer(func(s seen) fate {
						if s.method == wire.MethodLockAcquire {
							return unsaid
						}
						return fated
					})
				} else {
					other := mustOpen(t, c)
					mustLock(t, other.Mutex("m"))
				}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				began := time.Now()
				_, err := s.Mutex("m").Lock(ctx)
				if !errors.Is(err, context.Canceled) || OutcomeOf(err) != OutcomeNone {
					t.Errorf("%v, outcome %v", err, OutcomeOf(err))
				}
				if took := time.Since(began); took != time.Second {
					t.Errorf("after %v", took)
				}
				holding, waiting := g.holders("m")
				if waiting != 0 || (len(holding) == 0) != granted {
					t.Errorf("%v hold it, %d wait", holding, waiting)
				}
				f.onData(nil)
				_, _ = s.Mutex("n").TryLock(t.Context())
				sent := f.requests(wire.MethodLockAcquire)
				if got := sent[len(sent)-1].lock.DoneThrough; got != 1 {
					t.Errorf("done through %d, want 1", got)
				}
			})
		})
	}
}

// TestACancelThatFailsGoesOnBehindTheCaller: its number is finished only when it is told.
func TestACancelThatFailsGoesOnBehindTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g, _, s := open(t, 3, WithTTL(time.Minute))
		began := time.Now()
		f.suffer(func(s seen) fate {
			switch since := time.Since(began); {
			case s.method == wire.MethodLockAcquire && since < 5*time.Second:
				return unsaid
			case since < 5*time.Second:
				return leaderless
			}
			return fated
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Mutex("m").Lock(ctx)
		if took := time.Since(began); took > time.Second+cancelWait || !errors.Is(err, ErrTimeout) ||
			OutcomeOf(err) != OutcomeUnknown {
			t.Errorf("%v, outcome %v, after %v", err, OutcomeOf(err), took)
		}
		if holding, _ := g.holders("m"); len(holding) != 1 {
			t.Fatalf("held by %v", holding)
		}
		s.mu.Lock()
		through := s.numbers.through
		s.mu.Unlock()
		if through != 0 {
			t.Errorf("number %d is finished with, but still held", through)
		}
		time.Sleep(6*time.Second - time.Since(began))
		g.isFree(t, "m")
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.numbers.through != 1 {
			t.Error("the number is not finished with")
		}
	})
}

// TestANumberThatIsFinishedWithIsReplaced: the answer that the wait was over got lost, or
// it was the longest wait that can be asked for at once.
func TestANumberThatIsFinishedWithIsReplaced(t *testing.T) {
	for _, code := range []answer{"LOCK_LOST", "WAIT_TIMEOUT"} {
		synctest.Test(t, func(t *testing.T) {
			f, _, _, s := open(t, 1)
			f.follow(code)
			held, err := s.Mutex("m").Lock(t.Context())
			if err != nil || held.Holder() != 2 {
				t.Fatalf("%s: %+v, %v", code, held, err)
			}
			sent := f.requests(wire.MethodLockAcquire)
			if len(sent) != 2 || sent[1].lock.DoneThrough != 1 {
				t.Errorf("%s: sent %+v", code, sent)
			}
		})
	}
}

// TestAWaitThatANodeLostSightOfIsCancelled: the node had the number queued, and answers
// NO_LEADER when it is asked again.
func TestAWaitThatANodeLostSightOfIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g, c, s := open(t, 1)
		other := mustOpen(t, c)
		held := mustLock(t, other.Mutex("m"))
		f.onData(func(_ *fakeNode, call *rpc.Call, s seen) bool {
			if s.method != wire.MethodLockAcquire {
				return false
			}
			f.group.handle(call, &s, true)
			call.ReplyError("NO_LEADER: scripted")
			return true
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Mutex("m").Lock(ctx); !errors.Is(err, ErrNoLeader) ||
			OutcomeOf(err) != OutcomeNone {
			t.Errorf("%v, outcome %v", err, OutcomeOf(err))
		}
		unlocks(t, held)
		g.isFree(t, "m")
	})
}

// TestARefusalForGoodNeedsNoCancel: there is nothing of it anywhere.
func TestARefusalForGoodNeedsNoCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _, s := open(t, 1)
		f.follow("PERMISSION_DENIED")
		_, err := s.Mutex("m").Lock(t.Context())
		if !errors.Is(err, ErrPermission) || len(f.requests(wire.MethodLockCancel)) != 0 {
			t.Errorf("%v, %d cancels", err, len(f.requests(wire.MethodLockCancel)))
		}
		f.follow("LOCK_CONFLICT", "PERMISSION_DENIED") // a cancel that can not be, ever
		_, err = s.Mutex("m").Lock(t.Context())
		time.Sleep(time.Hour)
		if n := len(f.requests(wire.MethodLockCancel)); !errors.Is(err, ErrLockConflict) || n != 1 {
			t.Errorf("%v, %d cancels", err, n)
		}
	})
}

func TestALockOutlastsAGroupWithoutLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g, _, s := open(t, 3, WithTTL(time.Minute))
		var until atomic.Int64
		f.suffer(func(seen) fate {
			if time.Now().UnixNano() < until.Load() {
				return leaderless
			}
			return fated
		})
		away := func(d time.Duration) { until.Store(time.Now().Add(d).UnixNano()) }
		away(40 * time.Second) // longer than any request has
		held := mustLock(t, s.Mutex("m"))
		away(4 * time.Second)
		unlocks(t, held)
		g.isFree(t, "m")
		away(time.Hour)
		if _, err := s.Mutex("m").TryLock(t.Context()); !errors.Is(err, ErrNoLeader) {
			t.Errorf("try: %v", err)
		}
		began := time.Now()
		_, err := s.Mutex("m").Lock(t.Context())
		if !errors.Is(err, ErrSessionLost) || time.Since(began) > time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestOneClientMayWaitForMoreLocksThanAConnectionHasWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waiters = 2000
		_, g, c, s := open(t, 1)
		other := mustOpen(t, c)
		held := mustLock(t, other.Mutex("m"))
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range waiters {
			all.Go(func() {
				if _, err := s.Mutex("m").Lock(ctx); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		time.Sleep(5 * time.Minute) // renewals have to come through
		if _, waiting := g.holders("m"); waiting != waiters || s.Err() != nil || other.Err() != nil {
			t.Fatalf("%d wait, %v, %v", waiting, s.Err(), other.Err())
		}
		cancel()
		all.Wait()
		unlocks(t, held)
		g.isFree(t, "m")
	})
}

func TestASilentNodeKeepsAGrantBackForOnePollOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g, c, s := open(t, 3, WithTTL(time.Minute))
		other := mustOpen(t, c, WithTTL(time.Minute))
		held := mustLock(t, other.Mutex("m"))
		got := make(chan *Held, 1)
		go func() {
			mine, err := s.Mutex("m").Lock(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- mine
		}()
		time.Sleep(3 * time.Second)
		at := f.requests(wire.MethodLockAcquire)[1].node
		f.cutOff(f.nodes[slices.IndexFunc(f.nodes, func(n *fakeNode) bool { return n.name == at })])
		if err := held.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if mine := <-got; mine == nil || time.Since(began) > pollMost+2*time.Second {
			t.Errorf("%v after %v", mine, time.Since(began))
		}
		if holding, _ := g.holders("m"); len(holding) != 1 {
			t.Errorf("held by %v", holding)
		}
	})
}
