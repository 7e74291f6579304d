// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// Store is the store of one node. Its methods may be called at the same time.
type Store struct {
	// Immutable after Open.
	cfg    Config
	engine Engine
	log    *zap.Logger
	shards []*shard
	pipe   *pipe
	limit  Limits // of one commit, as the engine says, the journal's share taken off
	packed Limits // of a commit of several changes

	observer Observer // nil, or set before Run

	reads   generations
	journal journal   // owned by the committer once Run has begun
	stamps  stampMark // as the journal
	disk    diskWatch

	// durable is the newest commit that every shard knows of.
	durable atomic.Uint64
	// failure is the first error of a write or a sync, nil while there is none.
	failure atomic.Pointer[error]
	running atomic.Bool
	stats   counters
}

// Open returns a store on engine, which it owns from now on. It refuses a disk that is
// below its low water mark with ErrDiskFull. Nothing is done before Run is called.
func Open(cfg Config, engine Engine, log *zap.Logger) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	limit := engine.Limits()
	limit.Bytes -= journalRoom + markRoom
	limit.Count -= journalWrites + 1 // the stamp mark
	packed := limit
	packed.Bytes = min(packed.Bytes, cfg.BatchBytes)
	if limit.Bytes < 1<<10 || limit.Count < 1 {
		return nil, fmt.Errorf("storage: the engine takes only %d bytes in one commit; "+
			"give it a larger memtable", engine.Limits().Bytes)
	}
	s := &Store{
		cfg: cfg, engine: engine, log: log, limit: limit, packed: packed,
		pipe: newPipe(cfg.AheadBytes),
		disk: diskWatch{free: cfg.FreeBytes, low: cfg.LowWater, high: cfg.HighWater},
	}
	if err := s.disk.look(); err != nil {
		return nil, err
	}
	if s.disk.full.Load() {
		return nil, fmt.Errorf("%w: fewer than %d bytes are free", ErrDiskFull, cfg.LowWater)
	}
	newest := engine.MaxVersion()
	s.durable.Store(newest)
	s.reads.start.Store(newest)
	if err := s.journal.open(engine, newest, cfg.JournalNotes, cfg.JournalAge); err != nil {
		return nil, err
	}
	if err := s.stamps.open(engine, newest); err != nil {
		log.Error("the clock of the last life is unknown", zap.Error(err))
	}
	for range cfg.Shards {
		s.shards = append(s.shards, newShard(s, newest))
	}
	return s, nil
}

// Run does the store's work until ctx ends; then it finishes what was accepted and
// returns nil. It returns an error in whose chain is ErrFailed after the first failed
// write or sync: from then on the store answers nothing but that, and the process
// should end. Run may be called once.
func (s *Store) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("storage: Run was called twice")
	}
	group, ctx := errgroup.WithContext(ctx)
	var shards sync.WaitGroup
	for _, sh := range s.shards {
		shards.Go(sh.run)
	}
	answers := make(chan *batch, 1) // one commit may be answered while the next is made
	group.Go(func() error {
		<-ctx.Done()
		s.closeQueues()
		shards.Wait()
		s.pipe.close()
		return nil
	})
	group.Go(func() error {
		defer close(answers)
		return s.commitAll(answers)
	})
	group.Go(func() error {
		for b := range answers {
			s.publish(b)
			_ = s.cfg.Points.Hit(PointAnswer) // too late for an error
			b.answer(Result{Outcome: OutcomeDurable})
			b.done()
		}
		return nil
	})
	group.Go(func() error { return s.tend(ctx) })
	return group.Wait()
}

// Close closes the engine. Run must have returned.
func (s *Store) Close() error {
	s.closeQueues()
	for _, sh := range s.shards {
		sh.drop(sh.queue.take(nil))
	}
	if err := s.engine.Close(); err != nil {
		return fmt.Errorf("storage: close: %w", err)
	}
	return nil
}

// Do takes an operation in, to be applied when its turn comes. It may read the disk
// before it returns, so that the shard need not; it never waits for other operations.
//
// An error says that nothing was stored and that Done is not called: ErrOverloaded,
// ErrDiskFull, ErrExpired, ErrClosed or ErrFailed.
func (s *Store) Do(op *Op) error {
	switch {
	case s.failure.Load() != nil:
		return s.failed()
	case s.disk.full.Load():
		return ErrDiskFull
	case op.expired():
		return ErrExpired
	}
	if err := s.cfg.Points.Hit(PointTake); err != nil {
		return fmt.Errorf("%w: %w", ErrOverloaded, err)
	}
	sh := s.shardOf(op.Partition)
	op.turn = turn{
		at:    placeOf(op.Space, op.Partition, op.Bucket, op.Key),
		shard: sh,
		bytes: op.Bytes + 2*len(op.Key) + opOverhead,
	}
	if err := sh.queue.reserve(op.turn.bytes); err != nil {
		return err
	}
	if !sh.overlay.has(op.turn.at.record) {
		op.turn.fetched = s.fetch(sh, op.turn.at, oneRecord)
	}
	return sh.queue.push(op)
}

// Visit runs fn in the goroutine of the shard that owns the partition, between two
// operations, so that it may touch the partition's state. fn must not wait for
// anything. It is called exactly once, unless Visit returns an error; err is nil, or
// says that the store stopped first: then fn runs elsewhere and must touch nothing.
func (s *Store) Visit(partition uint16, fn func(err error)) error {
	op := &Op{Partition: partition, turn: turn{visit: fn, bytes: opOverhead}}
	sh := s.shardOf(partition)
	if err := sh.queue.reserve(op.turn.bytes); err != nil {
		return err
	}
	return sh.queue.push(op)
}

func (s *Store) shardOf(partition uint16) *shard {
	return s.shards[int(partition)%len(s.shards)]
}

// fail stops the store at its first failed write (fail-stop: after one failed sync an
// engine may acknowledge writes that the next power loss takes away).
func (s *Store) fail(err error) error {
	err = fmt.Errorf("%w: %w", ErrFailed, err)
	if s.failure.CompareAndSwap(nil, &err) {
		s.log.Error("store stops", zap.Error(err))
	}
	s.closeQueues()
	return s.failed()
}

// failed is the error that stopped the store, nil while none did.
func (s *Store) failed() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *Store) closeQueues() {
	err := s.failed()
	if err == nil {
		err = ErrClosed
	}
	for _, sh := range s.shards {
		sh.queue.close(err)
	}
}

// tend looks after engine, disk and discard timestamp from time to time.
func (s *Store) tend(ctx context.Context) error {
	every := time.NewTicker(s.cfg.TendEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
		if err := s.engine.Tend(); err != nil {
			return s.fail(err)
		}
		if err := s.disk.look(); err != nil {
			s.log.Warn("free space of the disk is unknown", zap.Error(err))
		}
		if discard, moved := s.reads.advance(s.durable.Load()); moved {
			s.engine.SetDiscard(discard)
		}
	}
}
