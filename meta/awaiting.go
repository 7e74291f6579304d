// SPDX-License-Identifier: Apache-2.0

package meta

import "container/heap"

// awaiting holds who waits for an index to be applied, the lowest index first: an entry
// wakes those that it serves and touches no other.
type awaiting []*awaited

// awaited is one wait. done is closed when its index is applied.
type awaited struct {
	index uint64
	done  chan struct{}
	place int // in the heap; -1: no more
}

// add enters a wait.
func (w *awaiting) add(index uint64) *awaited {
	a := &awaited{index: index, done: make(chan struct{})}
	heap.Push(w, a)
	return a
}

// remove ends a wait that may have ended already.
func (w *awaiting) remove(a *awaited) {
	if a.place >= 0 {
		heap.Remove(w, a.place)
	}
}

// reached ends the waits for indexes up to this one.
func (w *awaiting) reached(index uint64) {
	for len(*w) > 0 && (*w)[0].index <= index {
		close(heap.Pop(w).(*awaited).done)
	}
}

// Len implements heap.Interface, like the methods below.
func (w awaiting) Len() int           { return len(w) }
func (w awaiting) Less(i, j int) bool { return w[i].index < w[j].index }
func (w awaiting) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].place, w[j].place = i, j
}

// Push is for package heap.
func (w *awaiting) Push(x any) {
	a := x.(*awaited)
	a.place = len(*w)
	*w = append(*w, a)
}

// Pop is for package heap.
func (w *awaiting) Pop() any {
	last := len(*w) - 1
	a := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	a.place = -1
	return a
}
