// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// partSize is how long a part of a snapshot is. A change of a few of them takes a disk
	// some milliseconds, for which the raft log waits at most.
	partSize = 256 << 10
	// sweepBatch is how many records one change deletes at most, and sweepBytes what each
	// takes of the room of a change: its key, and what is counted beside that.
	sweepBatch = 1024
	sweepBytes = 128
	// keeperQueue bounds what waits for the keeper: a snapshot to write, a sweep, and the
	// pieces that two seats may be sending. Above it a piece is refused, and sent again.
	keeperQueue = 8
)

// keeper does what is slow with the control store, so that the engine's loop never waits
// for more than its own entries: it writes parts of snapshots, of this member and of
// others, and sweeps what is no longer needed. Its methods are called by its jobs, one
// after the other, on the goroutine of run.
type keeper struct {
	control *storage.Control
	log     *zap.Logger
	jobs    chan job

	nextID   uint64 // of the next snapshot's parts
	incoming *assembly
}

// job is something to do, or, where the keeper has ended, to refuse.
type job struct {
	do     func(context.Context) error
	refuse func() // nil: nobody waits for it
}

// snapshotFile is a snapshot whose parts are durable.
type snapshotFile struct {
	head wire.SnapshotHead
	data []byte
}

func newKeeper(control *storage.Control, log *zap.Logger) *keeper {
	return &keeper{
		control: control, log: log, jobs: make(chan job, keeperQueue),
	}
}

// run does jobs until ctx ends or one fails.
func (k *keeper) run(ctx context.Context) error {
	for {
		select {
		case j := <-k.jobs:
			if err := j.do(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// offer takes a job, or reports that too many wait.
func (k *keeper) offer(j job) bool {
	select {
	case k.jobs <- j:
		return true
	default:
		return false
	}
}

// write makes the parts of a snapshot durable and completes its head. Nothing refers to
// them yet.
func (k *keeper) write(file *snapshotFile) error {
	k.nextID++
	h := &file.head
	h.ID, h.Size, h.Sum = k.nextID, uint64(len(file.data)), xxhash.Sum64(file.data)
	h.Parts = 0
	for rest := file.data; len(rest) > 0; h.Parts++ {
		part := rest[:min(partSize, len(rest))]
		rest = rest[len(part):]
		key := wire.SnapshotPartKey(h.ID, h.Parts)
		if err := k.control.Put(key, wire.AppendSnapshotPartRecord(nil, key, part)); err != nil {
			return err
		}
	}
	return nil
}

// readParts returns the snapshot that a head describes. The error wraps ErrDamagedLog.
func readParts(control *storage.Control, h *wire.SnapshotHead) ([]byte, error) {
	if h.Size > wire.MaxMetaSnapshot || h.Parts > wire.MaxMetaSnapshot/partSize+1 {
		return nil, fmt.Errorf("%w: a snapshot of %d bytes in %d parts", ErrDamagedLog, h.Size, h.Parts)
	}
	data := make([]byte, 0, h.Size)
	for n := range h.Parts {
		key := wire.SnapshotPartKey(h.ID, n)
		rec, found, err := control.Get(key)
		if err == nil && !found {
			err = fmt.Errorf("part %d of the snapshot at %d is missing", n, h.Index)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamagedLog, err)
		}
		part, err := wire.DecodeSnapshotPartRecord(key, rec)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamagedLog, err)
		}
		data = append(data, part...)
	}
	if uint64(len(data)) != h.Size || xxhash.Sum64(data) != h.Sum {
		return nil, fmt.Errorf("%w: the snapshot at %d is not what was written", ErrDamagedLog, h.Index)
	}
	return data, nil
}

// needed says what a sweep must leave.
type needed struct {
	epoch, base uint64 // entries of this epoch after base
	snapshot    uint64 // parts of this id and of every later one; 0: all
}

// sweep deletes entries and parts that nothing refers to.
func (k *keeper) sweep(ctx context.Context, n needed) error {
	err := k.delete(ctx, wire.PrefixRaftLog, func(key string) (bool, error) {
		epoch, index, err := wire.ParseRaftEntryKey(key)
		return epoch < n.epoch || epoch == n.epoch && index <= n.base, err
	})
	if err != nil {
		return err
	}
	return k.delete(ctx, wire.PrefixSnapshotPart, func(key string) (bool, error) {
		id, _, err := wire.ParseSnapshotPartKey(key)
		return id < n.snapshot, err
	})
}

// delete deletes the records of a prefix that drop chooses, in order and in batches: what
// a crash leaves is the end of them.
func (k *keeper) delete(
	ctx context.Context, prefix string, drop func(key string) (bool, error),
) error {
	var batch []storage.ControlRecord
	err := k.control.Each(prefix, func(key string, _ []byte) error {
		gone, err := drop(key)
		if gone && err == nil {
			batch = append(batch, storage.ControlRecord{Key: key})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("meta: sweep the raft log: %w", err)
	}
	bytes, changes := k.control.Room()
	most := max(1, min(sweepBatch, changes, bytes/sweepBytes))
	for len(batch) > 0 && ctx.Err() == nil {
		n := min(most, len(batch))
		if err := k.control.Apply(batch[:n]...); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// clean deletes what a crash left of snapshots that were not finished, and finds the ids
// that are free. It runs before the keeper does.
func (k *keeper) clean(head uint64) error {
	k.nextID = head
	return k.delete(context.Background(), wire.PrefixSnapshotPart, func(key string) (bool, error) {
		id, _, err := wire.ParseSnapshotPartKey(key)
		return id != head, err
	})
}

// assembly is a snapshot that another seat is sending.
type assembly struct {
	from uint64
	part wire.SnapshotPart // what all its pieces have in common
	data []byte
}

// take adds a piece and returns where the next one begins, and the snapshot once it is
// whole and durable. A piece of another snapshot than before begins that one.
func (k *keeper) take(from uint64, p *wire.SnapshotPart) (
	next uint64, file *snapshotFile, err error,
) {
	a := k.incoming
	if a == nil || a.from != from || a.part.Index != p.Index || a.part.Term != p.Term ||
		a.part.Total != p.Total || a.part.Sum != p.Sum {
		if p.Offset != 0 {
			return 0, nil, nil
		}
		a = &assembly{from: from, part: *p}
		a.part.Chunk = nil
		k.incoming = a
	}
	if p.Offset == uint64(len(a.data)) {
		a.data = append(a.data, p.Chunk...)
	}
	next = uint64(len(a.data))
	if next < a.part.Total {
		return next, nil, nil
	}
	k.incoming = nil
	if xxhash.Sum64(a.data) != a.part.Sum {
		k.log.Warn("a snapshot came damaged", zap.Uint64("index", a.part.Index))
		return 0, nil, nil
	}
	file = &snapshotFile{data: a.data}
	file.head.Index, file.head.Term = a.part.Index, a.part.Term
	return next, file, k.write(file)
}
