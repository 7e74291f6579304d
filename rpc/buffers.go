// SPDX-License-Identifier: Apache-2.0

package rpc

import "sync"

const (
	// smallBuffer is what an idle connection holds for reading.
	smallBuffer = 4 << 10
	// readBuffer is what a busy one grows to, to read many messages at once.
	readBuffer = 64 << 10
	// retainBuffer is the largest buffer that is kept for the next message; one
	// long message must not cost its memory for ever.
	retainBuffer = 64 << 10
)

// buffers recycles the bytes of requests that are being handled. One per server.
type buffers struct{ pool sync.Pool }

// buffer is the bytes of one message.
type buffer struct{ b []byte }

// copyOf returns a buffer with the contents of msg.
func (p *buffers) copyOf(msg []byte) *buffer {
	buf, ok := p.pool.Get().(*buffer)
	if !ok {
		buf = new(buffer)
	}
	buf.b = append(buf.b[:0], msg...)
	return buf
}

// put takes a buffer back. Nobody may use its bytes any more.
func (p *buffers) put(buf *buffer) {
	if cap(buf.b) <= retainBuffer {
		p.pool.Put(buf)
	}
}
