// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"testing"
	"testing/synctest"
)

// TestAnswersWaitForTheCommitThatTheyRestOn is I1: while a commit is held, neither the
// write nor an operation that saw it and changed nothing is answered.
func TestAnswersWaitForTheCommitThatTheyRestOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewMemory())
		r := start(t, testConfig(), g)
		mustDo(t, r.overwrite("k", "old"))
		entered, release := g.hold()
		write := r.later(t, "k", r.write("new"))
		<-entered
		var seen, other Current
		keep := r.later(t, "k", look(&seen))
		elsewhere := r.later(t, "other", look(&other))
		synctest.Wait()
		if answered(write) {
			t.Error("a write was answered before its commit")
		}
		if answered(keep) {
			t.Error("an operation was answered before the commit that it rests on")
		}
		if !answered(elsewhere) {
			t.Error("an operation that rests on nothing waits for somebody else's commit")
		}
		if len(seen.Object.Versions) != 1 || string(seen.Object.Versions[0].Value) != "new" {
			t.Errorf("the operation saw %v; the overlay has the new value", seen.Object)
		}
		release()
		mustDo(t, <-write)
		mustDo(t, <-keep)
		if n := g.commitCount(); n != 2 {
			t.Errorf("%d commits; an operation that changes nothing needs none of its own", n)
		}
	})
}

// TestAnAnswerAfterALoadWaitsToo is I1 for an Apply that asked for
// the values first.
func TestAnAnswerAfterALoadWaitsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewMemory())
		r := start(t, testConfig(), g)
		mustDo(t, r.overwrite("k", "old"))
		entered, release := g.hold()
		r.later(t, "k", r.write("new"))
		<-entered
		keep := r.later(t, "k", func(Current) Next { return Load() })
		synctest.Wait()
		if answered(keep) {
			t.Error("answered before the commit that it rests on")
		}
		release()
		mustDo(t, <-keep)
	})
}

// TestReadsNeverWaitForACommit is I4.
func TestReadsNeverWaitForACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewMemory())
		r := start(t, testConfig(), g)
		mustDo(t, r.overwrite("k", "old"))
		entered, release := g.hold()
		write := r.later(t, "k", r.write("new"))
		fresh := r.later(t, "fresh", r.write("new"))
		<-entered
		for _, mode := range []Mode{ModeFull, ModeBare} {
			c, err := r.Read(partitionOf("k"), 1, []byte("k"), mode)
			if err != nil || len(c.Object.Versions) != 1 || c.Object.Versions[0].Dot.Counter != 1 {
				t.Errorf("mode %d: %v, %v; want the durable object", mode, c.Object, err)
			}
			c, err = r.Read(partitionOf("fresh"), 1, []byte("fresh"), mode)
			if err != nil || c.State != StateAbsent {
				t.Errorf("mode %d: %s, %v; want absent, nothing of it is durable", mode, c.State, err)
			}
		}
		entries, more, err := r.Scan(partitionOf("k"), 1, nil, nil, 10, 1<<20, ModeFull)
		if err != nil || more || len(entries) != 1 || string(entries[0].Object.Versions[0].Value) != "old" {
			t.Errorf("scan: %v, %t, %v; want the durable object", entries, more, err)
		}
		release()
		mustDo(t, <-write)
		mustDo(t, <-fresh)
		if got, _ := r.values("k"); len(got) != 1 || got[0] != "new" {
			t.Errorf("after the answer k is %q, want new (I3)", got)
		}
	})
}

// TestAnObjectThatWasFetchedTooEarlyIsReadAgain is I2. The fetch of an operation is
// held after it has read; the key is then written, committed and dropped from the
// cache. The operation must see the write.
func TestAnObjectThatWasFetchedTooEarlyIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewMemory())
		cfg := testConfig()
		cfg.CacheBytes = 0 // what is durable is dropped at once
		r := start(t, cfg, g)
		mustDo(t, r.overwrite("k", "first"))
		held := make(chan struct{})
		g.afterRead("k", func() { <-held })
		var seen Current
		late := make(chan Result, 1)
		go func() {
			late <- r.do("k", func(c Current) Next {
				if !c.Full {
					return Load()
				}
				return look(&seen)(c)
			})
		}()
		synctest.Wait() // the late operation holds "first", which is about to be old
		mustDo(t, r.overwrite("k", "second"))
		close(held)
		mustDo(t, <-late)
		if len(seen.Object.Versions) != 1 || string(seen.Object.Versions[0].Value) != "second" {
			t.Errorf("the operation saw %v, want second", seen.Object)
		}
	})
}

// TestALateReadDoesNotTeachTheCacheAnOldState is I2 for readers, whose bare reads fill
// the version cache: one is held while its key is written and dropped from the cache.
func TestALateReadDoesNotTeachTheCacheAnOldState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewMemory())
		cfg := testConfig()
		cfg.Shards, cfg.CacheBytes = 1, 1000 // two objects or three
		r := start(t, cfg, g)
		mustDo(t, r.overwrite("k", "first"))
		drop := func() {
			for i := range 4 {
				mustDo(t, r.overwrite(fmt.Sprint(i), "x"))
			}
		}
		drop()
		held, read := make(chan struct{}), make(chan struct{})
		g.afterRead("k", func() { <-held })
		go func() {
			defer close(read)
			if _, err := r.Read(partitionOf("k"), 1, []byte("k"), ModeBare); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		mustDo(t, r.blind("k", "second"))
		drop()
		close(held)
		<-read
		var seen Current
		mustDo(t, r.do("k", look(&seen)))
		if len(seen.Object.Versions) != 2 {
			t.Errorf("the operation saw %v, want both versions", seen.Object)
		}
	})
}

// TestAnObjectThatWasFetchedInTimeIsNotReadAgain is the other side of I2.
func TestAnObjectThatWasFetchedInTimeIsNotReadAgain(t *testing.T) {
	g := newGate(NewMemory())
	cfg := testConfig()
	cfg.CacheBytes = 0
	r := start(t, cfg, g)
	mustDo(t, r.overwrite("k", "first"))
	before := g.readsOf("k")
	var seen Current
	mustDo(t, r.do("k", look(&seen)))
	if n := g.readsOf("k") - before; n != 1 || !seen.Full {
		t.Errorf("%d reads, full %t; want one read with the value", n, seen.Full)
	}
}

func TestTheVersionCacheSparesTheRead(t *testing.T) {
	g := newGate(NewMemory())
	r := start(t, testConfig(), g)
	mustDo(t, r.overwrite("k", "first"))
	before := g.readsOf("k")
	mustDo(t, r.overwrite("k", "second"))
	c, err := r.Read(partitionOf("k"), 1, []byte("k"), ModeBare)
	if err != nil || len(c.Object.Versions) != 1 || c.Object.Versions[0].Size != 6 {
		t.Errorf("bare read: %v, %v", c.Object, err)
	}
	if c.Full || c.Object.HasValues() {
		t.Error("the cache keeps values")
	}
	if n := g.readsOf("k") - before; n != 0 {
		t.Errorf("%d reads of the engine; the cache knows the versions", n)
	}
	var seen Current
	mustDo(t, r.do("k", func(c Current) Next {
		if !c.Full {
			return Load()
		}
		return look(&seen)(c)
	}))
	if got := g.readsOf("k") - before; got != 1 || string(seen.Object.Versions[0].Value) != "second" {
		t.Errorf("loaded %v with %d reads, want second with one", seen.Object, got)
	}
}

// TestOperationsOfOneKeyFollowOneAnother is I8: with 64 writers of one key that each
// add a sibling, nothing is lost, whatever batches they share.
func TestOperationsOfOneKeyFollowOneAnother(t *testing.T) {
	for _, cache := range []int{0, 1 << 20} {
		t.Run(fmt.Sprintf("cache=%d", cache), func(t *testing.T) {
			m := NewMemory()
			cfg := testConfig()
			cfg.CacheBytes, cfg.BatchOps = cache, 7
			r := start(t, cfg, m)
			const writers = 64
			done := make(chan Result, writers)
			for i := range writers {
				go func() { done <- r.blind("k", fmt.Sprintf("%03d", i)) }()
			}
			for range writers {
				mustDo(t, <-done)
			}
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			r = start(t, cfg, m.Crash(nil))
			values, _ := r.values("k")
			if len(values) != writers {
				t.Errorf("%d of %d siblings are there", len(values), writers)
			}
		})
	}
}
