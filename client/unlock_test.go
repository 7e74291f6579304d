// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

func TestUnlockTellsThatTheLockWasLost(t *testing.T) {
	cases := []struct {
		name  string
		loss  func(f *fake, g *fakeGroup, h *Held)
		cause error
	}{
		{"released by force", func(_ *fake, g *fakeGroup, h *Held) { g.force("m", h.Fence()) }, nil},
		{"its session was lost", func(f *fake, _ *fakeGroup, _ *Held) {
			f.suffer(func(seen) fate { return leaderless })
			time.Sleep(time.Minute)
			f.onData(nil)
		}, ErrSessionLost},
		{"its session was ended, untold", func(_ *fake, g *fakeGroup, h *Held) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.table.CloseSession(g.at(), closing(h.session))
			g.tell()
		}, ErrSessionLost},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, g, _, s := open(t, 3)
				held := mustLock(t, s.Mutex("m"))
				tc.loss(f, g, held)
				err := held.Unlock(t.Context())
				if !errors.Is(err, ErrLockLost) || tc.cause != nil && !errors.Is(err, tc.cause) {
					t.Errorf("%v", err)
				}
				if again := held.Unlock(t.Context()); again != err {
					t.Errorf("again: %v", again)
				}
				g.isFree(t, "m")
			})
		})
	}
}

func TestUnlockFreesNoLaterGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, g, _, s := open(t, 3)
		first := mustLock(t, s.Mutex("m"))
		g.force("m", first.Fence())
		second := mustLock(t, s.Mutex("m"))
		if err := first.Unlock(t.Context()); !errors.Is(err, ErrLockLost) {
			t.Error(err)
		}
		if holding, _ := g.holders("m"); len(holding) != 1 || holding[0].holder != second.Holder() {
			t.Errorf("held by %v, want %d", holding, second.Holder())
		}
	})
}

func TestUnlockWithAnEndedContextIsDoneBehindTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, g, _, s := open(t, 3)
		held := mustLock(t, s.Mutex("m"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := held.Unlock(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Second)
		g.isFree(t, "m")
	})
}

func TestUnlocksAtOnceAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _, s := open(t, 3)
		held := mustLock(t, s.Mutex("m"))
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				unlocks(t, held)
			})
		}
		all.Wait()
		if n := len(f.requests(wire.MethodLockRelease)); n != 1 {
			t.Errorf("%d releases", n)
		}
	})
}

// TestNoGrantIsLeftToNobody drives many goroutines through whatever can happen to requests
// and callers. Who says that it holds the lock is the only one, and the group agrees; when
// all have left nobody holds it or waits (L2, L3, I10).
func TestNoGrantIsLeftToNobody(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			f, g, c, s := open(t, 3, WithTTL(time.Hour))
			other := mustOpen(t, c, WithTTL(time.Hour))
			rng := rand.New(rand.NewPCG(seed, 2))
			bad := rng.IntN(40)
			var calm atomic.Bool
			var mu sync.Mutex // guards rng
			f.suffer(func(s seen) fate {
				mu.Lock()
				defer mu.Unlock()
				if calm.Load() || s.method == wire.MethodSessionKeepAlive || rng.IntN(100) >= bad {
					return fated
				}
				return fate(rng.IntN(int(leaderless) + 1))
			})
			draw := func(n int) int {
				mu.Lock()
				defer mu.Unlock()
				return rng.IntN(n)
			}
			var inside, granted atomic.Int32
			var all sync.WaitGroup
			for i := range 8 {
				mine := []*Session{s, other}[i%2]
				all.Go(func() {
					for range 12 {
						time.Sleep(time.Duration(draw(500)) * time.Millisecond)
						ctx, cancel := context.WithTimeout(t.Context(),
							time.Duration(draw(8000))*time.Millisecond)
						held := tryOrWait(ctx, mine, draw(3) == 0)
						if held == nil {
							cancel()
							continue
						}
						granted.Add(1)
						if n := inside.Add(1); n != 1 {
							t.Errorf("seed %d: %d hold it", seed, n)
						}
						time.Sleep(time.Duration(draw(300)) * time.Millisecond)
						holding, _ := g.holders("m")
						if len(holding) != 1 || holding[0].holder != held.Holder() {
							t.Errorf("seed %d: %d was granted, %v hold it", seed, held.Holder(), holding)
						}
						inside.Add(-1)
						_ = held.Unlock(ctx) // goes on behind us where it fails
						cancel()
					}
				})
			}
			all.Wait()
			calm.Store(true)
			time.Sleep(time.Minute)
			g.isFree(t, "m")
			for _, s := range []*Session{s, other} {
				s.mu.Lock()
				n := s.numbers
				s.mu.Unlock()
				if n.through != n.last || len(n.finished) != 0 {
					t.Errorf("seed %d: finished through %d of %d, and %v", seed, n.through, n.last,
						n.finished)
				}
			}
			if bad < 10 && granted.Load() == 0 {
				t.Errorf("seed %d: nobody was granted anything", seed)
			}
		})
	}
}

func tryOrWait(ctx context.Context, s *Session, try bool) *Held {
	if try {
		held, _ := s.Mutex("m").TryLock(ctx)
		return held
	}
	held, _ := s.Mutex("m").Lock(ctx)
	return held
}

// TestNumbersAgreeWithASet compares with a set of all that was finished.
func TestNumbersAgreeWithASet(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 3))
		var n numbers
		done, open := make(map[uint64]bool), []uint64{}
		for range 500 {
			if len(open) == 0 || rng.IntN(2) == 0 {
				number := n.take()
				if done[number] || number != uint64(len(done)+len(open)+1) {
					t.Fatalf("seed %d: took %d", seed, number)
				}
				open = append(open, number)
			} else {
				i := rng.IntN(len(open))
				n.finish(open[i])
				n.finish(open[i]) // again changes nothing
				done[open[i]] = true
				open = append(open[:i], open[i+1:]...)
			}
			through := uint64(0)
			for done[through+1] {
				through++
			}
			if n.through != through || len(n.finished) != len(done)-int(through) {
				t.Fatalf("seed %d: through %d, want %d", seed, n.through, through)
			}
		}
		n.finish(n.last + 1)
		if n.through > n.last {
			t.Error("a number that was never taken is finished")
		}
	}
}

func TestWithLock(t *testing.T) {
	wrong := errors.New("wrong")
	cases := []struct {
		name string
		fn   func(ctx context.Context, f *fake, g *fakeGroup, fence uint64) error
		want []error
	}{
		{"all is well", func(ctx context.Context, _ *fake, _ *fakeGroup, _ uint64) error {
			return ctx.Err()
		}, nil},
		{"its own error", func(context.Context, *fake, *fakeGroup, uint64) error { return wrong },
			[]error{wrong}},
		{"lost, and told by the context", func(ctx context.Context, f *fake, _ *fakeGroup, _ uint64) error {
			f.suffer(func(seen) fate { return leaderless })
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), ErrLockLost) {
				return fmt.Errorf("cause: %w", context.Cause(ctx))
			}
			return errors.Join(wrong, ctx.Err())
		}, []error{wrong, ErrLockLost, ErrSessionLost, context.Canceled}},
		{"lost, and nobody noticed", func(_ context.Context, _ *fake, g *fakeGroup, fence uint64) error {
			g.force("m", fence)
			return nil
		}, []error{ErrLockLost}},
		{"not given back", func(_ context.Context, f *fake, _ *fakeGroup, _ uint64) error {
			f.suffer(func(seen) fate { return leaderless })
			return nil
		}, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 3)
				g := f.withGroup()
				c := f.client(nil)
				err := c.WithLock(t.Context(), "m", func(ctx context.Context, fence uint64) error {
					info, _ := g.holders("m")
					if len(info) != 1 || fence == 0 {
						t.Errorf("held by %v with fence %d", info, fence)
					}
					return tc.fn(ctx, f, g, fence)
				}, WithTTL(20*time.Second), WithSessionName("job"), WithLockValue([]byte("v")),
					WithTimeout(time.Minute))
				for _, want := range tc.want {
					if !errors.Is(err, want) {
						t.Errorf("%v is not %v", err, want)
					}
				}
				if tc.want == nil && err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				g.isFree(t, "m")
				g.mu.Lock()
				defer g.mu.Unlock()
				if n := g.table.Counts().Sessions; n != 0 {
					t.Errorf("%d sessions are left", n)
				}
			})
		})
	}
}

func TestWithLockGivesBackWhatAPanicLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		g := f.withGroup()
		c := f.client(nil)
		func() {
			defer func() { _ = recover() }()
			_ = c.WithLock(t.Context(), "m", func(context.Context, uint64) error { panic("x") })
		}()
		g.isFree(t, "m")
		if err := c.WithLock(t.Context(), "m", nil, WithR(One)); !errors.Is(err, ErrInvalid) {
			t.Errorf("with a foreign option: %v", err)
		}
		if err := c.WithLock(t.Context(), "", nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("without a name: %v", err)
		}
	})
}
