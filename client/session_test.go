// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// open makes a cluster with a group, a client, and a session.
func open(t *testing.T, nodes int, opts ...Option) (*fake, *fakeGroup, *Client, *Session) {
	t.Helper()
	f := newFake(t, nodes)
	g := f.withGroup()
	c := f.client(nil)
	return f, g, c, mustOpen(t, c, opts...)
}

func mustOpen(t *testing.T, c *Client, opts ...Option) *Session {
	t.Helper()
	s, err := c.NewSession(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stateOf(s *Session) SessionState {
	state, _ := s.State()
	return state
}

func TestASessionIsKeptAliveAndNeverSuspendedWhereItIsAnswered(t *testing.T) {
	for _, ttl := range []time.Duration{5 * time.Second, 15 * time.Second, time.Minute} {
		t.Run(ttl.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, g, _, s := open(t, 3, WithTTL(ttl), WithSessionName("job"))
				// The longest that a node gathers renewals, and a confirmation.
				g.gather = min(ttl/10, time.Second) + 50*time.Millisecond
				_, changed := s.State()
				time.Sleep(100 * ttl)
				if alive, _ := g.has(s.ID()); !alive || s.Err() != nil {
					t.Fatalf("lost: %v", s.Err())
				}
				select {
				case <-changed:
					t.Errorf("the state has changed to %v", stateOf(s))
				default:
				}
				if most := 100*4 + 1; g.renewed < 100*2 || g.renewed > most {
					t.Errorf("renewed %d times in 100 times the TTL", g.renewed)
				}
				if got := g.session(s.ID()); got.Name != "job" || got.TTL != ttl || s.TTL() != ttl {
					t.Errorf("opened as %+v", got)
				}
			})
		})
	}
}

// The states, and when they change, counted from the last renewal.
func TestASilentGroupSuspendsASessionAndThenLosesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g, _, s := open(t, 3)
		f.suffer(func(seen) fate { return leaderless })
		began, state := s.Renewed(), SessionConnected
		var at []time.Duration
		for s.Err() == nil {
			now, changed := s.State()
			if now != state {
				state, at = now, append(at, time.Since(began))
			}
			<-changed
		}
		at = append(at, time.Since(began))
		if len(at) != 2 || at[0] < 7500*time.Millisecond || at[0] > 7600*time.Millisecond {
			t.Errorf("suspended and lost after %v, want 7.5s", at)
		}
		if want := 15*time.Second - 1875*time.Millisecond; at[1] != want {
			t.Errorf("lost after %v, want %v", at[1], want)
		}
		if alive, _ := g.has(s.ID()); !alive {
			t.Error("the group was sooner")
		}
		if !errors.Is(s.Err(), ErrSessionLost) || stateOf(s) != SessionLost {
			t.Errorf("%v, %v", s.Err(), stateOf(s))
		}
		time.Sleep(time.Minute) // for good
		if alive, _ := g.has(s.ID()); alive || stateOf(s) != SessionLost {
			t.Errorf("it came back: %v", stateOf(s))
		}
	})
}

func TestASuspendedSessionRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _, s := open(t, 3)
		var leaderLess atomic.Bool
		leaderLess.Store(true)
		f.suffer(func(seen) fate {
			if leaderLess.Load() {
				return leaderless
			}
			return fated
		})
		time.Sleep(10 * time.Second)
		if stateOf(s) != SessionSuspended {
			t.Fatalf("after 10s: %v", stateOf(s))
		}
		_, changed := s.State()
		leaderLess.Store(false)
		<-changed
		if stateOf(s) != SessionConnected || time.Since(s.Renewed()) > time.Second {
			t.Errorf("%v, renewed %v ago", stateOf(s), time.Since(s.Renewed()))
		}
		time.Sleep(time.Minute)
		if s.Err() != nil {
			t.Error(s.Err())
		}
	})
}

// TestLossIsToldNoLaterThanTheGroupCanEndTheSession is the promise of Lost, under whatever
// becomes of renewals and their answers, however long nodes gather them, and whenever the
// group falls silent (L1, R3).
func TestLossIsToldNoLaterThanTheGroupCanEndTheSession(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			ttl := wire.MinSessionTTLMS*time.Millisecond + time.Duration(rng.Int64N(int64(30*time.Second)))
			f := newFake(t, 3)
			g := f.withGroup()
			g.gather = time.Duration(rng.Int64N(int64(ttl / 4)))
			bad := rng.IntN(60)
			silent := time.Now().Add(time.Duration(rng.Int64N(int64(5 * ttl))))
			f.suffer(func(s seen) fate {
				switch {
				case time.Now().After(silent) && s.method == wire.MethodSessionKeepAlive:
					return []fate{neverCame, leaderless}[rng.IntN(2)]
				case rng.IntN(100) >= bad:
					return fated
				}
				return fate(rng.IntN(int(leaderless) + 1))
			})
			s, err := f.client(nil).NewSession(t.Context(), WithTTL(ttl))
			if err != nil {
				return // never handed out
			}
			held, err := s.Mutex("m").Lock(t.Context())
			if err != nil {
				return
			}
			<-held.Lost()
			if alive, when := g.has(s.ID()); !alive && when.Before(time.Now()) {
				t.Errorf("seed %d: the group ended it %v before it was told: %v", seed,
					time.Since(when), s.Err())
			}
		})
	}
}

// TestALongOpeningCountsFromItsBeginning: the first request may be what opened the session.
func TestALongOpeningCountsFromItsBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.withGroup()
		var count atomic.Int32
		began := time.Now()
		f.suffer(func(s seen) fate {
			switch {
			case s.method != wire.MethodSessionOpen:
				return leaderless
			case count.Add(1) == 1:
				return unsaid
			case time.Since(began) < 4*time.Second:
				return leaderless
			}
			return fated
		})
		s, err := f.client(nil).NewSession(t.Context(), WithTTL(5*time.Second))
		if err == nil {
			<-s.Done()
		} else if !errors.Is(err, ErrSessionLost) {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("told after %v, that was opened for 5s: %v", took, err)
		}
	})
}

func TestASessionThatTheGroupHasEndedIsLostAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g, _, s := open(t, 1)
		g.mu.Lock()
		g.table.CloseSession(g.at(), closing(s))
		g.tell()
		g.mu.Unlock()
		began := time.Now()
		<-s.Done()
		if took := time.Since(began); took > 5*time.Second || codeOf(s.Err()) != wire.CodeSessionExpired {
			t.Errorf("%v after %v", s.Err(), took)
		}
		f.forget()
		if err := s.Close(t.Context()); err != nil || len(f.requests(wire.MethodSessionClose)) != 0 {
			t.Errorf("close: %v", err)
		}
		if _, err := s.Mutex("m").Lock(t.Context()); !errors.Is(err, ErrSessionLost) {
			t.Errorf("lock: %v", err)
		}
	})
}

func TestARetriedOpenIsTheSameSession(t *testing.T) {
	for _, lost := range []fate{neverCame, unheard, unsaid, leaderless} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, 3)
			g := f.withGroup()
			var count atomic.Int32
			f.suffer(func(s seen) fate {
				if s.method == wire.MethodSessionOpen && count.Add(1) <= 2 {
					return lost
				}
				return fated
			})
			began := time.Now()
			s, err := f.client(nil).NewSession(t.Context())
			if err != nil {
				t.Fatalf("fate %d: %v", lost, err)
			}
			g.mu.Lock()
			n := g.table.Counts().Sessions
			g.mu.Unlock()
			if n != 1 || count.Load() != 3 {
				t.Errorf("fate %d: %d sessions after %d requests", lost, n, count.Load())
			}
			// The first request may be the one that counts.
			if !s.Renewed().Equal(began) {
				t.Errorf("fate %d: counted from %v after the first request", lost,
					s.Renewed().Sub(began))
			}
		})
	}
}

func TestAnOpenThatFailedLeavesNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		g := f.withGroup()
		f.suffer(func(s seen) fate {
			if s.method == wire.MethodSessionOpen {
				return unsaid
			}
			return fated
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.client(nil).NewSession(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || OutcomeOf(err) != OutcomeUnknown {
			t.Errorf("%v, outcome %v", err, OutcomeOf(err))
		}
		time.Sleep(time.Second)
		g.mu.Lock()
		defer g.mu.Unlock()
		if n := g.table.Counts().Sessions; n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestOptionsOfSessionsAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, 1).client(nil)
		for _, o := range []Option{
			WithTTL(4 * time.Second), WithTTL(25 * time.Hour), WithR(One), WithLockValue(nil),
			WithSessionName(string(make([]byte, 256))),
		} {
			if _, err := c.NewSession(t.Context(), o); !errors.Is(err, ErrInvalid) {
				t.Errorf("%+v: %v", o, err)
			}
		}
	})
}

func TestCloseFreesWhatASessionHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, g, c, s := open(t, 3)
		held := mustLock(t, s.Mutex("m"))
		waited := make(chan error, 1)
		go func() {
			_, err := s.Mutex("m").Lock(t.Context())
			waited <- err
		}()
		synctest.Wait()
		other := mustOpen(t, c)
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-held.Lost():
		default:
			t.Error("Lost is open after Close")
		}
		if err := <-waited; !errors.Is(err, ErrSessionClosed) {
			t.Errorf("the waiter was told %v", err)
		}
		if _, err := other.Mutex("m").TryLock(t.Context()); err != nil {
			t.Errorf("still held: %v", err)
		}
		if err := held.Unlock(t.Context()); !errors.Is(err, ErrLockLost) {
			t.Errorf("unlock: %v", err)
		}
		if err := s.Close(t.Context()); err != nil || stateOf(s) != SessionClosed {
			t.Errorf("again: %v, %v", err, stateOf(s))
		}
		if alive, _ := g.has(s.ID()); alive {
			t.Error("the group still has it")
		}
	})
}

func TestCloseOfTheClientEndsItsSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, c, s := open(t, 1)
		held := mustLock(t, s.Mutex("m"))
		waited := make(chan error, 1)
		go func() {
			_, err := s.Mutex("m").Lock(context.Background())
			waited <- err
		}()
		synctest.Wait()
		c.Close()
		select {
		case <-held.Lost():
		default:
			t.Error("Lost is open after Close")
		}
		if err := <-waited; !errors.Is(err, ErrClosed) {
			t.Errorf("the waiter was told %v", err)
		}
		if !errors.Is(s.Err(), ErrClosed) {
			t.Errorf("the session says %v", s.Err())
		}
		if _, err := c.NewSession(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("another one: %v", err)
		}
	})
}
