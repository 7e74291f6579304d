// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/trace"
)

// Config bounds a store. The zero value is not valid; begin with DefaultConfig.
type Config struct {
	// Shards is how many goroutines share the partitions, 1 to 64. More of them than
	// cores gain little.
	Shards int
	// QueueOps and QueueBytes bound what waits in front of all shards together. Over
	// either of them operations are refused with ErrOverloaded. What is read ahead for
	// them may take QueueBytes once more; what is beyond is read when their turn comes.
	QueueOps   int
	QueueBytes int
	// BatchOps and BatchBytes bound one commit. Larger ones serve more waiters with one
	// sync and let each of them wait longer. The engine's own limits go before.
	BatchOps   int
	BatchBytes int
	// AheadBytes bounds the encoded objects that the shards prepare while a commit is
	// under way, in bytes. Shards pause over it.
	AheadBytes int
	// CacheBytes bounds the cache of contexts and dots, in bytes of memory, about.
	CacheBytes int
	// JournalNotes and JournalAge bound the journal: what is beyond either of them is
	// deleted by later commits.
	JournalNotes int
	JournalAge   time.Duration
	// TendEvery is how often the engine is tended, the disk looked at, and the discard
	// timestamp moved.
	TendEvery time.Duration
	// FreeBytes tells how much room the disk has; nil means that nobody watches it.
	FreeBytes func() (uint64, error)
	// LowWater refuses writes while fewer bytes are free, until HighWater is free
	// again. An engine that writes through a memory map dies of a full disk, so there
	// must be room for what is under way and for compaction (TESTING, result 7).
	LowWater  uint64
	HighWater uint64
	// Points and Trace are for tests and checkers; nil in a product build.
	Points *fail.Set
	Trace  *trace.Tracer
}

// DefaultConfig is a store for a machine that it shares with others.
func DefaultConfig() Config {
	return Config{
		Shards:       4,
		QueueOps:     8 << 10,
		QueueBytes:   64 << 20,
		BatchOps:     1 << 10,
		BatchBytes:   2 << 20,
		AheadBytes:   8 << 20,
		CacheBytes:   32 << 20,
		JournalNotes: 100_000,
		JournalAge:   10 * time.Minute,
		TendEvery:    time.Second,
		LowWater:     512 << 20,
		HighWater:    640 << 20,
	}
}

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("storage: "+format, args...))
		}
	}
	check(c.Shards >= 1 && c.Shards <= 64, "Shards is %d; it must be 1 to 64", c.Shards)
	check(c.QueueOps >= c.Shards, "QueueOps is %d; it must be at least Shards", c.QueueOps)
	check(c.QueueBytes > 0, "QueueBytes is %d; it must be positive", c.QueueBytes)
	check(c.BatchOps > 0, "BatchOps is %d; it must be positive", c.BatchOps)
	check(c.BatchBytes > 0, "BatchBytes is %d; it must be positive", c.BatchBytes)
	check(c.AheadBytes > 0, "AheadBytes is %d; it must be positive", c.AheadBytes)
	check(c.CacheBytes >= 0, "CacheBytes is %d; it must not be negative", c.CacheBytes)
	check(c.JournalNotes >= 0, "JournalNotes is %d; it must not be negative", c.JournalNotes)
	check(c.TendEvery > 0, "TendEvery is %s; it must be positive", c.TendEvery)
	check(c.HighWater >= c.LowWater, "HighWater (%d) is below LowWater (%d)",
		c.HighWater, c.LowWater)
	return errors.Join(faults...)
}
