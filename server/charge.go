// SPDX-License-Identifier: Apache-2.0

package server

import "sync/atomic"

const (
	// leastRead is what a read is charged at least: its copies are held until the answer
	// is written, and nobody knows before how large they are.
	leastRead = 4 << 10
	// pageRead is what a request that answers with a page is charged.
	pageRead = 1 << 20
	// readMemory is how many smaller reads it takes until one large is forgotten, about.
	readMemory = 64
)

// readSize guesses how many bytes the next read will hold, from those before: it follows
// a larger one at once, and comes down slowly. A wrong guess lets in too many requests
// for as long as they last, or refuses some that had found room.
type readSize struct{ bytes atomic.Int64 }

func (r *readSize) guess() int { return max(leastRead, int(r.bytes.Load())) }

// observe notes the size of a read. Two at one moment may lose one of both, which the
// next makes good.
func (r *readSize) observe(bytes int) {
	before, now := r.bytes.Load(), int64(bytes)
	if now < before {
		now = before - (before-now+readMemory-1)/readMemory
	}
	r.bytes.Store(now)
}
