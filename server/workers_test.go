// SPDX-License-Identifier: Apache-2.0

package server

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// jobFunc is a function as a job.
type jobFunc func()

func (f jobFunc) run() { f() }

func TestAJobMayWaitForAnotherThatItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkers()
		var deep func(left int) jobFunc
		ran := 0
		deep = func(left int) jobFunc {
			return func() {
				ran++
				if left == 0 {
					return
				}
				inner := make(chan struct{})
				next := deep(left - 1)
				w.start(jobFunc(func() { next(); close(inner) }))
				<-inner
			}
		}
		for range 3 { // on new goroutines, and then on those that were kept
			w.start(deep(2 * maxIdleWorkers))
			synctest.Wait()
		}
		w.wait()
		if want := 3 * (2*maxIdleWorkers + 1); ran != want {
			t.Errorf("%d jobs ran, want %d", ran, want)
		}
	})
}

func TestIdleGoroutinesAreKeptUpToABoundAndEndWithWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails where a goroutine is left at its end
		w := newWorkers()
		hold := make(chan struct{})
		for range 2 * maxIdleWorkers {
			w.start(jobFunc(func() { <-hold }))
		}
		synctest.Wait()
		close(hold)
		synctest.Wait()
		if got := w.idle.Load(); got != maxIdleWorkers {
			t.Errorf("%d goroutines are idle, want %d", got, maxIdleWorkers)
		}
		w.wait()
		late := make(chan struct{})
		w.start(jobFunc(func() { close(late) }))
		<-late
		w.wait() // may be called again
	})
}

func TestNoJobIsLostAmongManyStarters(t *testing.T) {
	w := newWorkers()
	var ran atomic.Int64
	var starters sync.WaitGroup
	const each = 5_000
	for range 8 {
		starters.Go(func() {
			for range each {
				w.start(jobFunc(func() { ran.Add(1) }))
			}
		})
	}
	starters.Wait()
	w.wait()
	if got := ran.Load(); got != 8*each {
		t.Errorf("%d jobs ran, want %d", got, 8*each)
	}
}
