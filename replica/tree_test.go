// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func (l *life) shape(p uint16) antientropy.Shape {
	return antientropy.ShapeOf(l.ring.Load().HashSeed(), partitions, p)
}

// stored is the tree of what the store holds, built while nothing else happens: what a
// replica's tree has to be.
func (l *life) stored(p uint16) *antientropy.Tree {
	l.t.Helper()
	shape := l.shape(p)
	tree := antientropy.New(shape)
	err := l.store.Fold(p, func(bucket kv.BucketID, key []byte, c storage.Current) bool {
		entry := antientropy.Damaged(shape.Seed, self, bucket, key)
		if c.State == storage.StatePresent {
			entry = antientropy.Of(shape.Seed, bucket, key, &c.Object)
		}
		tree.Change(shape.Leaf(ring.Hash(shape.Seed, bucket, key)), antientropy.Entry{}, entry)
		return true
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return tree
}

// checkTree compares the tree of a partition with what is stored.
func (l *life) checkTree(p uint16) {
	l.t.Helper()
	tree, err := l.Tree(context.Background(), p)
	if err != nil {
		l.t.Errorf("tree of partition %d: %v", p, err)
		return
	}
	if stored := l.stored(p); !tree.Equal(stored) {
		l.t.Errorf("partition %d: the tree is %+v, what is stored is %+v",
			p, tree.Root(), stored.Root())
	}
	if root, err := l.Root(context.Background(), p); err != nil || root != tree.Root() {
		l.t.Errorf("partition %d: root %+v, %v; the tree has %+v", p, root, err, tree.Root())
	}
}

func (l *life) checkTrees() {
	l.t.Helper()
	for p := range uint16(partitions) {
		l.checkTree(p)
	}
}

// rebuild builds all trees.
func (l *life) rebuild() {
	l.t.Helper()
	for p := range uint16(partitions) {
		if err := l.RebuildTree(context.Background(), p); err != nil {
			l.t.Fatalf("rebuild: %v", err)
		}
	}
}

// remove takes a key away, as a purge does.
func (l *life) remove(key string) <-chan error {
	l.t.Helper()
	t, done := l.target(key), make(chan error, 1)
	err := l.store.Do(&storage.Op{
		Partition: t.Partition, Bucket: t.Bucket, Key: t.Key,
		Apply: func(storage.Current) storage.Next { return storage.Remove() },
		Done:  func(res storage.Result) { done <- res.Err },
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return done
}

// load writes random keys without waiting for the answers.
type load struct {
	*life
	rng     *rand.Rand
	keys    int
	counter uint64 // of another owner
	open    []func()
}

func (w *load) key() string { return fmt.Sprintf("key-%d", w.rng.IntN(w.keys)) }

func (w *load) step() {
	key := w.key()
	value := fmt.Sprint(w.rng.Uint64())
	if w.rng.IntN(20) == 0 {
		value = strings.Repeat("x", 70<<10) // with records of its own
	}
	switch n := w.rng.IntN(10); {
	case n < 5:
		done := make(chan MintReply, 1)
		req := w.putting(key, value, vclock.Context{})
		req.LWW = w.rng.IntN(2) == 0 // covers what is there
		req.Done = func(m MintReply) { done <- m }
		w.Mint(req)
		w.open = append(w.open, func() { <-done })
	case n < 8:
		w.counter++
		o := foreign(w.counter, value, kv.Object{}, vclock.Context{})
		done := make(chan wire.StoreReply, 1)
		w.Store(StoreRequest{
			StoreRequest: w.copying(key, o), Done: func(r wire.StoreReply) { done <- r },
		})
		w.open = append(w.open, func() { <-done })
	case n < 9:
		done := w.remove(key)
		w.open = append(w.open, func() { <-done })
	default:
		done := w.keep(storage.HintsFor(uint8(w.rng.IntN(3))), key)
		w.open = append(w.open, func() { <-done })
	}
}

// keep stores something of a key in another space, as hints are kept.
func (w *load) keep(space storage.Space, key string) <-chan error {
	w.t.Helper()
	w.counter++
	o := foreign(w.counter, "hint", kv.Object{}, vclock.Context{})
	t, done := w.target(key), make(chan error, 1)
	err := w.store.Do(&storage.Op{
		Space: space, Partition: t.Partition, Bucket: t.Bucket, Key: t.Key,
		Apply: func(storage.Current) storage.Next { return storage.Put(o, nil, nil) },
		Done:  func(res storage.Result) { done <- res.Err },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

// settle waits for all answers.
func (w *load) settle() {
	for _, wait := range w.open {
		wait()
	}
	w.open = nil
	synctest.Wait()
}

func newLoad(l *life, seed uint64, keys int) *load {
	return &load{life: l, rng: rand.New(rand.NewPCG(seed, 5)), keys: keys}
}

// seeds is how many random schedules a test runs.
func seeds(most uint64) uint64 {
	if testing.Short() {
		return most / 5
	}
	return most
}

// Whatever is done to a store that has its trees, in whatever order and with whatever
// pending: they are those of what is stored.
func TestTrapM1TreesFollowEveryChange(t *testing.T) {
	for seed := range seeds(20) {
		bubble(t, func(t *testing.T) {
			l := begin(t, setup{verdict: kv.VerdictConfirmed, shards: 1 + int(seed%3)})
			l.rebuild()
			w := newLoad(l, seed, 40)
			l.engine.SetSyncTime(time.Duration(seed%3) * time.Millisecond)
			for range 10 {
				for range 30 {
					w.step()
				}
				w.settle()
				l.checkTrees()
			}
			if s := l.TreeStats(); s.Known != partitions || s.Mismatches != 0 {
				t.Errorf("%+v", s)
			}
			l.rebuild()
			if s := l.TreeStats(); s.Mismatches != 0 {
				t.Errorf("a rebuild came to something else: %+v", s)
			}
		})
	}
}

// A put that is cut off, refused or answered with an error at any failpoint leaves the
// tree of what is stored; so does a crash there, and the rebuild after it.
func TestTrapM1CrashAtEveryPointOfAPut(t *testing.T) {
	points := append(storage.Points(), Points()...)
	for _, point := range points {
		for _, end := range []string{"error", "crash"} {
			t.Run(point.Name+"/"+end, func(t *testing.T) {
				bubble(t, func(t *testing.T) { putThrough(t, point, end == "crash") })
			})
		}
	}
}

func putThrough(t *testing.T, point fail.Point, crash bool) {
	set := fail.NewSet()
	l := begin(t, setup{verdict: kv.VerdictConfirmed, points: set, storePoints: set})
	l.rebuild()
	held := l.put("k", "first", vclock.Context{})
	l.copy("k", foreign(1, "copied", kv.Object{}, vclock.Context{}))
	l.checkTrees()
	reached := make(chan struct{})
	release := make(chan struct{})
	plan := fail.Plan{Times: 1}
	if crash {
		plan.Hook = func() error { close(reached); <-release; return errBroken }
	} else {
		plan.Err = errBroken
	}
	set.Arm(point.Name, plan)
	var open []<-chan struct{}
	later := func(do func(done func())) {
		ended := make(chan struct{})
		go do(func() { close(ended) })
		open = append(open, ended)
	}
	later(func(done func()) {
		req := l.putting("k", "second", held.Object.Context)
		req.Request = requestID(1)
		req.Done = func(MintReply) { done() }
		l.Mint(req)
	})
	later(func(done func()) {
		o := foreign(2, "later", kv.Object{}, vclock.Context{})
		l.Store(StoreRequest{
			StoreRequest: l.copying("k", o), Done: func(wire.StoreReply) { done() },
		})
	})
	later(func(done func()) { l.read("other"); done() })
	if !crash {
		for _, ended := range open {
			<-ended
		}
		synctest.Wait()
		if err := l.store.Visit(0, func(error) {}); err == nil { // it has not failed
			l.checkTrees()
		}
		return
	}
	synctest.Wait()
	select {
	case <-reached:
	default: // a repeat, which nothing here is
	}
	next := l.engine.Crash(rand.New(rand.NewPCG(1, 2)))
	close(release)
	for _, ended := range open {
		<-ended
	}
	_ = l.end()
	again := begin(t, setup{
		engine: next, verdict: kv.VerdictConfirmed, past: Past{Stop: StopPowerLoss},
	})
	if _, err := again.Tree(context.Background(), 0); !errors.Is(err, ErrTreeUnknown) {
		t.Errorf("a tree was there before it was built: %v", err)
	}
	again.rebuild()
	again.checkTrees()
}

// Writes go on while a tree is built, some of them still pending when it begins: the tree
// is that of a rebuild while nothing happens.
func TestTrapM6RebuildUnderLoad(t *testing.T) {
	overtaken := 0
	for seed := range seeds(60) {
		bubble(t, func(t *testing.T) {
			l := begin(t, setup{verdict: kv.VerdictConfirmed, shards: 1 + int(seed%2)})
			w := newLoad(l, seed, 60)
			l.treePage = 1 + w.rng.IntN(6)
			for range 100 {
				w.step()
			}
			if w.rng.IntN(2) == 0 {
				w.settle()
			}
			l.engine.SetSyncTime(time.Duration(w.rng.IntN(8)) * time.Millisecond)
			for range 20 {
				w.step() // pending when the builds begin
			}
			ended := make(chan error, partitions)
			for p := range uint16(partitions) {
				go func() { ended <- l.RebuildTree(context.Background(), p) }()
			}
			for len(ended) < partitions {
				w.step()
				overtaken++
				time.Sleep(time.Duration(w.rng.IntN(1500)) * time.Microsecond)
			}
			for range partitions {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			w.settle()
			l.checkTrees()
		})
	}
	if overtaken < 100 {
		t.Errorf("only %d writes came while trees were built", overtaken)
	}
}

// A build that is overtaken by another one, cut off, or whose log is full ends, and leaves
// nothing that is not whole.
func TestBuildThatCanNotEndLeavesNoTree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.treePage = 1
		w := newLoad(l, 1, 60)
		for range 100 {
			w.step()
		}
		w.settle()
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- l.RebuildTree(context.Background(), 0) }()
		time.Sleep(3 * time.Millisecond)
		if _, err := l.Root(context.Background(), 0); !errors.Is(err, ErrTreeUnknown) {
			t.Errorf("while it is built: %v, want ErrTreeUnknown", err)
		}
		go func() { second <- l.RebuildTree(context.Background(), 0) }()
		if err := <-first; !errors.Is(err, errSpoiled) {
			t.Errorf("the first of two builds: %v", err)
		}
		if err := <-second; err != nil {
			t.Errorf("the second of two builds: %v", err)
		}
		l.checkTree(0)

		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Millisecond)
		defer cancel()
		if err := l.RebuildTree(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a build that was cut off: %v", err)
		}
		synctest.Wait()
		if l.parts[1].tree.build != nil || l.parts[1].tree.whole != nil {
			t.Error("a build that was cut off left something")
		}
	})
}

func TestLogOfABuildIsBounded(t *testing.T) {
	b := build{log: map[string]logged{}, cursor: "b"}
	b.sum.tree = antientropy.New(antientropy.ShapeOf(1, partitions, 0))
	c := treeChange{place: []byte("c"), after: antientropy.Entry{Held: antientropy.HeldObject, Hash: 1}}
	b.logBytes = maxLogBytes - len(c.place) - logOverhead
	for range 2 { // it is counted once
		if !b.apply(&c) || b.logBytes != maxLogBytes {
			t.Errorf("%d bytes are in the log, want %d", b.logBytes, maxLogBytes)
		}
	}
	c.place = []byte("d")
	if b.apply(&c) {
		t.Error("the log grows above its bound")
	}
	if err := b.take(nil, "c", false); err != nil || b.logBytes >= maxLogBytes || b.cursor != "c" {
		t.Errorf("what was taken over stays in the log: %d bytes, %v", b.logBytes, err)
	}
}
