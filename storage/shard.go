// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
)

// opOverhead is what an operation takes in memory beside what it says of itself.
const opOverhead = 512

// turn is what the store notes on an operation while it waits.
type turn struct {
	at      place
	shard   *shard
	bytes   int // that the queue counts
	held    int // bytes of fetched that the queue counts
	fetched fetched
	visit   func(error) // instead of Apply and Done
}

// fetched is a state with the timestamp at which it was read, 0 where nothing was.
type fetched struct {
	stored
	ts uint64
}

func (op *Op) expired() bool { return !op.Deadline.IsZero() && time.Now().After(op.Deadline) }

// shard is one goroutine that owns partitions outright: all their operations take
// their turns here, so no key needs a lock.
type shard struct {
	store   *Store
	queue   *queue
	overlay *overlay
}

func newShard(s *Store, durable uint64) *shard {
	n := s.cfg.Shards
	return &shard{
		store:   s,
		queue:   newQueue(s.cfg.QueueOps/n, s.cfg.QueueBytes/n),
		overlay: newOverlay(s.cfg.CacheBytes/n, durable),
	}
}

// run takes turns until the queue is closed and empty.
func (sh *shard) run() {
	var spare []*Op
	for {
		ops := sh.queue.take(spare)
		if len(ops) == 0 {
			return
		}
		if sh.store.failure.Load() != nil {
			sh.drop(ops)
		} else {
			for _, op := range ops {
				sh.take(op)
			}
		}
		clear(ops)
		spare = ops
	}
}

// drop answers operations whose turn will not come.
func (sh *shard) drop(ops []*Op) {
	err := sh.store.failed()
	if err == nil {
		err = ErrClosed
	}
	for _, op := range ops {
		if op.turn.visit != nil {
			op.turn.visit(err)
			continue
		}
		op.Done(Result{Outcome: OutcomeNone, Err: err})
	}
}

// take gives an operation its turn.
func (sh *shard) take(op *Op) {
	if op.turn.visit != nil {
		op.turn.visit(nil)
		return
	}
	err := sh.store.cfg.Points.Hit(PointApply)
	switch {
	case err != nil:
		op.Done(Result{Outcome: OutcomeNone, Err: fmt.Errorf("%w: %w", ErrExpired, err)})
		return
	case op.expired():
		op.Done(Result{Outcome: OutcomeNone, Err: ErrExpired})
		return
	case sh.store.disk.full.Load():
		op.Done(Result{Outcome: OutcomeNone, Err: ErrDiskFull})
		return
	}
	before, rests := sh.current(op)
	next := op.Apply(before.current)
	if next.kind == nextLoad && before.current.State == StatePresent && !before.current.Full {
		before = sh.store.fetch(sh, op.turn.at, wholeObject).stored
		next = op.Apply(before.current)
	}
	op.turn.fetched = fetched{} // may hold values; not needed any more
	switch {
	case next.kind == nextPut, next.kind == nextRemove && before.current.State != StateAbsent:
		sh.change(op, before, next)
		return
	}
	if rests == nil && sh.store.cfg.Trace != nil && before.current.State == StatePresent {
		sh.store.traceDurable(op, sh.overlay.readableAt(), &before.current.Object)
	}
	sh.keep(op, rests)
}

// current is the state that the operation finds, and the change that it rests on. What
// was fetched before the turn counts only if the key can not have been committed
// since (I2).
func (sh *shard) current(op *Op) (before stored, rests *change) {
	at := op.turn.at
	if s, rests, found := sh.overlay.newest(at.record); found {
		return s, rests
	}
	f := op.turn.fetched
	if f.ts == 0 || !sh.overlay.valid(f.ts) && !mutant.On(mutant.FetchedNotChecked) {
		f = sh.store.fetch(sh, at, oneRecord)
	}
	sh.overlay.learn(at.record, f.ts, f.stored)
	return f.stored, nil
}

// keep answers an operation that changes nothing: at once, or with the commit that it
// rests on (I1). The pipe keeps the order, so that commit is this one's or an earlier.
func (sh *shard) keep(op *Op, rests *change) {
	if rests == nil || mutant.On(mutant.KeepNotAwaited) {
		op.Done(Result{Outcome: OutcomeDurable})
		return
	}
	sh.hand(&change{op: op, shard: sh})
}

// change makes what is next the newest state and hands it to the committer.
func (sh *shard) change(op *Op, before stored, next Next) {
	c, err := sh.store.prepare(op, before, next)
	if err != nil {
		op.Done(Result{Outcome: OutcomeNone, Err: err})
		return
	}
	c.shard = sh
	if sh.store.cfg.Trace != nil {
		c.values = valuesOf(&before.current.Object)
	}
	sh.overlay.apply(op.turn.at.record, c, before)
	if sh.store.observer != nil {
		sh.store.observer.Changed(op, &before.current, &c.next.current)
	}
	sh.hand(c)
}

func (sh *shard) hand(c *change) {
	if !sh.store.pipe.add(c) {
		c.op.Done(sh.store.unknown())
	}
}

// unknown is the answer to what was open when the store failed.
func (s *Store) unknown() Result {
	return Result{Outcome: OutcomeUnknown, Err: s.failed()}
}
