// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// ErrNotSent is in the chain of a Peers error where the request certainly never left
// this node, so that the peer certainly did nothing.
var ErrNotSent = errors.New("coordinator: not sent")

// Peers reaches the other members. Requests are lent until done was called, which
// happens exactly once per call, perhaps before the call returns; done is quick and never
// waits.
type Peers interface {
	Store(kv.NodeID, *wire.StoreRequest, time.Time, func(wire.StoreReply, error))
	Read(kv.NodeID, *wire.ReadRequest, time.Time, func(wire.ReadReply, error))
	Scan(kv.NodeID, *wire.ScanRequest, time.Time, func(wire.ScanReply, error))
	Forward(kv.NodeID, *wire.ForwardRequest, time.Time, func(wire.ForwardReply, error))
}

// Local is this node's own replica; calls pass the same checks as from outside.
type Local interface {
	Mint(*replica.MintRequest)
	Store(replica.StoreRequest)
	Read(*wire.ReadRequest) wire.ReadReply
	Scan(*wire.ScanRequest) wire.ScanReply
	// Mark notes that the member of a slot lacks what a context covers; done is called once,
	// perhaps before Mark returns, and is quick.
	Mark(partition uint16, slot uint8, bucket kv.BucketID, key []byte, lacks vclock.Context,
		done func(kept bool))
	Status() replica.Status
}

// Config says how requests are carried.
type Config struct {
	// Node is this member's number.
	Node kv.NodeID
	// Ring returns the newest ring that this node knows; nil before formation.
	Ring func() *ring.Ring
	// Alive is an opinion: it orders replicas and tells a hopeless request early.
	Alive func(kv.NodeID) bool
	// Now is the node's wall clock: what expires is decided by it.
	Now func() time.Time
	// SendTimeout is how long a write's sends go on after the client was answered.
	SendTimeout time.Duration
	// HintAfter is the least time that a replica is given to store a write before a fallback
	// is asked to keep a hint for it; who is slow as a rule is given more. Below the time of a
	// busy disk's sync every burst of writes would make hints of itself.
	HintAfter time.Duration
	// MaxRepairs bounds the repairs under way; above it they are left to the next read,
	// and to anti-entropy.
	MaxRepairs int
	// MaxFanOut bounds the keys of one get_many that are read at the same time.
	MaxFanOut int
	// MaxReads bounds the reads that all get_manys together have under way, beside one of
	// each: else each would be as heavy as MaxFanOut of the requests that were admitted.
	MaxReads int
	// ScanTime bounds one page of a scan; what is there by then is the page.
	ScanTime time.Duration
	// Points and Trace are for tests and checkers; nil in a product build.
	Points *fail.Set
	Trace  *trace.Tracer
}

// DefaultConfig has the values that suit a cluster in one place.
func DefaultConfig() Config {
	return Config{
		SendTimeout: 5 * time.Second, HintAfter: 100 * time.Millisecond, MaxRepairs: 256,
		MaxFanOut: 32, MaxReads: 256, ScanTime: 2 * time.Second,
	}
}

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var faults []error
	if c.Node == 0 || c.Ring == nil || c.Alive == nil || c.Now == nil {
		faults = append(faults, errors.New("coordinator: node, ring, liveness and clock are needed"))
	}
	if c.SendTimeout <= 0 || c.HintAfter <= 0 || c.ScanTime <= 0 {
		faults = append(faults, fmt.Errorf("coordinator: send timeout %v, time until hints %v and "+
			"scan time %v must be above 0", c.SendTimeout, c.HintAfter, c.ScanTime))
	}
	if c.MaxRepairs < 1 || c.MaxFanOut < 1 || c.MaxReads < 1 {
		faults = append(faults, fmt.Errorf("coordinator: %d repairs, %d reads of a get_many and %d "+
			"of all at a time must be at least 1", c.MaxRepairs, c.MaxFanOut, c.MaxReads))
	}
	return errors.Join(faults...)
}

// Coordinator carries client requests over the replicas of their keys.
type Coordinator struct {
	// Immutable after New.
	cfg   Config
	local Local
	peers Peers
	log   *zap.Logger

	// open counts calls whose end nobody waits for any more but Drain.
	open tracker

	repairing atomic.Int64 // repairs under way. Invariant: <= MaxRepairs
	repairs   atomic.Uint64
	skipped   atomic.Uint64 // repairs that were not made, at the bound
	reading   atomic.Int64  // reads beside those of requests. Invariant: <= MaxReads

	mu    sync.Mutex // guards tries; never held over a wait
	tries map[kv.NodeID]*latencies
}

// New returns a coordinator over the node's own replica and its peers.
func New(cfg Config, local Local, peers Peers, log *zap.Logger) (*Coordinator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Coordinator{
		cfg: cfg, local: local, peers: peers, log: log, tries: make(map[kv.NodeID]*latencies),
	}, nil
}

// Drain waits until the sends and repairs of all requests have ended, or ctx is done:
// each of them has a deadline of at most SendTimeout or the request's own. It speaks of
// the moment: who still takes requests, also forwarded ones, drains again afterwards.
func (c *Coordinator) Drain(ctx context.Context) error {
	if err := c.open.wait(ctx); err != nil {
		return fmt.Errorf("coordinator: sends still open: %w", err)
	}
	return nil
}

// MarkSends parts the calls that have begun by now from those that will. Once EndedSends has
// come to the mark, none of the former is open.
func (c *Coordinator) MarkSends() (mark uint64) { return c.open.mark() }

// EndedSends is the newest mark of which no call that began before is open.
func (c *Coordinator) EndedSends() (mark uint64) { return c.open.ended() }

// Repairs counts read repairs that were sent, and those left out at the bound.
func (c *Coordinator) Repairs() (sent, skipped uint64) {
	return c.repairs.Load(), c.skipped.Load()
}

// deadlineOf is until when a request's calls are worth an answer.
func (c *Coordinator) deadlineOf(ctx context.Context) time.Time {
	if deadline, bounded := ctx.Deadline(); bounded {
		return deadline
	}
	return time.Now().Add(c.cfg.SendTimeout) // every wait has an end
}

// latenciesOf returns what is known of a member's answering times.
func (c *Coordinator) latenciesOf(node kv.NodeID) *latencies {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, known := c.tries[node]
	if !known {
		l = &latencies{} // one per member that ever was: bounded by node numbers
		c.tries[node] = l
	}
	return l
}
