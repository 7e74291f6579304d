// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"bytes"
	"slices"
	"sync"
)

// Recorder is a sink that keeps all events, for tests and checkers. Nothing bounds it but
// the run that it records. The zero value is empty.
type Recorder struct {
	mu     sync.Mutex // guards events
	events []Event
}

// Take implements [Sink].
func (r *Recorder) Take(e Event) {
	e.Key, e.Request = bytes.Clone(e.Key), bytes.Clone(e.Request)
	e.Covers = slices.Clone(e.Covers)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// Events returns what was told so far, in order.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[:len(r.events):len(r.events)]
}
