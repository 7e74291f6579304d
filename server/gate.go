// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"sync"
)

var (
	errGateFull   = errors.New("server: too many requests are under way")
	errGateClosed = errors.New("server: draining")
)

// gate admits requests up to a number and a sum of bytes, until it is closed. A request
// that was refused has not begun.
type gate struct {
	maxOpen, maxBytes int // immutable

	mu      sync.Mutex // guards what follows; never held over a wait
	open    int        // Invariant: 0 <= open <= maxOpen
	bytes   int        // of those that are open
	refused uint64
	closed  bool
	// emptied is closed when the gate is, and nobody is inside any more.
	emptied chan struct{}
}

func newGate(maxOpen, maxBytes int) *gate {
	return &gate{maxOpen: maxOpen, maxBytes: maxBytes, emptied: make(chan struct{})}
}

// enter admits a request of so many bytes, which must leave. One that is alone may be
// larger than all bytes together, or it could never be served.
func (g *gate) enter(bytes int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return errGateClosed
	case g.open >= g.maxOpen, g.open > 0 && g.bytes+bytes > g.maxBytes:
		g.refused++
		return errGateFull
	}
	g.open++
	g.bytes += bytes
	return nil
}

func (g *gate) leave(bytes int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	g.bytes -= bytes
	g.noteEmpty()
}

// close refuses everybody from here on. The channel is closed when all have left.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		g.noteEmpty()
	}
	return g.emptied
}

func (g *gate) noteEmpty() {
	if g.closed && g.open == 0 {
		close(g.emptied)
	}
}

// counts returns how many are inside, and how many were refused for want of room.
func (g *gate) counts() (open int, refused uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.refused
}
