// SPDX-License-Identifier: Apache-2.0

package storage

import "sync"

// queue holds the operations that wait for their turn at one shard. Room is reserved
// before the disk is read for an operation, so that a full queue costs nothing.
type queue struct {
	maxOps, maxBytes int
	// wake holds at most one token: there is something to take, or the queue closed.
	wake chan struct{}

	mu sync.Mutex
	// Guarded by mu.
	waiting []*Op
	ops     int // reserved or waiting
	bytes   int // of these
	held    int // bytes that were read for what waits
	closed  error
}

func newQueue(maxOps, maxBytes int) *queue {
	return &queue{maxOps: maxOps, maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// reserve takes room for one operation. An operation larger than the whole queue is
// let in when nothing else waits.
func (q *queue) reserve(bytes int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed != nil:
		return q.closed
	case q.ops >= q.maxOps, q.ops > 0 && q.bytes+bytes > q.maxBytes:
		return ErrOverloaded
	}
	q.ops++
	q.bytes += bytes
	return nil
}

// push hands over an operation whose room is reserved. What was read for it is kept as
// long as all of that fits maxBytes once more; else the shard reads it again.
func (q *queue) push(op *Op) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return q.closed
	}
	if held := op.turn.fetched.weight(); q.held+held <= q.maxBytes {
		q.held += held
		op.turn.held = held
	} else {
		op.turn.fetched = fetched{}
	}
	q.waiting = append(q.waiting, op)
	signal(q.wake)
	return nil
}

// take waits for operations and returns all of them, in order, and their room. It
// gives spare to the queue to be used again. It returns nothing once the queue is
// closed and empty.
func (q *queue) take(spare []*Op) []*Op {
	for {
		q.mu.Lock()
		taken, closed := q.waiting, q.closed
		if len(taken) > 0 {
			q.waiting = spare[:0]
			for _, op := range taken {
				q.ops--
				q.bytes -= op.turn.bytes
				q.held -= op.turn.held
			}
		}
		q.mu.Unlock()
		if len(taken) > 0 || closed != nil {
			return taken
		}
		<-q.wake
	}
}

// close refuses what comes from now on with err. What waits can still be taken.
func (q *queue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil {
		q.closed = err
	}
	signal(q.wake)
}

// signal leaves a token in a channel of size 1.
func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ops
}
