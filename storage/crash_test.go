// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// ledger knows what was tried and what was acknowledged, over all lives of a store.
type ledger struct {
	mu    sync.Mutex
	dots  uint64
	seen  map[vclock.Dot]vclock.Context // of every write that was tried
	acked map[string][]vclock.Dot       // by key
}

func newLedger() *ledger {
	return &ledger{
		seen: make(map[vclock.Dot]vclock.Context), acked: make(map[string][]vclock.Dot),
	}
}

// mint is an Apply that writes over what stands there, or beside it.
func (l *ledger) mint(c Current, over bool, minted *vclock.Dot) Next {
	if !over && !c.Full {
		return Load()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dots++
	d := vclock.Dot{Actor: 1<<48 | 9, Counter: l.dots}
	var seen vclock.Context
	if over {
		seen = c.Object.Context
	}
	value := fmt.Appendf(nil, "value of %d", d.Counter)
	if d.Counter%16 == 0 {
		value = append(value, make([]byte, splitSize)...) // in a record of its own
	}
	v := kv.Version{Dot: d, Kind: kv.KindValue, Value: value}.Sealed()
	object, err := c.Object.Put(v, seen)
	if err != nil {
		return Keep()
	}
	*minted = d
	l.seen[d] = seen
	return Put(object, nil, nil)
}

func (l *ledger) ack(key string, d vclock.Dot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[key] = append(l.acked[key], d)
}

// check reports acknowledged writes that are lost: of which the object knows nothing,
// or which are gone although no write that the object knows of has covered them.
func (l *ledger) check(t testing.TB, s *Store) {
	t.Helper()
	for key, dots := range l.acked {
		c, err := s.In(spaceOf(key)).Read(partitionOf(key), 1, []byte(key), ModeFull)
		if err != nil || c.State != StatePresent {
			t.Errorf("%s is %s, %v %v; %d writes of it were acknowledged",
				key, c.State, c.Err, err, len(dots))
			continue
		}
		for _, d := range dots {
			if _, there := c.Object.Find(d); !there && !l.covered(c.Object, d) {
				t.Errorf("%s: the acknowledged write %s is lost", key, d)
			}
		}
	}
}

func (l *ledger) covered(o kv.Object, d vclock.Dot) bool {
	if !o.Context.Contains(d) {
		return false
	}
	for _, v := range o.Versions {
		if l.seen[v.Dot].Contains(d) {
			return true
		}
	}
	return false
}

// spaceOf spreads the keys of a load over the spaces: what holds of one holds of all.
func spaceOf(key string) Space {
	switch key[len(key)-1] % 3 {
	case 0:
		return 0
	case 1:
		return HintsFor(0)
	default:
		return HintsFor(2)
	}
}

// load runs writers against a store until it stops or the time is over.
func (l *ledger) load(s *Store, seed uint64, last time.Duration) {
	const writers, keys = 8, 12
	var group sync.WaitGroup
	end := time.Now().Add(last)
	for w := range writers {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for time.Now().Before(end) {
				key := fmt.Sprintf("key-%d", rng.IntN(keys))
				over := rng.IntN(10) > 0
				var d vclock.Dot
				done := make(chan Result, 1)
				err := s.Do(&Op{
					Space: spaceOf(key), Partition: partitionOf(key), Bucket: 1, Key: []byte(key),
					Apply: func(c Current) Next { return l.mint(c, over, &d) },
					Done:  func(r Result) { done <- r },
				})
				if err != nil {
					return
				}
				r := <-done
				switch {
				case r.Outcome == OutcomeDurable && !d.IsZero():
					l.ack(key, d)
				case r.Outcome != OutcomeDurable:
					return
				}
			}
		})
	}
	group.Wait()
}

// TestNoAcknowledgedWriteIsLostInManyCrashes runs a load on the engine that forgets at
// a crash what was not synced, crashes it at any moment, and goes on with what is left.
func TestNoAcknowledgedWriteIsLostInManyCrashes(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { crashOften(t, seed) })
		})
	}
}

func crashOften(t *testing.T, seed uint64) {
	const lives = 30
	rng := rand.New(rand.NewPCG(seed, 77))
	l, m := newLedger(), NewMemory()
	for range lives {
		m.SetSyncTime(time.Duration(1+rng.IntN(1000)) * time.Microsecond)
		cfg := testConfig()
		cfg.CacheBytes = rng.IntN(3) << 10
		cfg.BatchOps = 1 + rng.IntN(8)
		cfg.TendEvery = 10 * time.Millisecond
		r := start(t, cfg, m)
		crashed := make(chan *Memory, 1)
		coin := rand.New(rand.NewPCG(seed, rng.Uint64()))
		time.AfterFunc(time.Duration(rng.IntN(15_000))*time.Microsecond, func() {
			crashed <- m.Crash(coin)
		})
		l.load(r.Store, rng.Uint64(), time.Second)
		if err := r.stop(); !errors.Is(err, ErrFailed) {
			t.Fatalf("the store ended with %v, want ErrFailed after the crash", err)
		}
		m = <-crashed
		again := start(t, cfg, m)
		l.check(t, again.Store)
		if err := again.stop(); err != nil {
			t.Fatalf("stop: %v", err)
		}
		if t.Failed() {
			return
		}
	}
	if len(l.acked) == 0 || l.dots < 500 {
		t.Fatalf("only %d writes: the test tests nothing", l.dots)
	}
}

// TestAFailedWriteOrSyncStopsTheStore injects an error into the n-th write or sync
// under load. The store must end with it, say "unknown" where that is true, and hold
// every acknowledged write after the crash that follows (fsyncgate, TESTING result 6).
func TestAFailedWriteOrSyncStopsTheStore(t *testing.T) {
	eio := errors.New("input/output error")
	inject := map[string]func(m *Memory, n int){
		"write": func(m *Memory, n int) { m.FailWrite(n, eio) },
		"sync":  func(m *Memory, n int) { m.FailSync(n, eio) },
	}
	for name, fail := range inject {
		for _, n := range []int{1, 2, 3, 10, 50} {
			t.Run(fmt.Sprintf("%s/n=%d", name, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l, m := newLedger(), NewMemory()
					m.SetSyncTime(time.Millisecond)
					fail(m, n)
					r := start(t, testConfig(), m)
					l.load(r.Store, uint64(n), time.Minute)
					checkStopped(t, r, eio)
					again := start(t, testConfig(), m.Crash(nil))
					l.check(t, again.Store)
				})
			})
		}
	}
}

func checkStopped(t *testing.T, r *rig, cause error) {
	t.Helper()
	res := r.overwrite("k", "late")
	if !errors.Is(res.Err, ErrFailed) || res.Outcome != OutcomeNone {
		t.Errorf("a write after the failure: %s, %v; want none, ErrFailed", res.Outcome, res.Err)
	}
	if _, err := r.Read(0, 1, []byte("k"), ModeFull); !errors.Is(err, ErrFailed) {
		t.Errorf("a read after the failure: %v, want ErrFailed", err)
	}
	if _, _, err := r.Scan(0, 1, nil, nil, 1, 1, ModeBare); !errors.Is(err, ErrFailed) {
		t.Errorf("a scan after the failure: %v, want ErrFailed", err)
	}
	if err := r.Visit(0, func(error) { t.Error("visited") }); !errors.Is(err, ErrFailed) {
		t.Errorf("a visit after the failure: %v, want ErrFailed", err)
	}
	if err := r.stop(); !errors.Is(err, ErrFailed) || !errors.Is(err, cause) {
		t.Errorf("Run ended with %v, want ErrFailed and %v", err, cause)
	}
}

// TestOutcomesOfAFailureAreTrue looks at one operation in each stage when the sync
// fails: in the commit, behind it in the pipe, and not applied yet (I6).
func TestOutcomesOfAFailureAreTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		g := newGate(m)
		cfg := testConfig()
		cfg.Shards = 1
		r := start(t, cfg, g)
		m.FailSync(1, errors.New("input/output error"))
		entered, release := g.hold()
		written := r.later(t, "a", r.write("x"))
		<-entered
		prepared := r.later(t, "b", r.write("x"))
		rests := r.later(t, "a", func(Current) Next { return Keep() })
		synctest.Wait()
		reached, goOn := make(chan struct{}), make(chan struct{})
		blocked := r.later(t, "c", func(Current) Next {
			close(reached)
			<-goOn // no product code may do this; it holds the shard
			return Keep()
		})
		<-reached
		waiting := r.later(t, "d", r.write("x"))
		release()
		synctest.Wait()
		close(goOn)
		for name, done := range map[string]<-chan Result{
			"in the commit": written, "in the pipe": prepared, "resting on the commit": rests,
		} {
			if res := <-done; res.Outcome != OutcomeUnknown || !errors.Is(res.Err, ErrFailed) {
				t.Errorf("%s: %s, %v; want unknown, ErrFailed", name, res.Outcome, res.Err)
			}
		}
		if res := <-blocked; res.Outcome != OutcomeDurable {
			t.Errorf("rests on nothing: %s, %v; want durable", res.Outcome, res.Err)
		}
		if res := <-waiting; res.Outcome != OutcomeNone || !errors.Is(res.Err, ErrFailed) {
			t.Errorf("not applied: %s, %v; want none, ErrFailed", res.Outcome, res.Err)
		}
	})
}

// TestAFailedReadIsUnreadableAndNothingElse is TRAPS C2: the n-th read fails, and
// whoever asked hears "unreadable", never "absent"; the store goes on.
func TestAFailedReadIsUnreadableAndNothingElse(t *testing.T) {
	eio := errors.New("input/output error")
	for n := 1; n <= 4; n++ {
		t.Run(fmt.Sprintf("n=%d", n), func(t *testing.T) {
			m := NewMemory()
			cfg := testConfig()
			cfg.CacheBytes = 0
			r := start(t, cfg, m)
			mustDo(t, r.overwrite("k", "v"))
			m.FailRead(n, eio)
			for i := 1; i <= 5; i++ {
				var c Current
				if i%2 == 0 {
					mustDo(t, r.do("k", look(&c)))
				} else {
					var err error
					if c, err = r.Read(partitionOf("k"), 1, []byte("k"), ModeFull); err != nil {
						t.Fatal(err)
					}
				}
				want := StatePresent
				if i == n {
					want = StateUnreadable
				}
				if c.State != want || (c.State == StateUnreadable) != errors.Is(c.Err, eio) {
					t.Errorf("read %d: %s, %v; want %s", i, c.State, c.Err, want)
				}
			}
			m.FailRead(1, eio)
			if _, _, err := r.Scan(partitionOf("k"), 1, nil, nil, 9, 1<<20, ModeFull); !errors.Is(err, eio) {
				t.Errorf("scan: %v, want the error: an empty page would say that there is nothing", err)
			}
		})
	}
}
