// SPDX-License-Identifier: Apache-2.0

package server

import (
	"sync"
	"sync/atomic"
)

// maxIdleWorkers is how many goroutines wait for the next request. More than this many
// requests at a time leave the machine's cores no idle moment anyway.
const maxIdleWorkers = 256

// job is one request that may wait.
type job interface{ run() }

// workers run jobs, each at once and on a goroutine of its own. A goroutine that has
// finished a job takes the next one: the stack that a request needs has to be grown,
// and copied each time, only once (it was a tenth of the time of a put, and more of a
// get).
type workers struct {
	handed  chan job // unbuffered: what is handed over has a goroutine that takes it
	idle    atomic.Int32
	ended   chan struct{} // closed by wait
	end     sync.Once
	running sync.WaitGroup
}

func newWorkers() *workers {
	return &workers{handed: make(chan job), ended: make(chan struct{})}
}

// start runs a job. It never waits.
func (w *workers) start(j job) {
	select {
	case w.handed <- j:
	default:
		w.running.Go(func() { w.work(j) })
	}
}

// work runs jobs until too many others are idle.
func (w *workers) work(j job) {
	for {
		j.run()
		if w.idle.Add(1) > maxIdleWorkers {
			w.idle.Add(-1)
			return
		}
		select {
		case j = <-w.handed:
			w.idle.Add(-1)
		case <-w.ended:
			return
		}
	}
}

// wait waits for the jobs to end. Those that are started later still run, each on a
// goroutine that ends with it.
func (w *workers) wait() {
	w.end.Do(func() { close(w.ended) })
	w.running.Wait()
}
