// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"fmt"

	"github.com/dyno-kv/dyno/wire"
)

// outbox is what one connection has yet to write. Messages are appended to one
// buffer, which the writer takes as a whole; messages longer than a chunk wait in a
// line of their own, from which each batch takes one chunk, so that a short message
// never waits for more than that. It is guarded by the mutex of its link.
type outbox struct {
	maxMessage int
	// chunk is the length of a chunk; 0 means that messages are never cut.
	chunk int

	// batch collects, spare is the buffer of the last batch, emptied.
	batch, spare []byte
	// scant counts the batches in a row that hardly used a long buffer.
	scant int
	// long holds the messages that are sent in chunks, the first one first.
	long   []*longMessage
	stream uint64
	// unsent counts message bytes that no Write has accepted yet.
	unsent int
	// added and taken count the bytes ever appended to batch, and those that the
	// writer took. Invariant: added - taken == len(batch).
	added, taken uint64
}

// longMessage is a message that is sent in chunks.
type longMessage struct {
	bytes  []byte
	stream uint64
	seq    uint64
	// begun says that the writer took the first chunk.
	begun bool
}

// place is where in the outbox a message went, to tell later whether it was taken.
type place struct {
	at   uint64
	long *longMessage
}

// batch is what the writer takes at once.
type batch struct {
	bytes []byte
	// payload is how many bytes of messages it holds, heads of chunks not counted.
	payload int
}

// add appends the one message that encode appends to its argument. A message over
// the limit is taken back; the error wraps ErrTooLong.
func (o *outbox) add(encode func(dst []byte) []byte) (place, error) {
	start := len(o.batch)
	o.batch = encode(o.batch)
	size := len(o.batch) - start
	if size > o.maxMessage {
		o.dropFrom(start)
		return place{}, fmt.Errorf("%w: %d bytes, %d is the limit", ErrTooLong, size, o.maxMessage)
	}
	o.unsent += size
	if o.chunk == 0 || size <= o.chunk {
		p := place{at: o.added}
		o.added += uint64(size)
		return p, nil
	}
	o.stream++
	m := &longMessage{stream: o.stream, bytes: append([]byte(nil), o.batch[start:]...)}
	o.dropFrom(start)
	o.long = append(o.long, m)
	return place{long: m}, nil
}

const (
	// retainBatch is the largest batch buffer that is kept while it is of use.
	retainBatch = 512 << 10
	// maxScant is how many batches in a row may hardly use a buffer that is longer
	// than retainBuffer before it is let go.
	maxScant = 64
)

// dropFrom cuts the batch, and lets go of a buffer that one message made long.
func (o *outbox) dropFrom(start int) {
	o.batch = o.batch[:start]
	if cap(o.batch) > retainBuffer && start <= retainBuffer {
		o.batch = append(make([]byte, 0, retainBuffer), o.batch...)
	}
}

// empty reports that the writer has taken everything.
func (o *outbox) empty() bool { return len(o.batch) == 0 && len(o.long) == 0 }

// take hands out all short messages and one chunk of the first long one.
func (o *outbox) take() batch {
	b := batch{bytes: o.batch, payload: len(o.batch)}
	o.taken += uint64(len(o.batch))
	o.batch, o.spare = o.spare[:0], nil
	if len(o.long) == 0 {
		return b
	}
	m := o.long[0]
	piece := m.bytes[:min(len(m.bytes), o.chunk)]
	m.bytes = m.bytes[len(piece):]
	last := len(m.bytes) == 0
	b.bytes = wire.AppendNotificationHeader(b.bytes, wire.MethodChunk)
	b.bytes = wire.AppendChunkParams(b.bytes, m.stream, m.seq, last, len(piece))
	b.bytes = append(b.bytes, piece...)
	b.payload += len(piece)
	m.begun = true
	m.seq++
	if last {
		o.long[0] = nil
		o.long = o.long[1:]
	}
	return b
}

// written takes note that a batch was accepted, and takes its buffer back.
func (o *outbox) written(b batch) {
	o.unsent -= b.payload
	size := cap(b.bytes)
	if size <= retainBuffer || b.payload > size/8 {
		o.scant = 0
	} else {
		o.scant++
	}
	if size <= retainBatch && o.scant < maxScant {
		o.spare = b.bytes[:0]
	}
}

// mayBeSent reports whether any byte of the message at p was taken for writing.
func (o *outbox) mayBeSent(p place) bool {
	if p.long != nil {
		return p.long.begun
	}
	return p.at < o.taken
}
