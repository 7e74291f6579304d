// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// cleanRounds is how many rounds of comparison in a row must find nothing.
const cleanRounds = 2

// Filler fills this node's store.
type Filler struct {
	// Immutable after New.
	cfg   Config
	parts Parts
	log   *zap.Logger

	// Owned by Run.
	notes []wire.RefillSource
	given bool // the purge epochs are this store's

	mu     sync.Mutex // guards status; nothing waits under it
	status Status
}

// New returns a filler that does nothing before Run.
func New(cfg Config, parts Parts, log *zap.Logger) (*Filler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Filler{cfg: cfg, parts: parts, log: log, status: Status{Phase: phaseFence}}, nil
}

// errLocal is in the chain of an error of this node's own disk: there is no other try.
var errLocal = errors.New("transfer: this node's own store fails")

// Run fills the store, and returns true when the group has said that it is full. It tries
// again whatever fails elsewhere, until ctx ends; an error is that of this node's disk.
func (f *Filler) Run(ctx context.Context) (full bool, err error) {
	if f.notes, err = f.parts.Notes.Load(); err != nil {
		return false, fmt.Errorf("%w: read what was copied: %w", errLocal, err)
	}
	for told := ""; ; {
		err := f.attempt(ctx)
		switch {
		case err == nil:
			f.tell(func(s *Status) { *s = Status{Phase: phaseFull, Keys: s.Keys} })
			f.log.Info("the store is full")
			return true, nil
		case ctx.Err() != nil:
			return false, nil
		case errors.Is(err, errLocal):
			return false, err
		}
		f.tell(func(s *Status) { s.Why = err.Error() })
		if text := err.Error(); text != told {
			f.log.Warn("the refill waits", zap.Error(err))
			told = text
		}
		if sleep(ctx, f.cfg.Pause) != nil {
			return false, nil
		}
	}
}

// attempt does all that is still to be done, and returns nil at the end.
func (f *Filler) attempt(ctx context.Context) error {
	refill := f.parts.Group.Refill()
	if !refill.Active() {
		return nil // the group has said so before
	}
	if err := f.takeEpochs(ctx); err != nil {
		return err
	}
	if err := f.copyMissing(ctx, refill); err != nil {
		return err
	}
	for clean := 0; clean < cleanRounds; clean++ {
		if err := f.cfg.Points.Hit(PointCompare); err != nil {
			return err
		}
		lacked, err := f.compare(ctx, refill)
		if err != nil {
			return err
		}
		if lacked > 0 {
			f.log.Info("a round of comparison found what was not here", zap.Int("keys", lacked))
			clean = -1 // this round is none of those in a row
		}
	}
	f.tell(func(s *Status) { s.Phase, s.Source = phaseReport, 0 })
	bound, cancel := context.WithTimeout(ctx, f.cfg.CallTimeout)
	defer cancel()
	err := f.cfg.Points.Hit(PointFenceSelf)
	var fence kv.PlacementVersion
	if err == nil {
		fence, err = f.parts.Local.FenceSelf(bound)
	}
	if err != nil {
		return fmt.Errorf("transfer: fence this node: %w", err)
	}
	if err := f.cfg.Points.Hit(PointReport); err != nil {
		return err
	}
	f.cfg.Trace.Emit(trace.Event{
		Kind: trace.RefillReported, Value: uint64(fence), Counter: uint64(f.cfg.Instance),
	})
	return f.parts.Group.Finish(bound, fence, f.sources())
}

// takeEpochs gives the store the purge epochs of its partitions before it has anything: from
// then on it takes no data that is older than what was purged, from nobody (TRAPS T19, G5).
func (f *Filler) takeEpochs(ctx context.Context) error {
	current := f.cfg.Ring()
	for p := range current.Partitions() {
		if f.given || !current.Placement(uint16(p)).Has(f.cfg.Node) {
			continue
		}
		epoch := f.parts.Group.PurgeEpoch(uint16(p))
		if epoch == 0 {
			continue
		}
		if err := f.parts.Local.GivenPurge(ctx, uint16(p), epoch); err != nil {
			return fmt.Errorf("%w: purge epoch of partition %d: %w", errLocal, p, err)
		}
	}
	f.given = true
	return nil
}

// copyMissing fences and copies all owners that are still to be. One that fails does not
// keep the others from being copied.
func (f *Filler) copyMissing(ctx context.Context, refill ring.Refill) error {
	missing := f.parts.Group.Missing(f.sources())
	f.tellProgress(missing)
	var faults []error
	for _, node := range missing {
		if err := f.copyOne(ctx, refill, node); err != nil {
			if errors.Is(err, errLocal) || ctx.Err() != nil {
				return err
			}
			faults = append(faults, fmt.Errorf("transfer: %s: %w", f.nameOf(node), err))
		}
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	missing = f.parts.Group.Missing(f.sources())
	f.tellProgress(missing)
	if len(missing) > 0 {
		return fmt.Errorf("transfer: nodes %v are still to be copied", missing)
	}
	return nil
}

// copyOne fences an owner and then copies it (I1).
func (f *Filler) copyOne(ctx context.Context, refill ring.Refill, node kv.NodeID) error {
	current := f.cfg.Ring()
	note := f.noteOf(node, current.Instance(node), current.Partitions())
	f.tell(func(s *Status) { s.Phase, s.Source = phaseFence, node })
	q := wire.FenceRequest{
		Node: f.cfg.Node, Life: f.cfg.Instance, Since: refill.Since, Instance: note.Instance,
		RemainingMS: uint32(f.cfg.CallTimeout.Milliseconds()),
	}
	if err := f.fence(ctx, node, &q); err != nil {
		return fmt.Errorf("fence: %w", err)
	}
	shared := f.shared(current, node)
	for i, p := range shared {
		f.tell(func(s *Status) { s.Phase, s.Copied, s.Partitions = phaseCopy, i, len(shared) })
		if has(note.Copied, p) {
			continue
		}
		err := f.cfg.Points.Hit(PointCopy)
		if err == nil {
			err = f.copyPartition(ctx, refill, source{node, note.Instance}, p)
		}
		if err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
		f.cfg.Trace.Emit(trace.Event{
			Kind: trace.PartitionCopied, Partition: uint32(p), Peer: uint16(node),
			Value: uint64(refill.Since), Counter: uint64(f.cfg.Instance),
		})
		set(note.Copied, p)
		if err = f.cfg.Points.Hit(PointNote); err == nil {
			err = f.parts.Notes.Save(f.notes)
		}
		if err != nil {
			return fmt.Errorf("%w: note what was copied: %w", errLocal, err)
		}
		f.tell(func(s *Status) { s.PairsCopied, s.Why = s.PairsCopied+1, "" })
	}
	f.tell(func(s *Status) { s.Copied = len(shared) })
	return nil
}

// fence has another owner refuse what is older than this life, durably.
func (f *Filler) fence(ctx context.Context, node kv.NodeID, q *wire.FenceRequest) error {
	if mutant.On(mutant.CopyBeforeFences) {
		return nil
	}
	if err := f.cfg.Points.Hit(PointFence); err != nil {
		return err
	}
	reply, err := call(ctx, f.cfg.CallTimeout,
		func(at time.Time, done func(wire.FenceReply, error)) {
			f.parts.Peers.Fence(node, q, at, done)
		})
	switch {
	case err != nil:
		return err
	case reply.Code != wire.ReplicaOK || reply.Instance != q.Instance:
		return errors.New(reply.Detail)
	}
	return nil
}

// shared are the partitions that this node and another one stand in.
func (f *Filler) shared(current *ring.Ring, node kv.NodeID) (shared []uint16) {
	for p := range current.Partitions() {
		placement := current.Placement(uint16(p))
		if placement.Has(f.cfg.Node) && placement.Has(node) {
			shared = append(shared, uint16(p))
		}
	}
	return shared
}

// noteOf is what is noted of a source in this life of it; of an earlier one is forgotten.
func (f *Filler) noteOf(node kv.NodeID, life kv.Instance, partitions int) *wire.RefillSource {
	for i := range f.notes {
		if n := &f.notes[i]; n.Node == node {
			if n.Instance != life || len(n.Copied) != bitBytes(partitions) {
				*n = wire.RefillSource{Node: node, Instance: life, Copied: bits(partitions)}
			}
			return n
		}
	}
	f.notes = append(f.notes, wire.RefillSource{Node: node, Instance: life, Copied: bits(partitions)})
	return &f.notes[len(f.notes)-1]
}

// sources are the owners that were copied as a whole (I2).
func (f *Filler) sources() (sources []ring.Source) {
	current := f.cfg.Ring()
	for _, n := range f.notes {
		whole := len(n.Copied) == bitBytes(current.Partitions())
		for _, p := range f.shared(current, n.Node) {
			whole = whole && has(n.Copied, p)
		}
		if whole {
			sources = append(sources, ring.Source{Node: n.Node, Instance: n.Instance})
		}
	}
	return sources
}

// copied reports whether some source was copied in a partition.
func (f *Filler) copied(p uint16) bool {
	for _, n := range f.notes {
		if has(n.Copied, p) {
			return true
		}
	}
	return false
}

func bitBytes(partitions int) int { return (partitions + 7) / 8 }
func bits(partitions int) []byte  { return make([]byte, bitBytes(partitions)) }
func set(b []byte, p uint16)      { b[p/8] |= 1 << (p % 8) }
func has(b []byte, p uint16) bool { return int(p/8) < len(b) && b[p/8]&(1<<(p%8)) != 0 }

// sleep waits, or returns the error with which ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// call waits for one answer.
func call[R any](
	ctx context.Context, timeout time.Duration, ask func(time.Time, func(R, error)),
) (R, error) {
	type answer struct {
		reply R
		err   error
	}
	answered := make(chan answer, 1) // the one answer
	ask(time.Now().Add(timeout), func(reply R, err error) { answered <- answer{reply, err} })
	select {
	case a := <-answered:
		return a.reply, a.err
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
}
