// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"sync"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// change is what one operation hands to the committer: writes, or none where it only
// waits for what it rests on (I1). Changes are committed in the order in which they
// were added.
type change struct {
	op     *Op
	shard  *shard
	entry  *entry   // what the change is the newest state of; nil without writes
	next   stored   // the state after the change, values included
	writes []Write  // new records first, then the object's own, then deletions
	single [1]Write // backs writes in the usual case
	values int      // of the object before the change, for tracers
	note   *wire.JournalEntry
	stamp  kv.Stamp // that the commit must be marked with, 0 for none
	bytes  int      // of writes and note
}

// pipe stands between the shards and the committer.
type pipe struct {
	maxBytes int
	// wake holds at most one token: there is something to take, or the pipe closed.
	wake chan struct{}

	mu sync.Mutex
	// Guarded by mu.
	ready  []*change
	bytes  int
	room   chan struct{} // closed and replaced when bytes shrinks
	closed bool
	failed bool
}

func newPipe(maxBytes int) *pipe {
	return &pipe{
		maxBytes: maxBytes,
		wake:     make(chan struct{}, 1),
		room:     make(chan struct{}),
	}
}

// add hands over a change, and waits while too much is ready. It reports false where
// the store failed: then the change was not taken.
func (p *pipe) add(c *change) bool {
	for {
		p.mu.Lock()
		if p.failed {
			p.mu.Unlock()
			return false
		}
		if len(p.ready) == 0 || p.bytes+c.bytes <= p.maxBytes {
			p.ready = append(p.ready, c)
			p.bytes += c.bytes
			p.mu.Unlock()
			signal(p.wake)
			return true
		}
		room := p.room
		p.mu.Unlock()
		<-room
	}
}

// take waits for changes and moves the first of them into batch, as many as fit the
// limits, and at least one. It returns an empty batch once the pipe is closed and
// empty, or failed.
func (p *pipe) take(batch []*change, ops int, limit Limits) []*change {
	for {
		p.mu.Lock()
		n := p.fitting(ops, limit)
		batch = append(batch, p.ready[:n]...)
		rest := copy(p.ready, p.ready[n:])
		clear(p.ready[rest:])
		p.ready = p.ready[:rest]
		for _, c := range batch {
			p.bytes -= c.bytes
		}
		if n > 0 {
			close(p.room)
			p.room = make(chan struct{})
		}
		over := p.closed || p.failed
		p.mu.Unlock()
		if n > 0 || over {
			return batch
		}
		<-p.wake
	}
}

func (p *pipe) fitting(ops int, limit Limits) int {
	bytes, writes := 0, 0
	for i, c := range p.ready {
		bytes += c.bytes
		writes += len(c.writes)
		if i > 0 && (i == ops || bytes > limit.Bytes || writes > limit.Count) {
			return i
		}
	}
	return len(p.ready)
}

// close lets take return once everything was taken.
func (p *pipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	signal(p.wake)
}

// fail refuses changes from now on and returns those that nobody will commit.
func (p *pipe) fail() []*change {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = true
	left := p.ready
	p.ready, p.bytes = nil, 0
	close(p.room)
	p.room = make(chan struct{})
	signal(p.wake)
	return left
}
