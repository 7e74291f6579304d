// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// Local is the store that is filled: this node's replica.
type Local interface {
	Store(replica.StoreRequest)
	Lacks(partition uint16, bucket kv.BucketID, key []byte, bare kv.Object) (bool, error)
	FenceSelf(ctx context.Context) (kv.PlacementVersion, error)
	GivenPurge(ctx context.Context, partition uint16, epoch kv.PurgeEpoch) error
}

var _ Local = (*replica.Replica)(nil)

// Peers reaches the other owners. A request is lent until done was called, which happens
// exactly once, perhaps before the call returns; done is quick.
type Peers interface {
	Fence(kv.NodeID, *wire.FenceRequest, time.Time, func(wire.FenceReply, error))
	Scan(kv.NodeID, *wire.ScanRequest, time.Time, func(wire.ScanReply, error))
	Read(kv.NodeID, *wire.ReadRequest, time.Time, func(wire.ReadReply, error))
}

// Group is the metadata group, as far as this node's refill goes.
type Group interface {
	// Refill is that of this node's store, as far as this node has heard; not active where
	// it is over.
	Refill() ring.Refill
	// PurgeEpoch is the newest that was committed for a partition. While its owner is being
	// filled there is no newer one (TRAPS G7).
	PurgeEpoch(partition uint16) kv.PurgeEpoch
	// Missing are those who are still to be fenced and copied where these are sources.
	Missing(sources []ring.Source) []kv.NodeID
	// Finish proposes the end; an error says why it is none yet.
	Finish(ctx context.Context, fence kv.PlacementVersion, sources []ring.Source) error
}

// Notes keep durably what was copied, in the order in which it is given.
type Notes interface {
	Load() ([]wire.RefillSource, error)
	Save([]wire.RefillSource) error
}

// Budget is what the background of this node may move; Take returns when bytes may go.
type Budget interface {
	Take(ctx context.Context, bytes int) error
}

// Parts are what a filler works with.
type Parts struct {
	Local  Local
	Peers  Peers
	Group  Group
	Notes  Notes
	Budget Budget
}

// Config says how a store is filled.
type Config struct {
	// Node and Instance are this member's number and the life that is filled.
	Node     kv.NodeID
	Instance kv.Instance
	// Ring returns the newest ring that this node knows, Buckets its buckets.
	Ring    func() *ring.Ring
	Buckets func() []kv.Bucket
	// Pause is how long is waited after a failure, before everything is looked at again.
	Pause time.Duration
	// Settle is how long a key that a source lists and this store lacks may still be under
	// way to it: writes go to all owners at once.
	Settle time.Duration
	// CallTimeout bounds each question to another owner, and each copy that is stored.
	CallTimeout time.Duration
	// PageKeys and PageBytes bound a page.
	PageKeys, PageBytes uint32
	// Points and Trace are for tests and checkers; nil in a product build.
	Points *fail.Set
	Trace  *trace.Tracer
}

// DefaultConfig has everything that does not depend on who the node is.
func DefaultConfig() Config {
	return Config{
		Pause: time.Second, Settle: time.Second, CallTimeout: 10 * time.Second, PageKeys: 256,
		PageBytes: 1 << 20,
	}
}

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var faults []error
	if c.Node == 0 || c.Instance == 0 || c.Ring == nil || c.Buckets == nil {
		faults = append(faults, errors.New("transfer: node, instance, ring and buckets are needed"))
	}
	if c.Pause <= 0 || c.Settle <= 0 || c.CallTimeout <= 0 {
		faults = append(faults, fmt.Errorf("transfer: pause %v, settle %v and call timeout %v must "+
			"be above 0", c.Pause, c.Settle, c.CallTimeout))
	}
	if c.PageKeys < 1 || c.PageBytes < 1 {
		faults = append(faults, fmt.Errorf("transfer: a page of %d keys and %d bytes must be above 0",
			c.PageKeys, c.PageBytes))
	}
	return errors.Join(faults...)
}
