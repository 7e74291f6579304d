// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"sync"
)

// Recorder collects a history from several goroutines, in memory.
type Recorder struct {
	maxOps int

	mu sync.Mutex // guards h; nothing waits under it
	h  History
}

// NewRecorder takes at most maxOps operations.
func NewRecorder(h Header, maxOps int) (*Recorder, error) {
	h.Version = Version
	if err := h.Check(); err != nil {
		return nil, err
	}
	return &Recorder{maxOps: maxOps, h: History{Header: h}}, nil
}

// Op takes an operation that has ended, and its lists with it. A driver must not drop its
// error: a history without one of its operations accuses the store of what it did not do.
func (r *Recorder) Op(o *Op) error {
	op := o.bounded()
	if err := op.Check(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.h.Ops) == r.maxOps {
		return fmt.Errorf("%w: more than %d operations", ErrTooLong, r.maxOps)
	}
	r.h.Ops = append(r.h.Ops, op)
	return nil
}

// Event takes an event that is over.
func (r *Recorder) Event(e *Event) error {
	if err := e.Check(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.h.Events) == MaxEvents {
		return fmt.Errorf("%w: more than %d events", ErrTooLong, MaxEvents)
	}
	r.h.Events = append(r.h.Events, *e)
	return nil
}

// History is what has been recorded by now. The recorder may go on; what is returned does
// not change.
func (r *Recorder) History() *History {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &History{
		Header: r.h.Header,
		Ops:    r.h.Ops[:len(r.h.Ops):len(r.h.Ops)],
		Events: r.h.Events[:len(r.h.Events):len(r.h.Events)],
	}
}
