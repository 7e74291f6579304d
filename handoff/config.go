// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// Hints are what this node keeps for others: its replica.
type Hints interface {
	CountHints(ctx context.Context) error
	HintStatus() replica.HintStatus
	Hints(at replica.HintCell, from storage.Position, limit, size int) (
		page []replica.Hint, next storage.Position, more bool, err error)
	Payload(h *replica.Hint) (object kv.Object, encoded []byte, nothing bool, err error)
	DropHint(h *replica.Hint, sent vclock.Context, done func(gone bool))
	TraceHintSent(h *replica.Hint, object *kv.Object)
	// Store is for what this node keeps for itself: it has become a member of the slot.
	Store(replica.StoreRequest)
}

var _ Hints = (*replica.Replica)(nil)

// Peers reaches the other members. A request is lent until done was called, which happens
// exactly once, perhaps before the call returns; done is quick.
type Peers interface {
	Store(kv.NodeID, *wire.StoreRequest, time.Time, func(wire.StoreReply, error))
}

// Budget is what the background of this node may move; Take returns when bytes may go.
type Budget interface {
	Take(ctx context.Context, bytes int) error
}

// Config says how hints are delivered.
type Config struct {
	// Node is this member's number.
	Node kv.NodeID
	// Ring returns the newest ring that this node knows; it is called under every hint.
	Ring func() *ring.Ring
	// Alive is an opinion: whom it is no use to send to.
	Alive func(kv.NodeID) bool
	// Rand is for the jitter of pauses; owned by the deliverer.
	Rand *rand.Rand
	// Every is how often hints are looked for that nobody has told of.
	Every time.Duration
	// SendTimeout bounds each send. It is also how long a Run that is to end may take.
	SendTimeout time.Duration
	// Window is how many hints may be on their way to one member at a time. One connection
	// carries them all, and the member commits together what comes together.
	Window int
	// PageHints and PageBytes bound what is read of the hints for one member at a time.
	PageHints int
	PageBytes int
	// PauseMin and PauseMax bound the pause after a member has failed.
	PauseMin, PauseMax time.Duration
}

// DefaultConfig has the values that suit a cluster in one place.
func DefaultConfig() Config {
	return Config{
		Every: 5 * time.Second, SendTimeout: 10 * time.Second, Window: 64,
		PageHints: 128, PageBytes: 2 << 20,
		PauseMin: 500 * time.Millisecond, PauseMax: 30 * time.Second,
	}
}

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var faults []error
	if c.Node == 0 || c.Ring == nil || c.Alive == nil || c.Rand == nil {
		faults = append(faults, errors.New("handoff: node, ring, liveness and chance are needed"))
	}
	if c.Every <= 0 || c.SendTimeout <= 0 {
		faults = append(faults, fmt.Errorf("handoff: pause %v and send timeout %v must be above 0",
			c.Every, c.SendTimeout))
	}
	if c.Window < 1 || c.PageHints < 1 || c.PageBytes < 1 {
		faults = append(faults, fmt.Errorf("handoff: window %d and pages of %d hints and %d bytes "+
			"must be at least 1", c.Window, c.PageHints, c.PageBytes))
	}
	if c.PauseMin <= 0 || c.PauseMax < c.PauseMin {
		faults = append(faults, fmt.Errorf("handoff: pauses of %v to %v must be above 0 and in order",
			c.PauseMin, c.PauseMax))
	}
	return errors.Join(faults...)
}
