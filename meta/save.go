// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// saveRest is the least time between two snapshots for those who save the state, however
// many they are: while one is taken nothing is applied here.
const saveRest = time.Second

// SavedPart is a piece of the group's state as of one index, as state.Restore takes it.
type SavedPart struct {
	Index, Term uint64 // of the last command in it
	Generation  kv.Generation
	Total       uint64 // bytes of the whole
	Sum         uint64 // of the whole, xxhash64
	Offset      uint64
	Chunk       []byte // at most wire.MaxMetaChunk; it must not be changed
}

// Save returns a piece of the state, of at most so many bytes. Index 0 asks for the first
// piece of a snapshot in which everything is that the group had committed when Save was
// called; the next pieces are asked for by its index. Where that snapshot is here no longer
// Save begins another one: its index differs, and its offset is 0. The error wraps
// ErrNoLeader or ErrOverloaded: nothing is proposed.
func (g *Group) Save(ctx context.Context, index, offset uint64, most int) (SavedPart, error) {
	if index != 0 {
		if part, here := g.saves.saved(index, offset, most); here {
			return part, nil
		}
	}
	ctx, cancel := g.bounded(ctx)
	defer cancel()
	least, err := g.Barrier(ctx)
	if err != nil {
		return SavedPart{}, err
	}
	for {
		part, rest := g.saves.save(least, most)
		switch {
		case rest == 0 && part.Index < least: // it lost what it had, by a recovery of the group
			return SavedPart{}, fmt.Errorf("%w: this member is at entry %d, not at %d", ErrNoLeader,
				part.Index, least)
		case rest == 0:
			return part, nil
		case !sleep(ctx, rest):
			return SavedPart{}, fmt.Errorf("%w: one snapshot of the state is taken in %v",
				ErrOverloaded, saveRest)
		}
	}
}

// saved returns a piece of the snapshot of an index, where that is here.
func (s *shelf) saved(index, offset uint64, most int) (part SavedPart, here bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index != index {
		return SavedPart{}, false
	}
	return s.saving(s.cut(offset, most)), true
}

// save returns the first piece of a snapshot that reaches an index. Where a new one is
// needed, and it is too early for that, it says how long to rest.
func (s *shelf) save(least uint64, most int) (part SavedPart, rest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, generation := s.machine.place()
	if s.index < least || s.of != generation {
		if rest := saveRest - time.Since(s.taken); rest > 0 {
			return SavedPart{}, rest
		}
		s.take()
	}
	return s.saving(s.cut(0, most)), 0
}

// saving is a piece for those who save. s.mu is held.
func (s *shelf) saving(p wire.SnapshotPart) SavedPart {
	return SavedPart{
		Index: p.Index, Term: p.Term, Generation: s.of, Total: p.Total, Sum: p.Sum,
		Offset: p.Offset, Chunk: p.Chunk,
	}
}
