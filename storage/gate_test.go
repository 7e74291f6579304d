// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"sync"
	"testing"
)

// gate is an engine whose commits, or the reads of one key, can be held.
type gate struct {
	Engine

	mu       sync.Mutex
	commits  chan struct{}     // guarded by mu: held until closed
	entered  chan struct{}     // guarded by mu: told when one is held
	afterGet map[string]func() // guarded by mu: runs between read and return, once
	reads    map[string]int    // guarded by mu
	count    int               // of commits; guarded by mu
}

func newGate(e Engine) *gate {
	return &gate{Engine: e, afterGet: map[string]func(){}, reads: map[string]int{}}
}

// hold lets commits wait. entered gets a token for each that does.
func (g *gate) hold() (entered <-chan struct{}, release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	held, tokens := make(chan struct{}), make(chan struct{}, 100)
	g.commits, g.entered = held, tokens
	return tokens, func() {
		g.mu.Lock()
		g.commits = nil
		g.mu.Unlock()
		close(held)
	}
}

func (g *gate) Commit(ts uint64, writes []Write) error {
	g.mu.Lock()
	held, entered := g.commits, g.entered
	g.count++
	g.mu.Unlock()
	if held != nil {
		entered <- struct{}{}
		<-held
	}
	return g.Engine.Commit(ts, writes)
}

// afterRead lets the next read of a key's record run fn after it has read and before
// it returns.
func (g *gate) afterRead(key string, fn func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.afterGet[string(recordKey(key))] = fn
}

func (g *gate) Get(key []byte, ts uint64) ([]byte, bool, error) {
	value, found, err := g.Engine.Get(key, ts)
	g.mu.Lock()
	fn := g.afterGet[string(key)]
	delete(g.afterGet, string(key))
	g.reads[string(key)]++
	g.mu.Unlock()
	if fn != nil {
		fn()
	}
	return value, found, err
}

func (g *gate) readsOf(key string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reads[string(recordKey(key))]
}

func (g *gate) commitCount() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count
}

// recordKey is where the object of a test's key stands.
func recordKey(key string) []byte { return placeOf(0, partitionOf(key), 1, []byte(key)).record }

// later runs an operation and returns where its result will be.
func (r *rig) later(t testing.TB, key string, apply func(Current) Next) <-chan Result {
	t.Helper()
	done := make(chan Result, 1)
	err := r.Do(&Op{
		Partition: partitionOf(key), Bucket: 1, Key: []byte(key),
		Apply: apply, Done: func(res Result) { done <- res },
	})
	if err != nil {
		t.Fatalf("do %s: %v", key, err)
	}
	return done
}

// write is an Apply that overwrites with one version.
func (r *rig) write(value string) func(Current) Next {
	v := r.version(value)
	return func(c Current) Next {
		object, err := c.Object.Put(v, c.Object.Context)
		if err != nil {
			r.t.Errorf("put: %v", err)
		}
		return Put(object, nil, nil)
	}
}

// look is an Apply that changes nothing and notes what it saw.
func look(into *Current) func(Current) Next {
	return func(c Current) Next { *into = c; return Keep() }
}

// answered reports whether a result is there, and leaves it there.
func answered(done <-chan Result) bool { return len(done) > 0 }
