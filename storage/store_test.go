// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// zapErrors keeps what fails on purpose out of the log of a test.
const zapErrors = zap.DPanicLevel

// rig is a running store with a counter that mints dots.
type rig struct {
	*Store
	t    testing.TB
	stop func() error

	mu   sync.Mutex
	last uint64 // guarded by mu
}

func zapTest(t testing.TB) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zapErrors))
}

func testConfig() Config {
	cfg := DefaultConfig()
	cfg.Shards = 2
	return cfg
}

// start runs a store on an engine until stop is called or the test ends.
func start(t testing.TB, cfg Config, e Engine) *rig {
	t.Helper()
	return startWith(t, cfg, e, func(*Store) {})
}

// startWith is start, and does something before the store runs.
func startWith(t testing.TB, cfg Config, e Engine, before func(*Store)) *rig {
	t.Helper()
	log := zap.NewNop()
	if _, bench := t.(*testing.B); !bench {
		log = zapTest(t)
	}
	s, err := Open(cfg, e, log)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	before(s)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	r := &rig{Store: s, t: t}
	r.stop = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		if closed := s.Close(); err == nil {
			err = closed
		}
		return err
	})
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// restart ends the store and runs another one on what is left, which issues later dots.
func (r *rig) restart(cfg Config, c engineCase, e Engine) *rig {
	r.t.Helper()
	if err := r.stop(); err != nil {
		r.t.Fatalf("stop: %v", err)
	}
	next := start(r.t, cfg, c.reopen(r.t, e))
	next.last = r.last
	return next
}

func (r *rig) dot() vclock.Dot {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	return vclock.Dot{Actor: 1<<48 | 7, Counter: r.last}
}

// version makes a version with a new dot.
func (r *rig) version(value string) kv.Version {
	return kv.Version{Dot: r.dot(), Kind: kv.KindValue, Value: []byte(value)}.Sealed()
}

// do runs an operation and waits for its end.
func (r *rig) do(key string, apply func(Current) Next) Result {
	done := make(chan Result, 1)
	op := &Op{
		Partition: partitionOf(key), Bucket: 1, Key: []byte(key),
		Apply: apply, Done: func(res Result) { done <- res },
	}
	if err := r.Do(op); err != nil {
		return Result{Outcome: OutcomeNone, Err: err}
	}
	return <-done
}

func partitionOf(key string) uint16 {
	sum := 0
	for _, c := range []byte(key) {
		sum = sum*31 + int(c)
	}
	return uint16(sum % 8)
}

// overwrite is a put by a writer that has seen everything.
func (r *rig) overwrite(key, value string) Result {
	return r.do(key, func(c Current) Next {
		object, err := c.Object.Put(r.version(value), c.Object.Context)
		if err != nil {
			r.t.Errorf("put %s: %v", key, err)
		}
		return Put(object, nil, nil)
	})
}

// blind is a put by a writer that has seen nothing: it leaves a sibling.
func (r *rig) blind(key, value string) Result {
	return r.do(key, func(c Current) Next {
		if !c.Full {
			return Load()
		}
		object, err := c.Object.Put(r.version(value), vclock.Context{})
		if err != nil {
			r.t.Errorf("put %s: %v", key, err)
		}
		return Put(object, nil, nil)
	})
}

// values reads a key whole.
func (r *rig) values(key string) (values []string, state State) {
	r.t.Helper()
	c, err := r.Read(partitionOf(key), 1, []byte(key), ModeFull)
	if err != nil {
		r.t.Errorf("read %s: %v", key, err)
	}
	for _, v := range c.Object.Versions {
		values = append(values, string(v.Value))
	}
	return values, c.State
}

func mustDo(t testing.TB, r Result) {
	t.Helper()
	if r.Outcome != OutcomeDurable || r.Err != nil {
		t.Fatalf("outcome %s, %v; want durable", r.Outcome, r.Err)
	}
}

func TestWhatWasAnsweredIsRead(t *testing.T) {
	r := start(t, testConfig(), NewMemory())
	for i := range 100 {
		key := fmt.Sprintf("key-%d", i%10)
		mustDo(t, r.overwrite(key, fmt.Sprint(i)))
		if got, state := r.values(key); state != StatePresent || len(got) != 1 || got[0] != fmt.Sprint(i) {
			t.Fatalf("read %q (%s), want %d", got, state, i)
		}
	}
	if _, state := r.values("never"); state != StateAbsent {
		t.Fatalf("a key that was never written is %s", state)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
