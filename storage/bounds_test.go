// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// holdShard lets the one shard of a store stand still until release is called.
func holdShard(t *testing.T, r *rig) (release func()) {
	t.Helper()
	reached, held := make(chan struct{}), make(chan struct{})
	if err := r.Visit(0, func(error) { close(reached); <-held }); err != nil {
		t.Fatal(err)
	}
	<-reached
	return func() { close(held) }
}

func TestAFullQueueRefusesAtOnceAndStoresNothing(t *testing.T) {
	for name, bound := range map[string]func(*Config){
		"operations": func(c *Config) { c.QueueOps = 10 },
		"bytes":      func(c *Config) { c.QueueBytes = 10 * (opOverhead + 1000 + 2) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.Shards = 1
				bound(&cfg)
				r := start(t, cfg, NewMemory())
				release := holdShard(t, r)
				var done []<-chan Result
				for {
					result := make(chan Result, 1)
					err := r.Do(&Op{
						Partition: 0, Bucket: 1, Key: []byte("k"), Bytes: 1000,
						Apply: r.write("x"), Done: func(res Result) { result <- res },
					})
					if err != nil {
						if !errors.Is(err, ErrOverloaded) {
							t.Fatalf("%v, want ErrOverloaded", err)
						}
						break
					}
					done = append(done, result)
				}
				if len(done) != 10 {
					t.Errorf("%d operations were let in, want 10", len(done))
				}
				if err := r.Visit(0, func(error) {}); name == "operations" && !errors.Is(err, ErrOverloaded) {
					t.Errorf("visit: %v, want ErrOverloaded", err)
				}
				release()
				for _, d := range done {
					<-d
				}
				if w := r.Stats().Waiting; w != 0 {
					t.Errorf("%d operations are still counted as waiting", w)
				}
				mustDo(t, r.overwrite("k", "room again"))
			})
		})
	}
}

func TestAnOperationLargerThanTheQueueIsLetInWhenItIsAlone(t *testing.T) {
	cfg := testConfig()
	cfg.QueueBytes = 1 << 10
	r := start(t, cfg, NewMemory())
	done := make(chan Result, 1)
	err := r.Do(&Op{
		Bucket: 1, Key: []byte("k"), Bytes: 1 << 20,
		Apply: r.write("x"), Done: func(res Result) { done <- res },
	})
	if err != nil {
		t.Fatal(err)
	}
	mustDo(t, <-done)
}

// TestWhatWasReadForWaitingOperationsIsBoundedToo: operations that bring little wait
// with large objects that were read for them.
func TestWhatWasReadForWaitingOperationsIsBoundedToo(t *testing.T) {
	cfg := testConfig()
	cfg.Shards, cfg.CacheBytes, cfg.QueueBytes = 1, 0, 1<<20
	r := start(t, cfg, NewMemory())
	const ops, size = 100, 60 << 10
	for i := range ops {
		mustDo(t, r.overwrite(fmt.Sprint(i), big("x", size)))
	}
	release := holdShard(t, r)
	seen := make([]Current, ops)
	var done []<-chan Result
	for i := range ops {
		done = append(done, r.later(t, fmt.Sprint(i), look(&seen[i])))
	}
	q, held := r.shards[0].queue, 0
	q.mu.Lock()
	for _, op := range q.waiting {
		held += len(op.turn.fetched.current.Encoded)
	}
	if held > cfg.QueueBytes {
		t.Errorf("%d bytes were read; the bound is %d", held, cfg.QueueBytes)
	}
	if held < cfg.QueueBytes/2 {
		t.Errorf("%d bytes were read; there is room for more", held)
	}
	q.mu.Unlock()
	release()
	for i, d := range done {
		mustDo(t, <-d)
		if !seen[i].Full || len(seen[i].Object.Versions[0].Value) != size {
			t.Errorf("operation %d saw %s, full %t", i, seen[i].State, seen[i].Full)
		}
	}
	if q.ops != 0 || q.bytes != 0 || q.held != 0 {
		t.Errorf("still counted: %d operations of %d bytes, %d read", q.ops, q.bytes, q.held)
	}
}

func TestAnExpiredOperationIsDroppedBeforeItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Shards = 1
		r := start(t, cfg, NewMemory())
		release := holdShard(t, r)
		done := make(chan Result, 2)
		var applied atomic.Int32
		op := func(last time.Duration) *Op {
			return &Op{
				Bucket: 1, Key: []byte("k"), Deadline: time.Now().Add(last),
				Apply: func(c Current) Next { applied.Add(1); return r.write("x")(c) },
				Done:  func(res Result) { done <- res },
			}
		}
		if err := r.Do(op(-time.Millisecond)); !errors.Is(err, ErrExpired) {
			t.Errorf("do after the deadline: %v, want ErrExpired", err)
		}
		if err := r.Do(op(time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := r.Do(op(time.Hour)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		release()
		if res := <-done; !errors.Is(res.Err, ErrExpired) || res.Outcome != OutcomeNone {
			t.Errorf("%s, %v; want none, ErrExpired", res.Outcome, res.Err)
		}
		mustDo(t, <-done)
		if n := applied.Load(); n != 1 {
			t.Errorf("%d operations were applied, want the one in time", n)
		}
	})
}

func TestTheShardsPauseWhileTooMuchIsPrepared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewMemory())
		cfg := testConfig()
		cfg.Shards, cfg.AheadBytes = 1, 10<<10
		r := start(t, cfg, g)
		entered, release := g.hold()
		first := r.later(t, "first", r.write("x"))
		<-entered
		var applied atomic.Int32
		var done []<-chan Result
		for i := range 100 {
			apply := r.write(big("x", 1000))
			done = append(done, r.later(t, fmt.Sprint(i), func(c Current) Next {
				applied.Add(1)
				return apply(c)
			}))
		}
		synctest.Wait()
		if n := applied.Load(); n > 12 {
			t.Errorf("%d operations of 1 kB were prepared, the bound is 10 kB", n)
		}
		release()
		mustDo(t, <-first)
		for _, d := range done {
			mustDo(t, <-d)
		}
	})
}

// TestWritesAreRefusedBeforeTheDiskIsFull walks the free space down and up again.
func TestWritesAreRefusedBeforeTheDiskIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Uint64
		free.Store(1000)
		cfg := testConfig()
		cfg.LowWater, cfg.HighWater = 100, 200
		cfg.FreeBytes = func() (uint64, error) { return free.Load(), nil }
		r := start(t, cfg, NewMemory())
		mustDo(t, r.overwrite("k", "v"))
		for _, step := range []struct {
			free    uint64
			refused bool
		}{
			{100, false}, {99, true}, {150, true}, {199, true}, {200, false}, {150, false}, {0, true},
		} {
			free.Store(step.free)
			time.Sleep(2 * cfg.TendEvery)
			res := r.overwrite("k", "v")
			if refused := errors.Is(res.Err, ErrDiskFull); refused != step.refused {
				t.Errorf("%d bytes free: %s, %v; refused should be %t",
					step.free, res.Outcome, res.Err, step.refused)
			}
			if got, state := r.values("k"); len(got) != 1 || state != StatePresent {
				t.Errorf("%d bytes free: reads do not go on: %q, %s", step.free, got, state)
			}
		}
	})
}

func TestOperationsThatWaitWhenTheDiskFillsAreRefusedUnapplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Uint64
		free.Store(1000)
		cfg := testConfig()
		cfg.Shards, cfg.LowWater, cfg.HighWater = 1, 100, 100
		cfg.FreeBytes = func() (uint64, error) { return free.Load(), nil }
		r := start(t, cfg, NewMemory())
		release := holdShard(t, r)
		done := r.later(t, "k", func(Current) Next { t.Error("applied"); return Keep() })
		free.Store(1)
		time.Sleep(2 * cfg.TendEvery)
		release()
		if res := <-done; !errors.Is(res.Err, ErrDiskFull) || res.Outcome != OutcomeNone {
			t.Errorf("%s, %v; want none, ErrDiskFull", res.Outcome, res.Err)
		}
	})
}

func TestAFullDiskIsNotOpened(t *testing.T) {
	cfg := testConfig()
	cfg.FreeBytes = func() (uint64, error) { return cfg.LowWater - 1, nil }
	if _, err := Open(cfg, NewMemory(), zapTest(t)); !errors.Is(err, ErrDiskFull) {
		t.Errorf("%v, want ErrDiskFull", err)
	}
	cfg.FreeBytes = func() (uint64, error) { return 0, errors.New("no such device") }
	if _, err := Open(cfg, NewMemory(), zapTest(t)); err == nil {
		t.Error("opened a disk whose free space can not be told")
	}
}

// TestABigCommitThatWouldFillTheDiskStopsTheStore is the reserve below the low water
// mark: an error instead of the SIGBUS by which an engine on a memory map dies.
func TestABigCommitThatWouldFillTheDiskStopsTheStore(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 30)
	cfg := testConfig()
	cfg.LowWater, cfg.HighWater = 1<<20, 1<<20
	cfg.FreeBytes = func() (uint64, error) { return free.Load(), nil }
	cfg.TendEvery = time.Hour
	r := start(t, cfg, NewMemory())
	object := kv.Object{}
	for i := range 3 {
		one, err := kv.Object{}.Put(kv.Version{
			Dot:  vclock.Dot{Actor: vclock.Actor(i+1)<<48 | 1, Counter: 1},
			Kind: kv.KindValue, Value: []byte(big("x", 512<<10)),
		}.Sealed(), vclock.Context{})
		if err != nil {
			t.Fatal(err)
		}
		object = kv.Merge(object, one)
	}
	free.Store(1 << 20)
	res := r.do("k", func(Current) Next { return Put(object, nil, nil) })
	if res.Outcome != OutcomeUnknown || !errors.Is(res.Err, ErrDiskFull) {
		t.Errorf("%s, %v; want unknown with ErrDiskFull", res.Outcome, res.Err)
	}
	if err := r.stop(); !errors.Is(err, ErrFailed) {
		t.Errorf("ended with %v, want ErrFailed", err)
	}
}

func TestJournalNotesComeBackInTheirOrder(t *testing.T) {
	onEngines(t, func(t *testing.T, c engineCase, e Engine) {
		cfg := testConfig()
		r := start(t, cfg, e)
		for i := range 50 {
			mustDo(t, r.noted(fmt.Sprintf("key-%d", i%7), uint64(i)))
		}
		mustDo(t, r.overwrite("k", "without a note"))
		r = r.restart(cfg, c, e)
		for i := 50; i < 60; i++ {
			mustDo(t, r.noted("k", uint64(i)))
		}
		notes := r.notes()
		if len(notes) != 60 {
			t.Fatalf("%d notes, want 60", len(notes))
		}
		for i, n := range notes {
			if n != uint64(i) {
				t.Fatalf("note %d is %d", i, n)
			}
		}
	})
}

// noted is overwrite with a note in the journal.
func (r *rig) noted(key string, hash uint64) Result {
	apply := r.write("x")
	return r.do(key, func(c Current) Next {
		next := apply(c)
		next.note = &wire.JournalEntry{KeyHash: hash}
		return next
	})
}

func (r *rig) notes() (hashes []uint64) {
	r.t.Helper()
	err := r.Journal(func(n wire.JournalEntry) error {
		hashes = append(hashes, n.KeyHash)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return hashes
}

func TestTheJournalForgetsWhatIsBeyondItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		cfg := testConfig()
		cfg.JournalNotes, cfg.JournalAge = 20, time.Minute
		r := start(t, cfg, m)
		for i := range 100 {
			mustDo(t, r.noted("k", uint64(i)))
		}
		notes := r.notes()
		if len(notes) != 20 || notes[0] != 80 {
			t.Errorf("%d notes from %d on; want the newest 20", len(notes), notes[0])
		}
		time.Sleep(2 * time.Minute)
		for i := range 10 { // also commits without notes clean up
			mustDo(t, r.overwrite("k", fmt.Sprint(i)))
		}
		if notes = r.notes(); len(notes) != 1 || notes[0] != 99 {
			t.Errorf("notes %d; after their age only the newest record stays", notes)
		}
		count := 0
		for _, line := range list(t, m, m.MaxVersion(), "j", "") {
			if strings.HasPrefix(line, "j") {
				count++
			}
		}
		if count != 1 {
			t.Errorf("%d records of the journal are stored, want 1", count)
		}
	})
}

func TestADamagedJournalRecordCostsOnlyItsOwnNotes(t *testing.T) {
	m := NewMemory()
	r := start(t, testConfig(), m)
	for i := range 3 {
		mustDo(t, r.noted("k", uint64(i)))
	}
	m.Damage(wire.AppendJournalKey(nil, 2), func(b []byte) []byte { return b[:3] })
	if got := r.notes(); len(got) != 2 || got[0] != 0 || got[1] != 2 {
		t.Errorf("notes %d, want 0 and 2", got)
	}
	r = r.restart(testConfig(), engineCases()[0], m)
	mustDo(t, r.noted("k", 3))
	if got := r.notes(); len(got) != 3 || got[2] != 3 {
		t.Errorf("after a restart notes are %d, want 0, 2, 3", got)
	}
	stop := errors.New("enough")
	if err := r.Journal(func(wire.JournalEntry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v, want the error of the function", err)
	}
}
