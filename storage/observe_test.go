// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// witness follows a store by what it is told of changes.
type witness struct {
	t testing.TB

	mu    sync.Mutex
	held  map[string]kv.Object // guarded by mu
	calls int                  // guarded by mu
}

func newWitness(t testing.TB) *witness { return &witness{t: t, held: map[string]kv.Object{}} }

func (w *witness) Changed(op *Op, before, after *Current) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	key := string(op.Key)
	old, known := w.held[key]
	if known != (before.State == StatePresent) || !old.Context.Equal(before.Object.Context) {
		w.t.Errorf("%s was %s with %s, the witness knows %s",
			key, before.State, before.Object.Context, old.Context)
	}
	if after.State == StateAbsent {
		delete(w.held, key)
	} else {
		w.held[key] = after.Object
	}
}

func (w *witness) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

// watched starts a store that tells w of its changes.
func watched(t testing.TB, cfg Config, e Engine, w *witness) *rig {
	t.Helper()
	return startWith(t, cfg, e, func(s *Store) { s.Observe(w) })
}

// Whoever follows the changes knows what the store holds, with pending commits, evicted
// caches and restarts in between.
func TestObserverKnowsWhatTheStoreHolds(t *testing.T) {
	for _, cache := range []int{0, 1 << 20} {
		onEngines(t, func(t *testing.T, c engineCase, e Engine) {
			cfg := testConfig()
			cfg.CacheBytes = cache
			w := newWitness(t)
			r := watched(t, cfg, e, w)
			rng := rand.New(rand.NewPCG(7, uint64(cache)))
			var done []<-chan Result
			for i := range 300 {
				key, size := fmt.Sprintf("key-%d", rng.IntN(20)), 10
				if rng.IntN(20) == 0 {
					size = 100 << 10 // a split object
				}
				apply := r.write(big(fmt.Sprint(i), size))
				if rng.IntN(4) == 0 {
					apply = func(Current) Next { return Remove() }
				}
				done = append(done, r.later(t, key, apply))
			}
			for _, d := range done {
				mustDo(t, <-d)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			for i := range 20 {
				key := fmt.Sprintf("key-%d", i)
				got, err := r.Read(partitionOf(key), 1, []byte(key), ModeBare)
				if err != nil {
					t.Fatal(err)
				}
				if want := w.held[key]; !got.Object.Context.Equal(want.Context) {
					t.Errorf("%s holds %s, the witness knows %s", key, got.Object.Context, want.Context)
				}
			}
		})
	}
}

// What is kept, refused, or removed where nothing is, is no change.
func TestObserverHearsOfNothingThatIsNotStored(t *testing.T) {
	m := NewMemory()
	m.SetLimits(Limits{Bytes: 8 << 20, Count: 1000, Value: 10 << 10})
	w := newWitness(t)
	r := watched(t, testConfig(), m, w)
	mustDo(t, r.overwrite("k", "v"))
	var seen Current
	mustDo(t, r.do("k", look(&seen)))
	mustDo(t, r.do("other", func(Current) Next { return Remove() }))
	if res := r.overwrite("k", big("x", 20<<10)); !errors.Is(res.Err, ErrTooBig) {
		t.Fatalf("a value above the limit: %v", res.Err)
	}
	res := r.do("k", func(c Current) Next { return Put(seen.Object.WithoutValues(), nil, nil) })
	if !errors.Is(res.Err, ErrIncomplete) {
		t.Fatalf("an object without values: %v", res.Err)
	}
	if n := w.count(); n != 1 {
		t.Errorf("the observer heard of %d changes, want 1", n)
	}
	mustDo(t, r.do("k", func(Current) Next { return Remove() }))
	if n := w.count(); n != 2 {
		t.Errorf("the observer heard of %d changes, want 2", n)
	}
}

// Settle waits for what was applied before it, and not for what comes after.
func TestWhatIsReadAfterSettleHoldsAllThatWasAppliedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewMemory())
		r := start(t, testConfig(), g)
		mustDo(t, r.overwrite("k", "old"))
		entered, release := g.hold()
		first := r.later(t, "k", r.write("new"))
		<-entered // and the next one waits behind it
		second := r.later(t, "k", r.write("newer"))
		synctest.Wait()
		settled := make(chan error, 2)
		if err := r.Settle(partitionOf("k"), func(err error) { settled <- err }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if len(settled) > 0 {
			t.Fatal("settled while the commit was under way")
		}
		release()
		if err := <-settled; err != nil {
			t.Fatal(err)
		}
		if !answered(first) || !answered(second) {
			t.Error("settled before those that came first were answered")
		}
		if got, _ := r.values("k"); !slices.Contains(got, "newer") {
			t.Errorf("after it %v was read", got)
		}
		time.Sleep(time.Minute)
		if len(settled) > 0 {
			t.Error("settled twice")
		}
	})
}

func TestSettleEndsWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewMemory())
		r := start(t, testConfig(), g)
		settled := make(chan error, 1)
		settle := func() error { return r.Settle(0, func(err error) { settled <- err }) }
		if err := settle(); err != nil {
			t.Fatal(err)
		}
		if err := <-settled; err != nil {
			t.Errorf("nothing to wait for: %v", err)
		}
		entered, release := g.hold()
		_ = r.later(t, "k", r.write("v"))
		<-entered
		if err := settle(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		failed := fmt.Errorf("%w: %w", ErrFailed, errors.New("the disk is gone"))
		r.failure.Store(&failed)
		release()
		if err := <-settled; !errors.Is(err, ErrFailed) {
			t.Errorf("of a store that failed: %v", err)
		}
		_ = r.stop()
		if err := settle(); err == nil {
			t.Error("a store that has stopped takes it")
		}
	})
}

func TestFoldGoesOnAfterAKey(t *testing.T) {
	r := start(t, testConfig(), NewMemory())
	const partition = 3
	var all []string
	for _, bucket := range []kv.BucketID{1, 2} {
		for n := range foldStep + 10 {
			key := fmt.Sprintf("%04d", n)
			done := make(chan Result, 1)
			err := r.Do(&Op{
				Partition: partition, Bucket: bucket, Key: []byte(key),
				Apply: r.write("v"), Done: func(res Result) { done <- res },
			})
			if err != nil {
				t.Fatal(err)
			}
			mustDo(t, <-done)
			all = append(all, fmt.Sprintf("%d/%s", bucket, key))
		}
	}
	after := func(bucket kv.BucketID, key string) (got []string) {
		err := r.FoldAfter(partition, bucket, []byte(key),
			func(bucket kv.BucketID, key []byte, _ Current) bool {
				got = append(got, fmt.Sprintf("%d/%s", bucket, key))
				return true
			})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, tt := range []struct {
		bucket kv.BucketID
		key    string
		from   int
	}{
		{0, "", 0}, {1, "", 0}, {1, "0000", 1}, {1, "00000", 1}, {1, "9", foldStep + 10},
		{2, "", foldStep + 10}, {2, "0008", foldStep + 19}, {3, "", len(all)},
	} {
		if got := after(tt.bucket, tt.key); !slices.Equal(got, all[tt.from:]) {
			t.Errorf("after %d/%s: %d keys, want %d", tt.bucket, tt.key, len(got), len(all)-tt.from)
		}
	}
}
