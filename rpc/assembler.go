// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"fmt"

	"github.com/dyno-kv/dyno/wire"
)

// maxStreams is how many messages in chunks may be under way on one connection.
// This code sends one at a time; the rest is room for other senders.
const maxStreams = 8

// assembler puts the messages together that arrive in chunks. Its memory is bounded
// by twice the longest message, whatever the streams claim.
type assembler struct {
	limits  wire.ScanLimits
	held    int
	streams map[uint64]*partial
}

// partial is a message of which some chunks have come.
type partial struct {
	bytes []byte
	next  uint64
}

// add takes one chunk. Where it was the last of its message the whole is returned,
// scanned like any other; it belongs to the caller. Errors end the connection.
func (a *assembler) add(c wire.Chunk) (msg []byte, err error) {
	p := a.streams[c.Stream]
	if p == nil {
		if len(a.streams) == maxStreams {
			return nil, fmt.Errorf("%w: more than %d messages in chunks at once",
				ErrProtocol, maxStreams)
		}
		if a.streams == nil {
			a.streams = make(map[uint64]*partial)
		}
		p = new(partial)
		a.streams[c.Stream] = p
	}
	switch {
	case c.Seq != p.next:
		return nil, fmt.Errorf("%w: chunk %d of stream %d, %d was expected",
			ErrProtocol, c.Seq, c.Stream, p.next)
	case len(c.Bytes) == 0:
		return nil, fmt.Errorf("%w: empty chunk", ErrProtocol)
	case len(p.bytes)+len(c.Bytes) > a.limits.Bytes, a.held+len(c.Bytes) > 2*a.limits.Bytes:
		return nil, fmt.Errorf("%w: chunks add up to more", wire.ErrTooLong)
	}
	p.bytes = append(p.bytes, c.Bytes...)
	p.next++
	a.held += len(c.Bytes)
	if !c.Last {
		return nil, nil
	}
	delete(a.streams, c.Stream)
	a.held -= len(p.bytes)
	if err := wire.ScanOne(p.bytes, a.limits); err != nil {
		return nil, fmt.Errorf("message in chunks: %w", err)
	}
	return p.bytes, nil
}
