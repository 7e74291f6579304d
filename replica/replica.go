// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

var (
	// ErrContext refuses a write whose context claims dots that this owner has not
	// issued: it is damaged or made up (TRAPS C8).
	ErrContext = errors.New("replica: the context claims writes that never happened")
	// ErrMayNotMint refuses to mint where this node is no owner with history.
	ErrMayNotMint = errors.New("replica: this node may not coordinate writes of the key")
	// ErrNoBucket refuses everything of a bucket that the group has deleted.
	ErrNoBucket = errors.New("replica: the bucket has been deleted")
)

// DefaultMaxAhead is how far ahead of this node's clock a stamp may be before it is taken
// for that of a wrong clock. Clocks that are kept by NTP, badly, are seconds apart.
const DefaultMaxAhead = time.Minute

// DefaultHintBytes is as much as is worth keeping for an owner that is down: delivered at
// the background's least pace it takes a quarter of an hour, and counting it at a start some
// seconds. An owner that misses more is filled sooner by comparing with the others.
const DefaultHintBytes = 1 << 30

// Config says who this replica is and where its time and chance come from.
type Config struct {
	// Node and Instance are this member's, as the group issued them.
	Node     kv.NodeID
	Instance kv.Instance
	// Partitions is the cluster's number of partitions.
	Partitions int
	// Ring returns the newest ring that this node knows; nil before formation. It must
	// not block: it is called under every request.
	Ring func() *ring.Ring
	// Now is the node's wall clock: the time that becomes data (stamps, expiry).
	Now func() time.Time
	// Incarnation returns 48 random bits, never 0, from a cryptographic source (from
	// the seeded one under the test rig only).
	Incarnation func() uint64
	// Deleted reports whether the group has deleted a bucket; nil: none is. An id that it
	// has not heard of is not deleted. It must not block.
	Deleted func(kv.BucketID) bool
	// HintBytes bounds what this node keeps for others, hints and markers together; 0:
	// DefaultHintBytes. Above it hints are refused and markers left to anti-entropy.
	HintBytes int64
	// MaxAhead is how far a stamp may be ahead of Now and still move this node's clock; 0:
	// DefaultMaxAhead.
	MaxAhead time.Duration
	// Damaged hears of each key whose record is found unreadable; nil: nobody does. It must
	// be quick, and must not keep the key.
	Damaged func(partition uint16, bucket kv.BucketID, key []byte)
	// KeepPurges makes it durable where this node stands in the purge rounds of a partition;
	// nil: it takes part in none. It may wait for the disk.
	KeepPurges func(wire.Purges) error
	// KeepFences makes all fences durable that this node has promised; where it is nil none
	// can be.
	KeepFences func([]wire.PlacementFence) error
	// Points and Trace are for tests and checkers; nil in a product build.
	Points *fail.Set
	Trace  *trace.Tracer
}

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var faults []error
	if c.Node == 0 {
		faults = append(faults, errors.New("replica: node number is missing"))
	}
	if c.Partitions < 1 || c.Partitions > 1<<16 {
		faults = append(faults, fmt.Errorf("replica: %d partitions, must be 1 to 65536", c.Partitions))
	}
	if c.HintBytes < 0 {
		faults = append(faults, fmt.Errorf("replica: %d bytes of hints must not be negative",
			c.HintBytes))
	}
	if c.Ring == nil || c.Now == nil || c.Incarnation == nil {
		faults = append(faults, errors.New("replica: ring, clock and incarnation source are needed"))
	}
	return errors.Join(faults...)
}

// Replica is this node as one of the N of each of its partitions.
type Replica struct {
	// Immutable after New.
	cfg   Config
	store *storage.Store
	past  Past
	log   *zap.Logger
	// treePage is that of the constant, but for tests.
	treePage int
	// listing is held by who makes a page of a list of keys. Of size 1.
	listing chan struct{}

	// parts[p] is owned by the shard of partition p.
	parts []partition

	// status is replaced as a whole.
	status atomic.Pointer[Status]

	rollbacks  atomic.Uint64 // own dots from the future that others sent
	unreadable atomic.Uint64 // damaged records met
	collisions atomic.Uint64 // one dot with two contents
	builds     atomic.Uint64 // trees built from what is stored
	mismatches atomic.Uint64 // of these, other trees than those that were there
	purged     atomic.Uint64 // tombstones that purge rounds took away
	ahead      aheadAlarm

	hints hintBook

	// purging has a token of whoever takes a step of a purge round: one at a time.
	purging chan struct{}
	// filling: the store's life has not been full yet (docs/adr/0022).
	filling atomic.Bool
	// fencing: a fence is being set.
	fencing atomic.Bool
}

// partition is what a shard keeps of one of its partitions beside the objects.
type partition struct {
	// Owned by the shard.
	minter          // as an owner
	standIn  minter // as a fallback
	requests requestTable
	hints    hintCount
	tree     partitionTree

	purges
	// fence is the highest placement version that was promised: older requests are refused
	// (TRAPS 5.4; fence.go).
	fence atomic.Uint64
}

// minters are those of both roles.
func (p *partition) minters() [2]*minter { return [2]*minter{&p.minter, &p.standIn} }

// minterOf is that of a role in a partition; nil where there is no such partition, or the
// role does not mint.
func (r *Replica) minterOf(number uint16, role kv.Role) *minter {
	switch {
	case int(number) >= len(r.parts):
		return nil
	case role == kv.RoleOwner:
		return &r.parts[number].minter
	case role == kv.RoleFallback:
		return &r.parts[number].standIn
	default:
		return nil
	}
}

// Status is what the node may tell of its store as a whole.
type Status struct {
	Ready     bool   // serves; false is not_ready
	Confirmed bool   // counts for pr, pw and fences
	Refused   bool   // not ready, and will not be by itself
	Filling   bool   // not ready, and stores what it is sent: a life that is not full yet
	Reason    string // why not ready, for people
}

// New returns the replica over an opened store, which is not confirmed yet and serves
// nothing until Confirm was called. The store must not run yet: its changes are followed
// from the first on.
func New(cfg Config, store *storage.Store, past Past, log *zap.Logger) (*Replica, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.MaxAhead == 0 {
		cfg.MaxAhead = DefaultMaxAhead
	}
	if cfg.HintBytes == 0 {
		cfg.HintBytes = DefaultHintBytes
	}
	r := &Replica{
		cfg: cfg, store: store, past: past, log: log, treePage: treePage,
		parts: make([]partition, cfg.Partitions), listing: make(chan struct{}, 1),
		hints:   hintBook{limit: cfg.HintBytes, cells: make(map[HintCell]*hintTotals)},
		purging: make(chan struct{}, 1),
	}
	for i := range r.parts {
		for _, m := range r.parts[i].minters() {
			m.node, m.stamp = cfg.Node, lastStamp(past, store)
			m.ahead = cfg.MaxAhead.Milliseconds()
		}
		r.parts[i].requests = newRequestTable(cfg.Partitions)
	}
	for _, m := range past.Marks {
		// Without a clean stop a mark is a leftover: dots may have been issued after it.
		usable := past.Stop == StopClean && m.Actor.Node() == uint16(cfg.Node)
		if minter := r.minterOf(m.Partition, m.Role); usable && minter != nil {
			minter.marked = vclock.Dot{Actor: m.Actor, Counter: m.Counter}
		}
	}
	r.filling.Store(past.Filling)
	for _, f := range past.Fences {
		if int(f.Partition) < len(r.parts) {
			r.parts[f.Partition].fence.Store(uint64(f.Version))
		}
	}
	r.adoptTrees(past.Trees)
	r.adoptPurges(past.Purges)
	store.Observe(r)
	r.status.Store(&Status{Reason: "starting: the group has not been asked yet"})
	return r, nil
}

// Confirm applies the group's verdict on this opening of the store. It may be called
// again: an unknown verdict becomes a known one when the group is back.
func (r *Replica) Confirm(v kv.Verdict) {
	state := stateAfter(v, r.past.Fresh())
	if mutant.On(mutant.RefusedStoreServes) && state == stateRefused {
		state = stateConfirmed
	}
	status := Status{
		Ready:     state != stateRefused,
		Confirmed: state == stateConfirmed,
		Refused:   v == kv.VerdictLost || v == kv.VerdictForked,
		Reason:    whyRefused(v, r.past.Fresh()),
	}
	if status.Ready && r.filling.Load() && !mutant.On(mutant.FillingServes) {
		status.Ready, status.Filling = false, true
		status.Reason = "its data was lost, and is being copied from the other owners"
	}
	r.status.Store(&status)
	if !status.Ready && !status.Filling {
		r.log.Error("store refused", zap.String("verdict", v.String()),
			zap.String("reason", status.Reason))
		return
	}
	r.log.Info("store judged", zap.String("verdict", v.String()),
		zap.String("last-stop", r.past.Stop.String()))
}

// Filled says that the store has all that it should. It shows at the next Confirm.
func (r *Replica) Filled() { r.filling.Store(false) }

// Filling reports whether the store does not have all that it should yet, whatever the group
// says of it.
func (r *Replica) Filling() bool { return r.filling.Load() }

// Status is the store's standing now.
func (r *Replica) Status() Status { return *r.status.Load() }

// Rollbacks counts how often others showed this store dots of its own present
// incarnation that it never issued. It must stay 0.
func (r *Replica) Rollbacks() uint64 { return r.rollbacks.Load() }

// Collisions counts how often one dot came with two contents. It must stay 0.
func (r *Replica) Collisions() uint64 { return r.collisions.Load() }

// Ahead counts versions that came with a stamp further ahead than MaxAhead: a node's clock
// is wrong.
func (r *Replica) Ahead() uint64 { return r.ahead.count.Load() }

// Unreadable counts the damaged records met since the start. It must stay 0.
func (r *Replica) Unreadable() uint64 { return r.unreadable.Load() }

// lastStamp is above which the clocks go on: what a clean stop left is exact, else the
// store has a bound.
func lastStamp(past Past, store *storage.Store) kv.Stamp {
	if past.Stop == StopClean {
		return past.Stamp
	}
	return max(past.Stamp, store.StampMark())
}

// deleted reports whether the group has deleted the bucket, as far as this node knows. Ids
// are never reused, so it stays deleted; one that nobody has heard of yet is served
// (ARCHITECTURE 7).
func (r *Replica) deleted(bucket kv.BucketID) bool {
	return r.cfg.Deleted != nil && r.cfg.Deleted(bucket)
}

// CleanActors returns the incarnations that a clean stop may keep. The store's shards
// must have ended. A store that the group refused keeps none.
func (r *Replica) CleanActors() (actors []wire.ActorMark, stamp kv.Stamp) {
	for p := range r.parts {
		for _, role := range [2]kv.Role{kv.RoleOwner, kv.RoleFallback} {
			m := r.minterOf(uint16(p), role)
			stamp = max(stamp, m.stamp)
			// A marked incarnation that this life did not use may be kept once more.
			last := m.last()
			if last.IsZero() || m.lost.Load() || r.Status().Refused {
				continue
			}
			actors = append(actors, wire.ActorMark{
				Partition: uint16(p), Role: role, Actor: last.Actor, Counter: last.Counter,
			})
		}
	}
	return actors, stamp
}

// Recall puts an entry of the store's journal into the table of request ids. It must be
// called before the store's shards run.
func (r *Replica) Recall(e wire.JournalEntry) {
	p := ring.PartitionOf(e.KeyHash, len(r.parts))
	r.parts[p].requests.add(requestKey{id: e.Request, keyHash: e.KeyHash}, e.Dot, e.At)
}
