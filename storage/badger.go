// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"go.uber.org/zap"
)

// BadgerConfig says how a Badger engine is opened.
type BadgerConfig struct {
	// Dir is its directory. It is made where it is missing; its parent must be there.
	Dir string
	// Memtable is the size of a memtable in bytes, at least MinMemtable. A commit takes
	// 15 % of it. In a burst of writes up to four of them live at once, and flushing one
	// takes twice its size: small ones write tables more often, large ones cost memory.
	Memtable int64
	// Compactors is how many goroutines compact, at least 2.
	Compactors int
	// Rig is the zero value in a product build.
	Rig BadgerRig
}

// DefaultBadgerConfig suits the data of a node that shares its machine.
func DefaultBadgerConfig(dir string) BadgerConfig {
	return BadgerConfig{Dir: dir, Memtable: DefaultMemtable, Compactors: 2}
}

const (
	// DefaultMemtable suits the data of a node; ControlMemtable its control records.
	DefaultMemtable = 16 << 20
	ControlMemtable = 8 << 20
	// MinMemtable is the smallest whose commits hold the largest value.
	MinMemtable = 8 << 20

	// badgerValue is up to which size Badger keeps a value in the LSM tree (its upper
	// bound): all values of ours. A value in its value log whose fsync fails is lost
	// without an error, and one that can not be read there reads as empty.
	badgerValue = 1 << 20
)

// Badger is an engine on a directory, in Badger's managed mode: reads name their
// timestamp, so none of them waits for a commit that is under way.
type Badger struct {
	db     *badger.DB
	dir    *syncedDir
	limits Limits
	// entries are used again by every commit. Owned by the one committer.
	entries []badger.Entry
	failure *badgerFailure
	log     *zap.Logger

	// real is the directory's path without links, as /proc names it.
	real     string
	maps     string    // the file that lists this process's memory maps
	resident uint64    // above how many bytes of mapped files they are given back
	trimmed  time.Time // owned by the goroutine that calls Tend

	closed     bool
	closeBound time.Duration
	ended      chan struct{} // closed when Badger has closed; made by Close
}

var _ Engine = (*Badger)(nil)

// OpenBadger opens or makes an engine. It returns ErrLocked where another process has
// the directory.
func OpenBadger(cfg BadgerConfig, log *zap.Logger) (*Badger, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if !cfg.Rig.InMemory {
		if err := dropLeftovers(cfg.Dir); err != nil {
			return nil, err
		}
	}
	failure := newBadgerFailure()
	db, err := badger.OpenManaged(badgerOptions(cfg, badgerLog{log, failure}))
	if err != nil {
		if strings.Contains(err.Error(), "Cannot acquire directory lock") {
			return nil, fmt.Errorf("%w: %s: %w", ErrLocked, cfg.Dir, err)
		}
		return nil, fmt.Errorf("storage: open %s: %w", cfg.Dir, err)
	}
	b := &Badger{
		db: db, failure: failure, log: log, closeBound: closeBound,
		maps: "/proc/self/maps", resident: residentBound,
		limits: Limits{
			Bytes: int(db.MaxBatchSize()) * 9 / 10,
			Count: int(db.MaxBatchCount()) * 9 / 10,
			Value: min(badgerValue-1, int(db.MaxBatchSize())*9/10-4096),
		},
	}
	if cfg.Rig.KeepPages {
		b.resident = math.MaxUint64
	}
	if cfg.Rig.InMemory {
		return b, nil
	}
	if err = b.awaitReplay(cfg.Dir, replayBound); err == nil {
		b.dir, err = openSyncedDir(cfg.Dir)
	}
	if err == nil {
		b.real, err = realPath(cfg.Dir)
	}
	if err != nil {
		return nil, errors.Join(err, b.closeBadger())
	}
	return b, nil
}

// badgerOptions departs from Badger's defaults in what PERFORMANCE measured, and where
// a small footprint asks for it.
func badgerOptions(cfg BadgerConfig, log badgerLog) badger.Options {
	threshold := min(int64(badgerValue), cfg.Memtable*15/100)
	return cfg.Rig.change(badger.DefaultOptions(cfg.Dir).
		WithLogger(log).
		WithSyncWrites(true).
		WithDetectConflicts(false). // every key has one writer: its shard (TRAPS B7)
		WithNumVersionsToKeep(1).
		WithMetricsEnabled(false). // they are global variables
		WithValueThreshold(threshold).
		WithValueLogFileSize(64 << 20). // nothing is in there; mapped twice its size
		WithMemTableSize(cfg.Memtable).
		WithNumMemtables(2). // each costs its size; a third would only put off a stall
		WithNumCompactors(max(2, cfg.Compactors)).
		WithNumLevelZeroTables(8).
		WithNumLevelZeroTablesStall(20).
		// Fewer levels below small stores, and fewer tables: for each of them Badger takes
		// 3 MiB and twice its size while it is written. Half the garbage, and a fifth more
		// puts in long runs (docs/performance.md).
		WithBaseLevelSize(64 << 20).
		WithBaseTableSize(4 << 20).
		// Blocks and indices are read through the memory map: the kernel's page cache is
		// the cache, and compression would need another.
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0))
}

// Get implements Engine.
func (b *Badger) Get(key []byte, ts uint64) (value []byte, found bool, err error) {
	txn := b.db.NewTransactionAt(ts, false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("storage: read: %w", err)
	}
	// The item is ours alone, and so is the slice that it makes for the value.
	err = item.Value(func(v []byte) error {
		value = v
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("storage: read: %w", err)
	}
	return value, true, nil
}

// Commit implements Engine. After a failed write or sync, one of Badger's own goroutines
// included, nothing is committed any more.
func (b *Badger) Commit(ts uint64, writes []Write) error {
	if err := b.failure.get(); err != nil {
		return err
	}
	if err := b.commit(ts, writes); err != nil {
		if !errors.Is(err, ErrTooBig) {
			b.failure.set(err)
		}
		return err
	}
	return b.failure.get() // the sync of the value log, for one, is not returned
}

func (b *Badger) commit(ts uint64, writes []Write) error {
	txn := b.db.NewTransactionAt(math.MaxUint64, true)
	defer txn.Discard()
	if cap(b.entries) < len(writes) {
		b.entries = make([]badger.Entry, len(writes), 2*len(writes))
	}
	entries := b.entries[:len(writes)]
	defer clear(entries)
	for i, w := range writes {
		if w.Delete {
			if err := txn.Delete(w.Key); err != nil {
				return tooBig(err)
			}
			continue
		}
		entries[i] = badger.Entry{Key: w.Key, Value: w.Value}
		if err := txn.SetEntry(&entries[i]); err != nil {
			return tooBig(err)
		}
	}
	if err := txn.CommitAt(ts, nil); err != nil {
		return fmt.Errorf("storage: commit: %w", tooBig(err))
	}
	// The memtable may have got a new file for its log. Badger does not sync the
	// directory, so without us a power loss could take the whole file.
	return b.syncNames()
}

func tooBig(err error) error {
	if errors.Is(err, badger.ErrTxnTooBig) {
		return fmt.Errorf("%w: %w", ErrTooBig, err)
	}
	return err
}

// Iterate implements Engine.
func (b *Badger) Iterate(
	ts uint64, prefix, from []byte, visit func(key, value []byte) bool,
) error {
	txn := b.db.NewTransactionAt(ts, false)
	defer txn.Discard()
	opt := badger.DefaultIteratorOptions
	opt.PrefetchValues = false // values are in the tree; fetching ahead costs goroutines
	opt.Prefix = prefix
	it := txn.NewIterator(opt)
	defer it.Close()
	start := from
	if string(start) < string(prefix) {
		start = prefix
	}
	for it.Seek(start); it.Valid(); it.Next() {
		item, more := it.Item(), true
		err := item.Value(func(value []byte) error {
			more = visit(item.Key(), value)
			return nil
		})
		if err != nil {
			return fmt.Errorf("storage: iterate: %w", err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// SetDiscard implements Engine.
func (b *Badger) SetDiscard(ts uint64) { b.db.SetDiscardTs(ts) }

// MaxVersion implements Engine.
func (b *Badger) MaxVersion() uint64 { return b.db.MaxVersion() }

// Limits implements Engine.
func (b *Badger) Limits() Limits { return b.limits }

// Tend implements Engine.
func (b *Badger) Tend() error {
	if err := b.syncNames(); err != nil {
		b.failure.set(err)
	}
	if err := b.trimResident(); err != nil {
		b.log.Warn("pages of tables are not given back", zap.Error(err))
	}
	return b.failure.get()
}

// Size implements Engine: what the files have, without their holes.
func (b *Badger) Size() int64 {
	if b.dir == nil {
		return b.memorySize()
	}
	return diskUsage(b.dir.path)
}

// Close implements Engine. Closing again does nothing. After a failure it may return
// before Badger has ended: then the directory stays locked while the process lives.
func (b *Badger) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	err := b.closeBadger()
	if b.dir == nil {
		return err
	}
	if err == nil {
		err = b.dir.sync()
	}
	return errors.Join(err, b.dir.close())
}

// diskUsage is how many bytes the files below a directory take. Files that vanish
// while it looks count nothing.
func diskUsage(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			bytes += allocated(info)
		}
		return nil
	})
	return bytes
}
