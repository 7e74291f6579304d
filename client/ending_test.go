// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

func TestTimeEndsARequest(t *testing.T) {
	for method, do := range operations() {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 3)
				f.follow(silent, silent, silent, silent, silent)
				b := f.client(nil).Bucket("default")
				began := time.Now()
				_, err := do(t.Context(), b, []byte("k"), WithTimeout(300*time.Millisecond))
				if took := time.Since(began); !errors.Is(err, ErrTimeout) || took != 300*time.Millisecond {
					t.Errorf("%v after %v", err, took)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				_, err = do(ctx, b, []byte("k"))
				took := time.Since(began)
				if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) ||
					took != 500*time.Millisecond {
					t.Errorf("%v after %v", err, took)
				}
				for _, s := range f.requests(method) {
					if s.timeout < 150 || s.timeout > 299 {
						t.Errorf("the node was given %d ms", s.timeout)
					}
				}
			})
		})
	}
}

func TestTheCallerEndsARequest(t *testing.T) {
	for method, do := range operations() {
		for _, a := range []answer{silent, "UNAVAILABLE", "QUORUM"} {
			t.Run(method+"/"+string(a), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFake(t, 1)
					f.follow(a, silent)
					b := f.client(nil).Bucket("default")
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(time.Second, cancel)
					_, err := do(ctx, b, []byte("k"))
					want := OutcomeUnknown
					if method == wire.MethodGet {
						want = OutcomeNone
					}
					if !errors.Is(err, context.Canceled) || OutcomeOf(err) != want {
						t.Errorf("%v, outcome %v", err, OutcomeOf(err))
					}
					f.forget()
					_, err = do(ctx, b, []byte("k"))
					if !errors.Is(err, context.Canceled) || OutcomeOf(err) != OutcomeNone {
						t.Errorf("with a context that had ended: %v", err)
					}
					if n := len(f.requests(method)); n != 0 {
						t.Errorf("sent %d times with a context that had ended", n)
					}
				})
			})
		}
	}
}

func TestCloseEndsRequestsAndWaits(t *testing.T) {
	for method, do := range operations() {
		for _, a := range []answer{silent, "OVERLOADED"} {
			t.Run(method+"/"+string(a), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFake(t, 1)
					f.follow(a, silent)
					c := f.client(func(c *Config) { c.Retry.PauseMin = 400 * time.Millisecond })
					time.AfterFunc(100*time.Millisecond, c.Close)
					_, err := do(t.Context(), c.Bucket("default"), []byte("k"))
					want := OutcomeNone
					if a == silent && method != wire.MethodGet {
						want = OutcomeUnknown
					}
					if !errors.Is(err, ErrClosed) || OutcomeOf(err) != want {
						t.Errorf("%v, outcome %v, want %v", err, OutcomeOf(err), want)
					}
					_, err = do(t.Context(), c.Bucket("default"), []byte("k"))
					if !errors.Is(err, ErrClosed) || OutcomeOf(err) != OutcomeNone {
						t.Errorf("after Close: %v", err)
					}
				})
			})
		}
	}
}
