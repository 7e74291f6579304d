// SPDX-License-Identifier: Apache-2.0

package network

import (
	"container/heap"
	"sync"
	"time"
)

// scheduler does things at their time, in order. What is added at one time is done in the
// order in which it was added.
type scheduler struct {
	now  func() time.Duration
	wake chan struct{} // of size 1: somebody has to look again
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex // guards what follows; nothing waits under it
	tasks tasks
	next  uint64
}

type task struct {
	at time.Duration
	n  uint64
	do func()
}

type tasks []task

func (t tasks) Len() int { return len(t) }
func (t tasks) Less(i, j int) bool {
	return t[i].at < t[j].at || t[i].at == t[j].at && t[i].n < t[j].n
}
func (t tasks) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *tasks) Push(x any)   { *t = append(*t, x.(task)) }
func (t *tasks) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	(*t)[last] = task{}
	*t = (*t)[:last]
	return x
}

func newScheduler(now func() time.Duration) *scheduler {
	s := &scheduler{
		now: now, wake: make(chan struct{}, 1), stop: make(chan struct{}),
		done: make(chan struct{}),
	}
	go s.run()
	return s
}

// at has do called at a time, on the scheduler's goroutine. Who calls it bounds how much
// waits (package link). What waits at the end is not done.
func (s *scheduler) at(when time.Duration, do func()) {
	s.mu.Lock()
	heap.Push(&s.tasks, task{when, s.next, do})
	first := s.tasks[0].n == s.next
	s.next++
	s.mu.Unlock()
	if first {
		select {
		case s.wake <- struct{}{}:
		default: // it will look
		}
	}
}

// due takes the first task, if it is time for it; otherwise it says how long that is.
func (s *scheduler) due() (do func(), wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tasks) == 0 {
		return nil, time.Hour
	}
	if wait = s.tasks[0].at - s.now(); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&s.tasks).(task).do, 0
}

func (s *scheduler) run() {
	defer close(s.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		do, wait := s.due()
		if do != nil {
			do()
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.stop:
			return
		}
	}
}

// close ends the scheduler and waits for it.
func (s *scheduler) close() {
	close(s.stop)
	<-s.done
}
