// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
)

// pendingCall is a call that waits for its answer.
type pendingCall struct {
	id       uint64
	done     Done
	deadline time.Time
	place    place
	// index is where it stands in the heap.
	index int
}

// pendingCalls holds the open calls of a client by id, and by deadline in a heap.
// It is guarded by the mutex of the client's link.
type pendingCalls struct {
	byID map[uint64]*pendingCall
	heap []*pendingCall
	free []*pendingCall
	last uint64
}

// maxFreeCalls bounds what a burst of calls leaves behind.
const maxFreeCalls = 256

func newPendingCalls() pendingCalls {
	return pendingCalls{byID: make(map[uint64]*pendingCall)}
}

// newID returns an id that no open call has. Ids stay in 32 bits, which is what
// the specification has; there are far fewer open calls than ids.
func (p *pendingCalls) newID() uint64 {
	for {
		p.last = (p.last + 1) & 0xffffffff
		if _, open := p.byID[p.last]; !open {
			return p.last
		}
	}
}

func (p *pendingCalls) add(id uint64, at place, deadline time.Time, done Done) {
	var c *pendingCall
	if n := len(p.free); n > 0 {
		c, p.free = p.free[n-1], p.free[:n-1]
	} else {
		c = new(pendingCall)
	}
	*c = pendingCall{id: id, done: done, deadline: deadline, place: at, index: len(p.heap)}
	p.byID[id] = c
	p.heap = append(p.heap, c)
	p.up(c.index)
}

// remove takes a call out and returns whom to tell; nil where there is none.
func (p *pendingCalls) remove(id uint64) Done {
	c := p.byID[id]
	if c == nil {
		return nil
	}
	done := c.done
	delete(p.byID, id)
	i, n := c.index, len(p.heap)-1
	p.swap(i, n)
	p.heap[n] = nil
	p.heap = p.heap[:n]
	if i < n {
		p.down(i)
		p.up(i)
	}
	if len(p.free) < maxFreeCalls {
		*c = pendingCall{}
		p.free = append(p.free, c)
	}
	return done
}

// takeExpired removes the calls whose deadline has come and returns whom to tell.
func (p *pendingCalls) takeExpired(now time.Time) []Done {
	var expired []Done
	for len(p.heap) > 0 && !p.heap[0].deadline.After(now) {
		if mutant.On(mutant.LateReplyTaken) {
			p.last = p.heap[0].id - 1
		}
		expired = append(expired, p.remove(p.heap[0].id))
	}
	return expired
}

// takeAll removes every call, the earliest deadline first, roughly.
func (p *pendingCalls) takeAll() []*pendingCall {
	all := p.heap
	p.heap, p.free = nil, nil
	clear(p.byID)
	return all
}

// next is the earliest deadline; zero where there is none.
func (p *pendingCalls) next() time.Time {
	if len(p.heap) == 0 {
		return time.Time{}
	}
	return p.heap[0].deadline
}

func (p *pendingCalls) less(i, j int) bool {
	return p.heap[i].deadline.Before(p.heap[j].deadline)
}

func (p *pendingCalls) swap(i, j int) {
	p.heap[i], p.heap[j] = p.heap[j], p.heap[i]
	p.heap[i].index, p.heap[j].index = i, j
}

func (p *pendingCalls) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !p.less(i, parent) {
			return
		}
		p.swap(i, parent)
		i = parent
	}
}

func (p *pendingCalls) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(p.heap); child++ {
			if p.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		p.swap(i, least)
		i = least
	}
}
