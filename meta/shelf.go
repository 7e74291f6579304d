// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// shelfTime is how long a snapshot is kept after a piece of it was last asked for.
const shelfTime = 30 * time.Second

// shelf keeps one snapshot for those who fetch it, all of them the same, so that a
// hundred that come at once cost one. A group has two: members that tail this one can use
// a snapshot of before, where those who save the state can not, and the latter shall not
// keep the former from coming to an end.
type shelf struct {
	machine *machine

	mu    sync.Mutex // guards what follows
	index uint64     // of the snapshot; 0: none
	term  uint64
	of    kv.Generation
	bytes []byte
	sum   uint64
	taken time.Time
	used  time.Time
}

// part returns a piece of the snapshot of an index; where that is not here, the first
// piece of another one. Index 0 asks for any.
func (s *shelf) part(index, offset uint64) wire.SnapshotPart {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index == 0 || index != s.index {
		offset = 0
		s.renew()
	}
	return s.cut(offset, wire.MaxMetaChunk)
}

// cut returns a piece of at most so many bytes. s.mu is held.
func (s *shelf) cut(offset uint64, most int) wire.SnapshotPart {
	s.used = time.Now()
	total := uint64(len(s.bytes))
	offset = min(offset, total)
	return wire.SnapshotPart{
		Index: s.index, Term: s.term, Total: total, Sum: s.sum, Offset: offset,
		Chunk: s.bytes[offset:min(offset+uint64(min(most, wire.MaxMetaChunk)), total)],
	}
}

// renew takes a new snapshot, unless the recent entries follow the one that is here: that
// is as good. s.mu is held.
func (s *shelf) renew() {
	_, generation := s.machine.place()
	if _, follows := s.machine.after(s.index, 1); s.index != 0 && s.of == generation && follows {
		return
	}
	s.take()
}

// take takes a new snapshot. s.mu is held.
func (s *shelf) take() {
	s.index, s.term, s.of, s.bytes = s.machine.export()
	s.sum, s.taken = xxhash.Sum64(s.bytes), time.Now()
}

// run clears the shelf when nobody comes any more.
func (s *shelf) run(ctx context.Context) error {
	ticker := time.NewTicker(shelfTime / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			s.clear(now)
		}
	}
}

func (s *shelf) clear(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index != 0 && now.Sub(s.used) > shelfTime {
		s.index, s.bytes = 0, nil
	}
}
