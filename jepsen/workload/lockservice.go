// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// LockService is the part of a client that workloads of locks need. Several goroutines call
// it.
type LockService interface {
	// Open opens a session that is kept alive from then on, until it is closed, left or lost.
	Open(ctx context.Context, ttl time.Duration) (LockSession, LockAnswer)
}

// LockSession is a session. Several goroutines call it.
type LockSession interface {
	// Acquire asks for a lock, and waits for it as long as the request says. An answer whose
	// outcome is Fail says that the attempt was never granted and never will be. Where it
	// may have been granted for a while the outcome is Info, and a Cancel that is OK says
	// that it is over.
	Acquire(ctx context.Context, r *LockRequest) LockAnswer
	// Release gives back what the attempt of that number was granted.
	Release(ctx context.Context, r *LockRequest) LockAnswer
	// Close ends the session.
	Close(ctx context.Context) LockAnswer
	// Leave stops to renew the session, and tells nobody.
	Leave()
	// Lost reports whether the client has told of the session's loss.
	Lost() bool
	// Renewed is when the last renewal that was acknowledged had been sent, by the clock of
	// the run in nanoseconds; 0 where the client does not tell.
	Renewed() int64
	// TTL is the time to live that the group granted.
	TTL() time.Duration
}

// LockCanceller is a LockSession whose attempts can be ended by their number.
type LockCanceller interface {
	Cancel(ctx context.Context, r *LockRequest) LockAnswer
}

// LockForcer is a LockSession through which anybody's grant can be ended by its fence.
type LockForcer interface {
	ForceRelease(ctx context.Context, r *LockRequest) LockAnswer
}

// LockRequest is one request about one lock. What it does not need is zero.
type LockRequest struct {
	Name string
	// Holder numbers the attempts of a session from 1 on.
	Holder uint64
	Shared bool
	// Wait is how long an Acquire may wait; 0: it is a try.
	Wait time.Duration
	// Fence is that of the grant that is released.
	Fence uint64
}

// LockAnswer is what became of a request.
type LockAnswer struct {
	// Outcome is OK where the group answered, Fail where certainly nothing was done.
	Outcome history.Outcome
	// Fence is that of a grant. An Acquire that is OK without one was told that others have
	// the lock, or still had it at the end of its wait.
	Fence uint64
	// Released says that a release found the grant in place.
	Released bool
	// Over says, of an Acquire whose outcome is Info, that the group is finished with it: the
	// client had cancelled it, which was acknowledged, before it answered.
	Over bool
	// Expired says that the group has told that the session is over.
	Expired bool
	// Again says that it was sent more than once.
	Again bool
	// Node is who answered, Error why it is not ok; both are for people.
	Node  string
	Error string
}
