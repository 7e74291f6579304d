// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// Local is this node's own replica; calls pass the same checks as from outside.
type Local interface {
	TreeSums(*wire.TreeSumsRequest) wire.TreeSumsReply
	TreeEntries(*wire.TreeListRequest) wire.TreeListReply
	Read(*wire.ReadRequest) wire.ReadReply
	Store(replica.StoreRequest)
}

// Peers reaches the other members. Requests are lent until done was called, which happens
// exactly once per call, perhaps before the call returns; done is quick and never waits.
type Peers interface {
	TreeSums(kv.NodeID, *wire.TreeSumsRequest, time.Time, func(wire.TreeSumsReply, error))
	TreeList(kv.NodeID, *wire.TreeListRequest, time.Time, func(wire.TreeListReply, error))
	Read(kv.NodeID, *wire.ReadRequest, time.Time, func(wire.ReadReply, error))
	Store(kv.NodeID, *wire.StoreRequest, time.Time, func(wire.StoreReply, error))
}

// Budget is what all background work of the node takes from before it moves bytes.
type Budget interface {
	Take(ctx context.Context, bytes int) error
}

// Config says how often replicas are compared, and how hard.
type Config struct {
	// Node is this member's number.
	Node kv.NodeID
	// Ring returns the newest ring that this node knows; nil before formation.
	Ring func() *ring.Ring
	// Alive is an opinion: who seems down is not asked.
	Alive func(kv.NodeID) bool
	// Coming reports whether somebody brings a node, this one included, so many hints that
	// what it lacks is mostly among them; nil: nobody ever does. It is asked where something
	// differs, and may wait for other members, not longer than its context.
	Coming func(context.Context, kv.NodeID) bool
	// Budget is shared with all background work of the node.
	Budget Budget
	// Rand draws jitter, and which leaves come first; owned by the Exchange.
	Rand *rand.Rand

	// Period is how often each pair is compared: what was missed while both sides were up,
	// and no read has met, is missing for about so long.
	Period time.Duration
	// Pause stands between the two looks at a tree, and between a list and what is done
	// about it: a write that is on its way to all its replicas has arrived by then.
	Pause time.Duration
	// Retry is after what time a pair is compared again that could not be, or that was left
	// unfinished; it doubles with each failure, up to Period.
	Retry time.Duration
	// CallTimeout bounds each question to the other side.
	CallTimeout time.Duration
	// Longest bounds an exchange; what is left then is left to the next.
	Longest time.Duration
	// AtOnce is how many exchanges may be under way; Keys how many keys each of them repairs
	// at a time. Most of an exchange is pauses, so many of them are no work; a key holds its
	// object in memory, on either side, once the budget has granted its bytes.
	AtOnce, Keys int

	// Scrub is in what time every object is read again once; 0: never.
	Scrub time.Duration
	// Quarantine is how long a record is known to be damaged before it is mended: longer
	// than any client's request may take (see mend.go).
	Quarantine time.Duration
}

// DefaultConfig has the values that suit a cluster in one place. With 128 partitions of
// three replicas on three nodes a period of a minute is four questions a second to a node
// and as many from it, of about 100 bytes each: nothing beside what clients ask, and a
// replica that missed a write has it a minute later. Both sides of a pair ask, so each is
// looked at twice.
func DefaultConfig() Config {
	return Config{
		Period: time.Minute, Pause: 500 * time.Millisecond, Retry: 2 * time.Second,
		CallTimeout: 5 * time.Second, Longest: 10 * time.Minute, AtOnce: 8, Keys: 8,
		Scrub: 14 * 24 * time.Hour, Quarantine: 2 * time.Minute,
	}
}

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var faults []error
	if c.Node == 0 || c.Ring == nil || c.Alive == nil || c.Budget == nil || c.Rand == nil {
		faults = append(faults,
			errors.New("exchange: node, ring, liveness, budget and chance are needed"))
	}
	if c.Pause <= 0 || c.Retry <= 0 || c.Period < c.Retry || c.CallTimeout <= 0 ||
		c.Longest < c.CallTimeout {
		faults = append(faults, fmt.Errorf("exchange: pause %v, retry %v and call timeout %v must be "+
			"above 0, period %v not below retry, longest %v not below the call timeout",
			c.Pause, c.Retry, c.CallTimeout, c.Period, c.Longest))
	}
	if c.AtOnce < 1 || c.Keys < 1 {
		faults = append(faults, fmt.Errorf("exchange: %d exchanges and %d keys at a time must be at "+
			"least 1", c.AtOnce, c.Keys))
	}
	if c.Scrub < 0 || c.Quarantine <= 0 {
		faults = append(faults, fmt.Errorf("exchange: scrub %v must not be below 0, quarantine %v "+
			"above 0", c.Scrub, c.Quarantine))
	}
	return errors.Join(faults...)
}
