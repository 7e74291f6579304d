// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"container/heap"
	"time"
)

// repeatAfter is how long the end of what was handed out may take to be noted. A proposal
// is applied within a second or two, or the leader loses its office.
const repeatAfter = 5 * time.Second

// deadline is one entry of a deadlines.
type deadline[K comparable] struct {
	key  K
	span time.Duration
	name string
	// due is when it is over.
	due time.Time
	// sorted is its place in the heap. A renewal moves due alone, and the heap learns of it
	// when this time comes: once per TTL instead of once per renewal.
	// Invariant: sorted is not after due.
	sorted time.Time
	pos    int // in the heap
	handed bool
}

// deadlines are a min-heap of what is due when.
type deadlines[K comparable] struct {
	entries map[K]*deadline[K]
	queue   deadlineHeap[K]
}

func newDeadlines[K comparable]() deadlines[K] {
	return deadlines[K]{entries: make(map[K]*deadline[K])}
}

// set begins a deadline, anew where there is one.
func (d *deadlines[K]) set(key K, name string, span time.Duration, now time.Time) {
	d.forget(key)
	due := now.Add(span)
	e := &deadline[K]{key: key, span: span, name: name, due: due, sorted: due}
	d.entries[key] = e
	heap.Push(&d.queue, e)
}

func (d *deadlines[K]) forget(key K) {
	if e := d.entries[key]; e != nil {
		heap.Remove(&d.queue, e.pos)
		delete(d.entries, key)
	}
}

// take hands out the next entry that is due, and lays it by for repeatAfter; nil where
// nothing is due.
func (d *deadlines[K]) take(now time.Time) *deadline[K] {
	d.sort(now)
	if len(d.queue) == 0 || d.queue[0].sorted.After(now) {
		return nil
	}
	e := d.queue[0]
	e.handed = true
	e.due = now.Add(repeatAfter)
	e.sorted = e.due
	heap.Fix(&d.queue, 0)
	return e
}

// sort brings to their places the entries at the front that a renewal has moved.
func (d *deadlines[K]) sort(now time.Time) {
	for len(d.queue) > 0 {
		e := d.queue[0]
		if e.sorted.After(now) || !e.due.After(now) {
			return
		}
		e.sorted = e.due
		heap.Fix(&d.queue, 0)
	}
}

// next is a time at which something may be due; before it, nothing is.
func (d *deadlines[K]) next() (time.Time, bool) {
	if len(d.queue) == 0 {
		return time.Time{}, false
	}
	return d.queue[0].sorted, true
}

// deadlineHeap is what container/heap works on.
type deadlineHeap[K comparable] []*deadline[K]

func (h deadlineHeap[K]) Len() int           { return len(h) }
func (h deadlineHeap[K]) Less(i, j int) bool { return h[i].sorted.Before(h[j].sorted) }

func (h deadlineHeap[K]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

func (h *deadlineHeap[K]) Push(x any) {
	e := x.(*deadline[K])
	e.pos = len(*h)
	*h = append(*h, e)
}

func (h *deadlineHeap[K]) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
