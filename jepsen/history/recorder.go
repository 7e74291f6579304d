// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"io"
	"sync"
)

// Recorder collects a history from several goroutines, in memory or in a file.
type Recorder struct {
	maxOps int

	mu  sync.Mutex // guards what follows; nothing waits under it but writes to the file
	h   History
	out *Writer // nil: in memory
}

// NewRecorder takes at most maxOps operations.
func NewRecorder(h Header, maxOps int) (*Recorder, error) {
	h.Version = Version
	if err := h.Check(); err != nil {
		return nil, err
	}
	return &Recorder{maxOps: maxOps, h: History{Header: h}}, nil
}

// NewFileRecorder writes what it takes to w as it comes, and keeps none of it: a history of
// millions of operations takes no memory. Close ends it.
func NewFileRecorder(w io.Writer, h Header, maxOps int) (*Recorder, error) {
	out, err := NewWriter(w, h)
	if err != nil {
		return nil, err
	}
	h.Version = Version
	return &Recorder{maxOps: maxOps, h: History{Header: h}, out: out}, nil
}

// Close writes the end of a history that goes to a file. It takes nothing afterwards.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.out == nil {
		return nil
	}
	r.maxOps = 0
	return r.out.Close()
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
	if r.out != nil {
		if r.out.end.Ops >= r.maxOps {
			return fmt.Errorf("%w: more than %d operations", ErrTooLong, r.maxOps)
		}
		return r.out.Op(&op)
	}
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
	if r.out != nil && r.out.end.Events < MaxEvents {
		return r.out.Event(e)
	}
	if r.out != nil || len(r.h.Events) == MaxEvents {
		return fmt.Errorf("%w: more than %d events", ErrTooLong, MaxEvents)
	}
	r.h.Events = append(r.h.Events, *e)
	return nil
}

// History is what has been recorded by now, in memory. The recorder may go on; what is
// returned does not change.
func (r *Recorder) History() *History {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &History{
		Header: r.h.Header,
		Ops:    r.h.Ops[:len(r.h.Ops):len(r.h.Ops)],
		Events: r.h.Events[:len(r.h.Events):len(r.h.Events)],
	}
}
