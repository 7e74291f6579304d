// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// lookEvery is how often the schedule is looked at where nothing is due: a new ring has new
// pairs.
const lookEvery = time.Second

// Exchange compares this node's partitions with those of their other owners, for ever.
type Exchange struct {
	// Immutable after New.
	cfg   Config
	local Local
	peers Peers
	log   *zap.Logger
	mends *mends
	// wake is poked when the schedule changed from outside. Size 1: a token that is there
	// says the same.
	wake chan struct{}
	// ending is closed when nothing is to be begun any more.
	ending chan struct{}

	counts Counters

	mu      sync.Mutex // guards what follows; never held over a wait
	plan    *schedule
	running int       // exchanges under way
	mending bool      // a damaged record is being mended
	paused  time.Time // until then nothing is compared
	drained bool      // ending is closed
	// silent says of whom the last exchange has failed.
	silent map[kv.NodeID]bool
	// news is closed when a pair was compared, or the repairs were paused or resumed; nil
	// while nobody waits for that.
	news chan struct{}
}

// New returns what compares the node's own replica with those of its peers. It starts
// nothing.
func New(cfg Config, local Local, peers Peers, keeper Keeper, log *zap.Logger) (*Exchange, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	source := rand.New(rand.NewPCG(cfg.Rand.Uint64(), cfg.Rand.Uint64()))
	e := &Exchange{
		cfg: cfg, local: local, peers: peers, log: log, wake: make(chan struct{}, 1),
		ending: make(chan struct{}),
		plan:   newSchedule(cfg.Period, cfg.Retry, cfg.Rand), silent: make(map[kv.NodeID]bool),
	}
	e.mends = newMends(&e.cfg, keeper, peers, source, log)
	return e, nil
}

// Run compares until ctx ends, and returns when nothing of it is under way any more; calls
// that are open on connections end by their own deadlines. It returns nil.
func (e *Exchange) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { e.mends.run(ctx, e) })
	places := make(chan struct{}, e.cfg.AtOnce)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		a := e.await(ctx)
		if a == nil {
			return nil
		}
		running.Go(func() {
			defer func() { <-places }()
			e.exchange(ctx, a)
		})
	}
}

// await waits until a pair is due; nil where ctx ended before.
func (e *Exchange) await(ctx context.Context) *appointment {
	for {
		a, wait := e.next(time.Now())
		if a != nil {
			return a
		}
		timer := time.NewTimer(min(wait, lookEvery))
		select {
		case <-timer.C:
		case <-e.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (e *Exchange) next(now time.Time) (*appointment, time.Duration) {
	current := e.cfg.Ring()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plan.follow(current, e.cfg.Node, now)
	if e.drained {
		return nil, lookEvery
	}
	if wait := e.paused.Sub(now); wait > 0 {
		return nil, wait
	}
	a, wait := e.plan.next(now)
	if a != nil {
		e.running++
	}
	return a, wait
}

// exchange compares one pair.
func (e *Exchange) exchange(ctx context.Context, a *appointment) {
	outcome, err := e.compare(ctx, a.pair, e.patient(a))
	if ctx.Err() != nil {
		outcome = Stopped
	}
	e.counts.end(outcome)
	why := ""
	if err != nil {
		why = err.Error()
	}
	e.tell(a, outcome, why, e.wasSilent(a.node, outcome))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running--
	switch {
	case !errors.Is(err, errComing):
		a.coming = time.Time{}
	case a.coming.IsZero():
		a.coming = time.Now()
	}
	e.plan.ended(a, outcome, why, time.Now())
	e.spread()
}

// longestComing bounds how long a pair is left to hints. Where there are always some on
// their way it is compared about as often all the same: what no hint tells of must not
// stay behind.
const longestComing = 10 * time.Minute

// patient reports whether a pair may be left to hints that are on their way.
func (e *Exchange) patient(a *appointment) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return a.coming.IsZero() || time.Since(a.coming) < longestComing
}

// wasSilent reports whether the last exchange with a node has failed, and notes this one.
func (e *Exchange) wasSilent(node kv.NodeID, o Outcome) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.silent[node]
	if o != Stopped {
		e.silent[node] = o == Failed
	}
	return was
}

// tell logs what is news: pairs are compared for ever, and a node that is down fails all of
// its own.
func (e *Exchange) tell(a *appointment, o Outcome, why string, silent bool) {
	fields := []zap.Field{
		zap.Uint16("partition", a.partition), zap.Uint16("node", uint16(a.node)),
		zap.Stringer("outcome", o), zap.String("reason", why),
	}
	switch {
	case o == Repaired:
		e.log.Info("replicas brought together", fields...)
	case o == Failed && !silent:
		e.log.Warn("a node's replicas can not be compared for now", fields...)
	default:
		e.log.Debug("replicas compared", fields...)
	}
}

// compare runs one exchange.
func (e *Exchange) compare(ctx context.Context, at pair, patient bool) (Outcome, error) {
	current := e.cfg.Ring()
	if !e.cfg.Alive(at.node) {
		return Failed, notComparable("%s seems down", nameOf(current, at.node))
	}
	s := e.session(current, at)
	s.coming = func(ctx context.Context) error {
		for _, node := range [2]kv.NodeID{at.node, e.cfg.Node} {
			if patient && e.cfg.Coming != nil && e.cfg.Coming(ctx, node) {
				return fmt.Errorf("%w to %s", errComing, nameOf(current, node))
			}
		}
		return nil
	}
	return s.run(ctx)
}

func (e *Exchange) session(current *ring.Ring, at pair) *session {
	e.mu.Lock()
	from := uint16(e.plan.rand.IntN(antientropy.Leaves))
	e.mu.Unlock()
	return &session{
		cfg: &e.cfg, counts: &e.counts, partition: at.partition,
		placement: current.Placement(at.partition).Version,
		shape: antientropy.ShapeOf(
			current.HashSeed(), current.Partitions(), at.partition),
		near: sideOf(current, at.partition, e.cfg.Node, own{e.local}),
		far:  sideOf(current, at.partition, at.node, other{e.peers, at.node}),
		from: from, going: e.going, ending: e.ending, damaged: e.mends.add,
	}
}

func sideOf(current *ring.Ring, partition uint16, node kv.NodeID, r replicaSide) *side {
	slot, _ := current.SlotOf(partition, node)
	return &side{
		replicaSide: r, name: nameOf(current, node), slot: uint8(slot),
		instance: current.Instance(node),
	}
}

// nameOf is how people know a node.
func nameOf(current *ring.Ring, node kv.NodeID) string {
	if m, known := current.Member(node); known {
		return m.Name
	}
	return "a node that is no member"
}

// going returns errStopped while the repairs are paused, and once the node drains.
func (e *Exchange) going() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mayGo()
}

// mayGo is going where mu is held.
func (e *Exchange) mayGo() error {
	if e.drained || time.Now().Before(e.paused) {
		return errStopped
	}
	return nil
}

// beginMending is going, and has Drain wait for endMending.
func (e *Exchange) beginMending() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.mayGo(); err != nil {
		return err
	}
	e.mending = true
	return nil
}

func (e *Exchange) endMending() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mending = false
	e.spread()
}

// Damaged tells of a key whose record this node can not read: it is mended from the other
// owners, after a while.
func (e *Exchange) Damaged(partition uint16, bucket kv.BucketID, key []byte) {
	e.mends.add(partition, wire.TreePlace{Bucket: bucket, Key: key})
}

// poke has Run look at the schedule.
func (e *Exchange) poke() {
	select {
	case e.wake <- struct{}{}:
	default: // it has yet to look, and will see this too
	}
}

// spread wakes who waits for news. mu is held.
func (e *Exchange) spread() {
	if e.news != nil {
		close(e.news)
		e.news = nil
	}
}
