// SPDX-License-Identifier: Apache-2.0

// Package schedule is the program that the self-test of the overlay runs: everything in
// a bubble that the stock runtime leaves to chance, written down in one trace.
package schedule

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/rand"
	randv2 "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/sim/overlay"
)

const (
	workers = 8
	rounds  = 60
	herd    = 100
)

// A trace is what happened, in the order in which it happened. It needs no lock: there
// is one P and nobody is preempted, and with the stock runtime all that a race could do
// is what the trace must show anyway.
type trace struct {
	lines bytes.Buffer
	mu    sync.Mutex // what lock fights for
}

func (t *trace) add(format string, args ...any) {
	fmt.Fprintf(&t.lines, "%d ", time.Now().UnixNano())
	fmt.Fprintf(&t.lines, format+"\n", args...)
}

// TestSchedule writes its trace to the file that DYNO_SIM_TRACE names.
func TestSchedule(t *testing.T) {
	name := os.Getenv("DYNO_SIM_TRACE")
	if name == "" {
		t.Fatal("DYNO_SIM_TRACE is not set: this program is run by the tests of sim/overlay")
	}
	stop := disturb()
	defer stop()
	tr := &trace{}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		if edits, ok := overlay.Running(); ok {
			tr.add("edits %s procs %d", edits, runtime.GOMAXPROCS(8))
		}
		var all sync.WaitGroup
		for _, part := range []func(*trace, int){draw, choose, lock, flock, wait, cancels} {
			for i := range workers {
				all.Go(func() { part(tr, i) })
			}
		}
		for i := range workers {
			all.Go(func() { store(tr, dir, i) })
		}
		if _, ok := overlay.Running(); ok {
			// With the stock runtime this stops the bubble for ever.
			hold(tr)
		}
		all.Wait()
	})
	if err := os.WriteFile(name, tr.lines.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// disturb runs goroutines outside of the bubble that wake up by the real clock.
func disturb() (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			tick := time.NewTicker(time.Duration(50+37*i) * time.Microsecond)
			defer tick.Stop()
			var kept []any // so that addresses in the bubble depend on real time
			for {
				select {
				case <-tick.C:
					ctx, cancel := context.WithCancel(context.Background())
					kept = append(kept, ctx, cancel, make([]byte, 16*(len(kept)%64)))
					runtime.Gosched()
				case <-done:
					return
				}
			}
		})
	}
	return func() { close(done); all.Wait() }
}

// draw uses every global source of random numbers, and the order of maps.
func draw(tr *trace, id int) {
	m := map[string]int{}
	for i := range rounds {
		m[fmt.Sprint(id, i)] = i
		b := make([]byte, 8)
		crand.Read(b)
		tr.add("draw %d %d %d %x", id, rand.Int63(), randv2.Uint64(), b)
		tr.add("hash %x", maphash.String(maphash.MakeSeed(), "x"))
		for k := range m {
			tr.add("first %s", k)
			break
		}
		var shared sync.Map
		for k := range m {
			shared.Store(k, id)
		}
		shared.Range(func(k, _ any) bool { tr.add("range %v", k); return false })
		time.Sleep(time.Duration(rand.Intn(3)) * time.Millisecond)
	}
}

// choose selects between channels that are all ready.
func choose(tr *trace, id int) {
	for range rounds {
		a, b, c := make(chan int, 1), make(chan int, 1), time.After(time.Millisecond)
		go func() { a <- 1; tr.add("sent a %d", id) }()
		go func() { b <- 1; tr.add("sent b %d", id) }()
		time.Sleep(time.Millisecond)
		for range 3 {
			select {
			case <-a:
				tr.add("a %d", id)
			case <-b:
				tr.add("b %d", id)
			case <-c:
				tr.add("c %d", id)
			}
		}
	}
}

// lock fights for one mutex whose holders yield for longer than the real millisecond after
// which the stock mutex becomes unfair.
func lock(tr *trace, id int) {
	for i := range rounds {
		tr.mu.Lock()
		tr.add("lock %d %d", id, i)
		spin()
		runtime.Gosched()
		tr.mu.Unlock()
		if i%7 == 0 {
			time.Sleep(time.Microsecond)
		}
	}
}

// spin takes about a real millisecond; the clock in a bubble stands still meanwhile.
func spin() {
	x := make([]byte, 64)
	for range 3_000 {
		sum := sha256.Sum256(x)
		copy(x, sum[:])
	}
}

// flock wakes many goroutines at one instant.
func flock(tr *trace, id int) {
	if id > 0 {
		return
	}
	for range rounds / 20 {
		var all sync.WaitGroup
		gate := make(chan struct{})
		for i := range herd {
			all.Go(func() {
				<-gate
				runtime.Gosched()
				tr.add("herd %d", i)
			})
		}
		time.Sleep(time.Millisecond)
		close(gate)
		all.Wait()
	}
}

// wait lets timers of one instant fire, and a ticker with them.
func wait(tr *trace, id int) {
	var all sync.WaitGroup
	for i := range rounds {
		all.Add(1)
		time.AfterFunc(time.Duration(i/10)*time.Millisecond, func() {
			tr.add("timer %d %d", id, i)
			all.Done()
		})
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range rounds / 10 {
		<-tick.C
		tr.add("tick %d", id)
	}
	all.Wait()
}

// cancels ends a context with many children, which it knows by their addresses.
func cancels(tr *trace, id int) {
	for range rounds / 10 {
		parent, cancel := context.WithCancel(context.Background())
		for i := range workers {
			child, stop := context.WithCancel(parent)
			defer stop()
			context.AfterFunc(child, func() { tr.add("cancelled %d %d", id, i) })
			time.Sleep(time.Microsecond)
		}
		cancel()
	}
}

// store makes system calls that last as long as the disk likes.
func store(tr *trace, dir string, id int) {
	f, err := os.Create(filepath.Join(dir, fmt.Sprint(id)))
	if err != nil {
		panic(err)
	}
	defer f.Close()
	for i := range rounds / 6 {
		if err := binary.Write(f, binary.BigEndian, uint64(i)); err != nil {
			panic(err)
		}
		tr.add("written %d %d", id, i)
		if err := f.Sync(); err != nil {
			panic(err)
		}
		tr.add("synced %d %d", id, i)
		time.Sleep(time.Millisecond)
	}
}

// hold keeps a mutex over a sleep while others want it.
func hold(tr *trace) {
	var mu sync.RWMutex
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			mu.RLock()
			tr.add("read %d", i)
			mu.RUnlock()
			mu.Lock()
			time.Sleep(time.Millisecond)
			tr.add("held %d", i)
			mu.Unlock()
		})
	}
	all.Wait()
}
