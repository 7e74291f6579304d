// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

func mustLock(t *testing.T, m *Mutex) *Held {
	t.Helper()
	held, err := m.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// unlocks checks that a lock is given back. It may be called in any goroutine.
func unlocks(t *testing.T, held *Held) {
	t.Helper()
	if err := held.Unlock(t.Context()); err != nil {
		t.Error(err)
	}
}

// isFree checks that nobody holds a lock or waits for it.
func (g *fakeGroup) isFree(t *testing.T, name string) {
	t.Helper()
	if holding, waiting := g.holders(name); len(holding)+waiting != 0 {
		t.Errorf("%q: %d hold it, %d wait for it", name, len(holding), waiting)
	}
}

func TestGoroutinesExcludeEachOtherInTheOrderTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, g, c, s := open(t, 3)
		other := mustOpen(t, c)
		var inside atomic.Int32
		var order []int
		var last uint64
		var all sync.WaitGroup
		for i := range 20 {
			mine := s
			if i%3 == 0 {
				mine = other
			}
			all.Go(func() {
				held, err := mine.Mutex("m").Lock(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two hold it")
				}
				if held.Fence() <= last {
					t.Errorf("fence %d after %d", held.Fence(), last)
				}
				last, order = held.Fence(), append(order, i)
				time.Sleep(time.Second)
				inside.Add(-1)
				unlocks(t, held)
			})
			time.Sleep(10 * time.Millisecond)
		}
		all.Wait()
		if !slices.IsSorted(order) || len(order) != 20 {
			t.Errorf("granted in the order %v", order)
		}
		g.isFree(t, "m")
	})
}

func TestReadersShareAndDoNotOvertakeAWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, g, _, s := open(t, 3)
		m := s.RWMutex("rw")
		r1, err1 := m.RLock(t.Context())
		r2, err2 := m.TryRLock(t.Context())
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if _, err := m.TryLock(t.Context()); !errors.Is(err, ErrLocked) {
			t.Errorf("a writer beside readers: %v", err)
		}
		writes := make(chan *Held)
		go func() {
			w, err := m.Lock(t.Context())
			if err != nil {
				t.Error(err)
			}
			writes <- w
		}()
		synctest.Wait()
		if _, err := m.TryRLock(t.Context()); !errors.Is(err, ErrLocked) {
			t.Errorf("a reader before a waiting writer: %v", err)
		}
		err := errors.Join(r1.Unlock(t.Context()), r2.Unlock(t.Context()))
		if w := <-writes; w != nil {
			err = errors.Join(err, w.Unlock(t.Context()))
		}
		if err != nil {
			t.Error(err)
		}
		g.isFree(t, "rw")
	})
}

func TestTryLockIsRefusedAndItsNumberFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g, c, s := open(t, 1)
		other := mustOpen(t, c)
		held := mustLock(t, other.Mutex("m"))
		_, err := s.Mutex("m").TryLock(t.Context())
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, ErrLocked) || e.Outcome != OutcomeNone ||
			e.Name != "m" || e.Holder != 1 {
			t.Errorf("%+v", err)
		}
		unlocks(t, held)
		if got, err := s.Mutex("m").TryLock(t.Context()); err != nil || got.Holder() != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		sent := f.requests(wire.MethodLockAcquire)
		if last := sent[len(sent)-1].lock; last.Holder != 2 || last.DoneThrough != 1 {
			t.Errorf("sent %+v", last)
		}
		if n := len(f.requests(wire.MethodLockCancel)); n != 0 {
			t.Errorf("%d cancels", n)
		}
		if got := g.session(s.ID()); got.DoneThrough != 1 {
			t.Errorf("the group has %+v", got)
		}
	})
}

// TestLostAnswersLeaveNoTrace: each kind of request, lost in each way, the first few times.
func TestLostAnswersLeaveNoTrace(t *testing.T) {
	methods := []string{wire.MethodLockAcquire, wire.MethodLockRelease, wire.MethodSessionClose}
	for _, method := range methods {
		for _, lost := range []fate{neverCame, unheard, unsaid, leaderless} {
			t.Run(fmt.Sprintf("%s/%d", method, lost), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f, g, _, s := open(t, 3)
					var count atomic.Int32
					f.suffer(func(s seen) fate {
						if s.method == method && count.Add(1) <= 2 {
							return lost
						}
						return fated
					})
					began := time.Now()
					held := mustLock(t, s.Mutex("m"))
					holding, _ := g.holders("m")
					if len(holding) != 1 || holding[0].holder != held.Holder() {
						t.Fatalf("held by %v, want %d", holding, held.Holder())
					}
					unlocks(t, held)
					g.isFree(t, "m")
					if err := s.Close(t.Context()); err != nil {
						t.Error(err)
					}
					if alive, _ := g.has(s.ID()); alive {
						t.Error("the session is left")
					}
					if n := count.Load(); n != 3 {
						t.Errorf("sent %d times", n)
					}
					most := 5 * time.Second
					if lost == unsaid && method == wire.MethodLockAcquire {
						most = 2*(pollMost+2*time.Second) + time.Second
					}
					if took := time.Since(began); took > most {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// TestALostAnswerIsToldByTheNext: what the group answers to a repetition is what became of
// the attempt, whoever has not heard it the first time.
func TestALostAnswerIsToldByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g, c, s := open(t, 3)
		other := mustOpen(t, c)
		mustLock(t, other.Mutex("m"))
		var count atomic.Int32
		f.suffer(func(seen) fate {
			if count.Add(1) == 1 {
				return unheard
			}
			return fated
		})
		_, err := s.Mutex("m").TryLock(t.Context())
		if !errors.Is(err, ErrLocked) || OutcomeOf(err) != OutcomeNone {
			t.Errorf("%v, outcome %v", err, OutcomeOf(err))
		}
		g.mu.Lock()
		g.table.CloseSession(g.at(), closing(s))
		g.tell()
		g.mu.Unlock()
		count.Store(0)
		_, err = s.Mutex("m").TryLock(t.Context())
		if !errors.Is(err, ErrSessionLost) || OutcomeOf(err) != OutcomeNone {
			t.Errorf("%v, outcome %v", err, OutcomeOf(err))
		}
	})
}
