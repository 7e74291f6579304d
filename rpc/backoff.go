// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"math/rand/v2"
	"time"
)

// backoff grows the pause between attempts: doubled from the shortest to the
// longest, of which a random half is taken off, so that the nodes of a cluster do
// not all come back to one at the same moment.
type backoff struct {
	shortest, longest time.Duration
	pause             time.Duration
}

func (b *backoff) next(r *rand.Rand) time.Duration {
	b.pause = min(max(2*b.pause, b.shortest), b.longest)
	return b.pause - time.Duration(r.Int64N(int64(b.pause)/2+1))
}

func (b *backoff) reset() { b.pause = 0 }
