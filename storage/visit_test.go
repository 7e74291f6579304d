// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAVisitRunsBetweenTheOperationsOfItsPartition(t *testing.T) {
	r := start(t, testConfig(), NewMemory())
	const partition = 3
	state := 0 // owned by the shard of the partition
	done := make(chan Result, 100)
	for range 100 {
		err := r.Do(&Op{
			Partition: partition, Bucket: 1, Key: []byte("k"),
			Apply: func(Current) Next { state++; return Keep() },
			Done:  func(res Result) { done <- res },
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := make(chan int, 1)
	if err := r.Visit(partition, func(err error) {
		if err != nil {
			t.Error(err)
		}
		seen <- state
	}); err != nil {
		t.Fatal(err)
	}
	if n := <-seen; n != 100 {
		t.Errorf("the visit saw %d operations, want those before it", n)
	}
	for range 100 {
		mustDo(t, <-done)
	}
}

// TestAnOrderlyStopFinishesWhatWasLetIn stops a store with operations in every stage.
func TestAnOrderlyStopFinishesWhatWasLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		m.SetSyncTime(time.Second)
		cfg := testConfig()
		cfg.BatchOps = 3
		r := start(t, cfg, m)
		var done []<-chan Result
		for i := range 20 {
			done = append(done, r.later(t, string(rune('a'+i)), r.write("x")))
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		for _, d := range done {
			if !answered(d) {
				t.Fatal("the store stopped and left an operation without an answer")
			}
			mustDo(t, <-d)
		}
		if res := r.overwrite("k", "late"); !errors.Is(res.Err, ErrClosed) {
			t.Errorf("a write after the stop: %v, want ErrClosed", res.Err)
		}
	})
}

// TestAStoreThatNeverRanAnswersAtItsClose is I9 for a start that is cut off.
func TestAStoreThatNeverRanAnswersAtItsClose(t *testing.T) {
	s, err := Open(testConfig(), NewMemory(), zapTest(t))
	if err != nil {
		t.Fatal(err)
	}
	done, visited := make(chan Result, 1), make(chan error, 1)
	err = s.Do(&Op{
		Key:   []byte("k"),
		Apply: func(Current) Next { t.Error("applied"); return Keep() },
		Done:  func(res Result) { done <- res },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Visit(0, func(err error) { visited <- err }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if res := <-done; res.Outcome != OutcomeNone || !errors.Is(res.Err, ErrClosed) {
		t.Errorf("%s, %v; want none, ErrClosed", res.Outcome, res.Err)
	}
	if err := <-visited; !errors.Is(err, ErrClosed) {
		t.Errorf("visit: %v, want ErrClosed", err)
	}
}

// TestWhatIsDroppedIsAnsweredOnce is I9 in the moment between a store's failure and the
// closing of its queues: operations still come in while others are dropped.
func TestWhatIsDroppedIsAnsweredOnce(t *testing.T) {
	cfg := testConfig()
	cfg.Shards = 1
	r := start(t, cfg, NewMemory())
	calls := make(map[string]int) // owned by the shard
	ended := make(chan struct{})
	visit := func(name string, and func()) {
		err := r.Visit(0, func(error) {
			if calls[name]++; calls[name] == 1 && and != nil {
				and()
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
	visit("first", func() {
		for _, name := range []string{"a", "b", "c"} {
			visit(name, nil)
		}
		visit("d", func() { // the memory of these four is used again from here on
			failure := ErrFailed
			r.failure.Store(&failure)
			visit("e", func() {
				visit("f", func() {
					visit("h", nil)
					visit("i", func() { close(ended) })
				})
				visit("g", nil)
			})
		})
	})
	<-ended
	_ = r.stop()
	for _, name := range []string{"first", "a", "b", "c", "d", "e", "f", "g", "h", "i"} {
		if calls[name] != 1 {
			t.Errorf("%s was called %d times", name, calls[name])
		}
	}
}

func TestRunRunsOnce(t *testing.T) {
	r := start(t, testConfig(), NewMemory())
	mustDo(t, r.overwrite("k", "v"))
	if err := r.Run(context.Background()); err == nil {
		t.Error("Run ran twice")
	}
}

func TestConfigReportsAllItsFaults(t *testing.T) {
	err := Config{}.Validate()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) < 6 {
		t.Errorf("%v; want every fault", err)
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	small := NewMemory()
	small.SetLimits(Limits{Bytes: 512, Count: 100, Value: 100})
	if _, err := Open(DefaultConfig(), small, zapTest(t)); err == nil {
		t.Error("an engine that holds no object was opened")
	}
}
