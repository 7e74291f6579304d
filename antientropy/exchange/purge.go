// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/internal/budget"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// PurgeLocal is this node's own replica.
type PurgeLocal interface {
	LookPurge(context.Context, *wire.PurgeRequest) wire.PurgeReply
	ConfirmPurge(context.Context, *wire.PurgeRequest) wire.PurgeReply
	AdoptPurge(context.Context, *wire.PurgeRequest) wire.PurgeReply
	DrainPurge(context.Context, *wire.PurgeRequest) wire.PurgeReply
	DeletePurged(context.Context, *wire.PurgeRequest) wire.PurgeReply
	HeedPurge(ctx context.Context, partition uint16, committed kv.PurgeEpoch) error
	Overdue(partition uint16, from storage.Position, grace, margin time.Duration) (
		replica.Overdue, error)
}

// PurgePeers asks other members to take steps, under the rules of Peers.
type PurgePeers interface {
	Purge(kv.NodeID, string, *wire.PurgeRequest, time.Time, func(wire.PurgeReply, error))
}

// PurgeGroup is the metadata group.
type PurgeGroup interface {
	// BeginPurge issues the epoch of a round after the one that is committed.
	BeginPurge(ctx context.Context, partition uint16, placement kv.PlacementVersion,
		after kv.PurgeEpoch) (kv.PurgeEpoch, error)
	// CommitPurge commits it.
	CommitPurge(ctx context.Context, r antientropy.Round) error
	// Purged is the committed epoch of a partition, as far as this node has heard.
	Purged(partition uint16) kv.PurgeEpoch
	// Registered are the members that the group has now: it is asked.
	Registered(ctx context.Context) ([]kv.NodeID, error)
}

// Sends tells when what this node has under way for clients has ended (coordinator).
type Sends interface {
	MarkSends() (mark uint64)
	EndedSends() (mark uint64)
}

// PurgeConfig says when tombstones are purged.
type PurgeConfig struct {
	// Node is this member's number.
	Node kv.NodeID
	// Ring returns the newest ring that this node knows; nil before formation.
	Ring func() *ring.Ring
	// Alive is an opinion: while a member seems down no round is begun, for all members have
	// to take part.
	Alive func(kv.NodeID) bool
	// Budget is shared with all background work of the node: what is looked through takes from
	// it, and what is written in the place of what has expired.
	Budget Budget
	// Grace is how old a tombstone must be.
	Grace time.Duration
	// Margin is how long ago a version must have expired before a tombstone takes its place.
	Margin time.Duration
	// Expire writes that tombstone, as for a client.
	Expire func(context.Context, kv.BucketID, []byte, kv.Object) error
	// Every is how often a partition is looked through for tombstones.
	Every time.Duration
	// Rest stands between two pages of that, and between two questions to who is not ready.
	Rest time.Duration
	// CallTimeout bounds each step; Longest a phase of a round, which ends there.
	CallTimeout, Longest time.Duration
}

// DefaultExpiryMargin is more than a clock is wrong by that anybody has set: above it reads
// are wrong as well.
const DefaultExpiryMargin = 2 * time.Hour

const (
	// maxPurge is how many keys one round takes away: each costs its owners a read and a
	// small write, all of them at once.
	maxPurge = 512
	// leastPurgeEvery is the least of Every, mostPurgeEvery the most.
	leastPurgeEvery, mostPurgeEvery = 5 * time.Second, time.Hour
	// expireRest stands between two keys that have expired: clients go before.
	expireRest = 2 * time.Millisecond
	// heedEvery is how often a node looks which epochs are committed that it was not told of.
	heedEvery = 10 * time.Second
)

// DefaultPurgeConfig has the values that suit a grace: the longer tombstones are kept the
// less it matters when exactly they go, and looking for them reads what the node holds.
func DefaultPurgeConfig(grace time.Duration) PurgeConfig {
	return PurgeConfig{
		Grace: grace, Margin: DefaultExpiryMargin,
		Every: min(max(grace/24, leastPurgeEvery), mostPurgeEvery),
		Rest:  100 * time.Millisecond, CallTimeout: 5 * time.Second, Longest: 30 * time.Second,
	}
}

// Validate returns every fault of c, joined.
func (c PurgeConfig) Validate() error {
	var faults []error
	if c.Node == 0 || c.Ring == nil || c.Alive == nil || c.Expire == nil || c.Budget == nil {
		faults = append(faults,
			errors.New("purge: node, ring, liveness, budget and coordinator are needed"))
	}
	if c.Grace < 0 || c.Margin < 0 || c.Every <= 0 || c.Rest <= 0 || c.CallTimeout <= 0 ||
		c.Longest <= 0 {
		faults = append(faults, fmt.Errorf("purge: grace %v and margin %v must not be below 0; "+
			"every %v, rest %v, call timeout %v and longest %v must be above 0", c.Grace,
			c.Margin, c.Every, c.Rest, c.CallTimeout, c.Longest))
	}
	return errors.Join(faults...)
}

// Purger leads the purge rounds of the partitions that this node is the first owner of, and
// takes the steps of those that others lead.
type Purger struct {
	// Immutable after NewPurger.
	cfg   PurgeConfig
	local PurgeLocal
	peers PurgePeers
	group PurgeGroup
	sends Sends
	log   *zap.Logger

	counts purgeCounters

	mu    sync.Mutex // guards marks; never held over a wait
	marks map[uint16]sendMark
}

// sendMark parts the sends that were under way when an epoch was adopted from later ones.
type sendMark struct {
	epoch kv.PurgeEpoch
	mark  uint64
}

// NewPurger returns a purger, and starts nothing.
func NewPurger(
	cfg PurgeConfig, local PurgeLocal, peers PurgePeers, group PurgeGroup, sends Sends,
	log *zap.Logger,
) (*Purger, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Purger{
		cfg: cfg, local: local, peers: peers, group: group, sends: sends, log: log,
		marks: make(map[uint16]sendMark),
	}, nil
}

// Run purges until ctx ends. It returns nil, or the error of a store that keeps nothing any
// more.
func (u *Purger) Run(ctx context.Context) error {
	due := time.Now().Add(u.cfg.Every)
	for {
		if err := u.heed(ctx); err != nil && ctx.Err() == nil {
			u.log.Warn("committed purge epochs not adopted", zap.Error(err))
		}
		if !time.Now().Before(due) {
			u.tendAll(ctx)
			due = time.Now().Add(u.cfg.Every)
		}
		if rest(ctx, min(heedEvery, u.cfg.Every)) != nil {
			return nil
		}
	}
}

func (u *Purger) tendAll(ctx context.Context) {
	current := u.cfg.Ring()
	for p := 0; current != nil && p < current.Partitions() && ctx.Err() == nil; p++ {
		if err := u.tend(ctx, uint16(p)); err != nil {
			u.log.Debug("tombstones not purged", zap.Int("partition", p), zap.Error(err))
		}
	}
}

// heed adopts what the group has committed, in all partitions. It is the first thing after
// a start: the store may have been put back to what it was before a round.
func (u *Purger) heed(ctx context.Context) error {
	current := u.cfg.Ring()
	if current == nil {
		return nil
	}
	for p := range current.Partitions() {
		if err := u.local.HeedPurge(ctx, uint16(p), u.group.Purged(uint16(p))); err != nil {
			return err
		}
	}
	return nil
}

// tend looks through a partition and leads rounds over what it finds.
func (u *Purger) tend(ctx context.Context, p uint16) error {
	placement := u.cfg.Ring().Placement(p)
	if len(placement.Slots) == 0 || placement.Slots[0].Reader() != u.cfg.Node {
		return nil
	}
	var from storage.Position
	var failed error // of the first round that could not go on: the others could not either
	for more := true; more; {
		var items []antientropy.Item
		for more && len(items) < maxPurge {
			found, err := u.local.Overdue(p, from, u.cfg.Grace, u.cfg.Margin)
			if err != nil {
				return err
			}
			items, from, more = append(items, found.Items...), found.Next, found.More
			if err := u.cfg.Budget.Take(ctx, found.Bytes); err != nil {
				return err
			}
			u.expire(ctx, found.Expired)
			if more && rest(ctx, u.cfg.Rest) != nil {
				return ctx.Err()
			}
		}
		if len(items) > 0 && failed == nil {
			failed = u.lead(ctx, p, items[:min(len(items), wire.MaxList)])
			u.counts.ended(failed)
		}
	}
	return failed
}

// expire has tombstones take the place of what has expired, one after another. What fails is
// found again.
func (u *Purger) expire(ctx context.Context, expired []replica.Outlived) {
	for i := range expired {
		at := &expired[i]
		if u.cfg.Budget.Take(ctx, budget.Piece+len(at.Key)+at.Object.Size()) != nil {
			return
		}
		bound, cancel := context.WithTimeout(ctx, u.cfg.CallTimeout)
		err := u.cfg.Expire(bound, at.Bucket, at.Key, at.Object)
		cancel()
		if err != nil {
			u.log.Debug("expired key not deleted", zap.Error(err))
			return // the others would fail as well
		}
		u.counts.expired.Add(1)
		if rest(ctx, expireRest) != nil {
			return
		}
	}
}

// Take answers a step that a member has asked for, this node included.
func (u *Purger) Take(
	ctx context.Context, method string, req *wire.PurgeRequest,
) wire.PurgeReply {
	switch method {
	case wire.MethodPurgeLook:
		return u.local.LookPurge(ctx, req)
	case wire.MethodPurgeConfirm:
		return u.local.ConfirmPurge(ctx, req)
	case wire.MethodPurgeDelete:
		return u.local.DeletePurged(ctx, req)
	}
	reply := u.local.AdoptPurge(ctx, req)
	if reply.Step != wire.PurgeOpen {
		return reply
	}
	if !u.sent(req) {
		reply.Detail = "sends of before are under way"
		return reply
	}
	return u.local.DrainPurge(ctx, req)
}

// sent reports whether the sends have ended that were under way when this node adopted the
// epoch; at the first question they are parted from later ones.
func (u *Purger) sent(req *wire.PurgeRequest) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	at := u.marks[req.Partition]
	if at.epoch != req.Epoch {
		at = sendMark{epoch: req.Epoch, mark: u.sends.MarkSends()}
		u.marks[req.Partition] = at
	}
	return u.sends.EndedSends() >= at.mark
}

// rest waits, or returns the error with which ctx ended.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
