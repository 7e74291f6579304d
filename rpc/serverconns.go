// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"

	"github.com/dyno-kv/dyno/wire"
)

// Stats is what a server holds now.
type Stats struct {
	Conns int
	// Open counts calls without an answer, parked ones included, Unsent the bytes
	// that wait to be written.
	Open, Unsent int
	// Held is how many bytes the connections hold beside their open calls.
	Held int64
}

// Refusals is how many connections a server has closed for a fault of the other side, since
// it was made.
type Refusals struct {
	Foreign         uint64 // of another protocol
	Malformed       uint64 // what the structural scan refuses
	Protocol        uint64 // well formed, and none of this protocol
	SlowConsumer    uint64 // does not read its answers
	Unauthenticated uint64 // has not introduced itself in time
	HeldTooMuch     uint64 // held most when all together held too much
	TooMany         uint64 // above the number of connections
}

// refusals counts connections that were closed for a fault of the other side.
type refusals struct {
	foreign, malformed, protocol, slow, stranger, held, many atomic.Uint64
}

func (r *refusals) note(why error) {
	switch {
	case errors.Is(why, ErrSlowConsumer):
		r.slow.Add(1)
	case errors.Is(why, errNotAuthenticated):
		r.stranger.Add(1)
	case errors.Is(why, errHeldTooMuch):
		r.held.Add(1)
	case isScanError(why):
		r.malformed.Add(1)
	default:
		r.protocol.Add(1)
	}
}

// Refusals tells which connections were closed for a fault of the other side.
func (s *Server) Refusals() Refusals {
	r := &s.refused
	return Refusals{
		Foreign: r.foreign.Load(), Malformed: r.malformed.Load(), Protocol: r.protocol.Load(),
		SlowConsumer: r.slow.Load(), Unauthenticated: r.stranger.Load(),
		HeldTooMuch: r.held.Load(), TooMany: r.many.Load(),
	}
}

// Stats counts over all connections.
func (s *Server) Stats() Stats {
	st := Stats{Held: s.held.Load()}
	for _, c := range s.snapshot(nil) {
		c.mu.Lock()
		st.Open += c.window + c.parked
		st.Unsent += c.out.unsent
		c.mu.Unlock()
		st.Conns++
	}
	return st
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) removeListener(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
}

// add takes a connection in; fault says why it does not.
func (s *Server) add(ctx context.Context, c *ServerConn, ln net.Listener) (fault string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining || ctx.Err() != nil:
		return "the node is draining"
	case len(s.conns) >= s.cfg.Conns:
		s.refused.many.Add(1)
		return "too many connections"
	}
	s.numbers++
	c.number = s.numbers
	s.conns[c] = ln
	return ""
}

func (s *Server) remove(c *ServerConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.noteEmpty()
}

// beginDrain closes the listeners and refuses connections from here on. The
// channel is closed when the last connection has ended.
func (s *Server) beginDrain() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for ln := range s.listeners {
		_ = ln.Close() // its Serve sees it closed, which is all that is wanted
	}
	s.noteEmpty()
	return s.emptied
}

func (s *Server) noteEmpty() {
	if s.draining && len(s.conns) == 0 && !isClosed(s.emptied) {
		close(s.emptied)
	}
}

// snapshot lists the connections of one listener, or of all, oldest first.
func (s *Server) snapshot(ln net.Listener) []*ServerConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*ServerConn
	for c, from := range s.conns {
		if ln == nil || from == ln {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *ServerConn) int { return cmp.Compare(a.number, b.number) })
	return list
}

// isScanError reports whether the other side sent what the scan refuses.
func isScanError(err error) bool {
	return errors.Is(err, wire.ErrMalformed) || errors.Is(err, wire.ErrDepth) ||
		errors.Is(err, wire.ErrTooLong) || errors.Is(err, wire.ErrCount)
}
