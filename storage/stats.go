// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"sync/atomic"
	"time"

	"github.com/dyno-kv/dyno/internal/tally"
)

// Stats says what the store has done and what it holds.
type Stats struct {
	Commits    uint64 // synced transactions
	Committed  uint64 // operations that these answered
	Durable    uint64 // timestamp of the newest commit that can be read
	Waiting    int    // operations in front of the shards
	CacheBytes int    // of the version cache
	Bytes      int64  // on disk, about
	DiskFull   bool   // writes are refused
}

// CommitStats is how long commits took, each with its sync, and how many operations they
// answered.
type CommitStats struct{ Times, Operations tally.Doubling }

// Commits tells of the commits since the store was opened.
func (s *Store) Commits() *CommitStats { return &s.stats.each }

// Free is how much room the disk has; it is not known where nobody watches the disk.
func (s *Store) Free() (free uint64, known bool) {
	if s.disk.free == nil {
		return 0, false
	}
	free, err := s.disk.free()
	return free, err == nil
}

// Full reports whether writes are refused, since the disk is nearly full.
func (s *Store) Full() bool { return s.disk.full.Load() }

// counters are what only goes up.
type counters struct {
	commits   atomic.Uint64
	committed atomic.Uint64
	each      CommitStats
}

func (c *counters) add(ops int, took time.Duration) {
	c.commits.Add(1)
	c.committed.Add(uint64(ops))
	c.each.Times.ObserveTime(took)
	c.each.Operations.Observe(uint64(ops))
}

// Stats returns the present numbers.
func (s *Store) Stats() Stats {
	st := Stats{
		Commits:   s.stats.commits.Load(),
		Committed: s.stats.committed.Load(),
		Durable:   s.durable.Load(),
		Bytes:     s.engine.Size(),
		DiskFull:  s.disk.full.Load(),
	}
	for _, sh := range s.shards {
		st.Waiting += sh.queue.len()
		st.CacheBytes += sh.overlay.cached()
	}
	return st
}
