// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"errors"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// Limits bounds what one connection may cost. Both sides have their own.
type Limits struct {
	// Message is the longest message, in bytes, that is read or sent, chunks put
	// together. At least 1 KiB.
	Message int
	// Depth is how deep a message may nest, 1 to [wire.MaxScanDepth].
	Depth int
	// InFlight is how many calls may be open at once. A server reads no further
	// request until one is answered; a client refuses the call. At least 1.
	InFlight int
	// Parked is how many calls a server's handler may take out of that window with
	// [Call.Park], for waits that must not keep other requests from being read.
	Parked int
	// Unsent is how many bytes may wait to be written. Above it a server reads no
	// further request, and a client refuses the call. Answers to calls that are in
	// flight already still come on top; at 8 times Unsent the connection is closed.
	Unsent int
	// WriteTimeout is how long the other side may take to accept 256 KiB; then the
	// connection is closed as a slow consumer.
	WriteTimeout time.Duration
	// MessageTimeout is how long a message may take from its first byte to its
	// last, so that nobody holds a long half-read message for ever.
	MessageTimeout time.Duration
	// Idle closes a connection from which nothing came for so long, on the server's
	// side. 0 means never: on the client port TCP keep-alive does it (see doc.go).
	Idle time.Duration
	// Chunk is the length, in bytes, above which a message is sent in chunks, and
	// the length of those. 0 means never, and that none are understood: the client
	// port. At least 1 KiB otherwise, at most 16 MiB.
	Chunk int
}

// ClientPortLimits are the limits that docs/protocol.md promises to clients.
func ClientPortLimits() Limits {
	return Limits{
		Message:        wire.DefaultScanBytes,
		Depth:          wire.DefaultScanDepth,
		InFlight:       wire.MaxInFlight,
		Parked:         10_000,
		Unsent:         16 << 20,
		WriteTimeout:   10 * time.Second,
		MessageTimeout: 60 * time.Second,
	}
}

// PeerLimits are the limits between nodes. Messages may be longer, for merges are
// never refused and an object can outgrow what a client may send; more calls are
// open, for one connection carries the calls of all clients of a node.
func PeerLimits() Limits {
	l := ClientPortLimits()
	l.Message = 16 << 20
	l.InFlight = 4096
	l.Idle = 180 * time.Second // three pings of 60 s
	l.Chunk = 256 << 10
	return l
}

const (
	minMessage = 1 << 10
	minChunk   = 1 << 10
	maxChunk   = 16 << 20
	// hardUnsentFactor times Unsent closes a connection: answers can not be undone,
	// so a reader that is this far behind is cut off rather than buffered for.
	hardUnsentFactor = 8
	// writePiece is the most that one Write call is given, so that WriteTimeout
	// means a rate, not a size.
	writePiece = 256 << 10
	// lingerTime and lingerBytes bound how long a closing connection goes on to
	// read and discard, so that the last answer is not destroyed by a reset.
	lingerTime  = time.Second
	lingerBytes = 16 << 20
)

// Validate returns all that is wrong with l, joined.
func (l Limits) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("rpc: "+format, args...))
		}
	}
	check(l.Message >= minMessage,
		"limit Message is %d, must be at least %d", l.Message, minMessage)
	check(l.Depth >= 1 && l.Depth <= wire.MaxScanDepth,
		"limit Depth is %d, must be 1 to %d", l.Depth, wire.MaxScanDepth)
	check(l.InFlight >= 1, "limit InFlight is %d, must be at least 1", l.InFlight)
	check(l.Parked >= 0, "limit Parked is %d, must not be negative", l.Parked)
	check(l.Unsent >= 1, "limit Unsent is %d, must be at least 1", l.Unsent)
	check(l.WriteTimeout > 0, "limit WriteTimeout is %v, must be positive", l.WriteTimeout)
	check(l.MessageTimeout > 0, "limit MessageTimeout is %v, must be positive", l.MessageTimeout)
	check(l.Idle >= 0, "limit Idle is %v, must not be negative", l.Idle)
	check(l.Chunk == 0 || (l.Chunk >= minChunk && l.Chunk <= maxChunk),
		"limit Chunk is %d, must be 0 or %d to %d", l.Chunk, minChunk, maxChunk)
	return errors.Join(errs...)
}

func (l Limits) scan() wire.ScanLimits {
	return wire.ScanLimits{Bytes: l.Message, Depth: l.Depth}
}
