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

const (
	// maxTailBytes bounds the entries of one answer, whatever was asked for: an answer
	// must stay well below the longest message.
	maxTailBytes = 1 << 20
	// shelfTime is how long a snapshot is kept after a piece of it was last asked for.
	shelfTime = 30 * time.Second
)

// serveTail answers a member that tails this one: with what follows its index, as soon as
// there is something, or with a piece of a snapshot where that is too long ago, or where
// its state belongs to another generation.
func (g *Group) serveTail(ctx context.Context, q *wire.MetaTailRequest) wire.MetaTailReply {
	ctx, cancel := withRemaining(ctx, q.RemainingMS)
	defer cancel()
	index, generation := g.machine.place()
	if status := g.engine.standing(); status.Role == roleClient || !status.Fed || index == 0 {
		return wire.MetaTailReply{MetaOutcome: g.outcome(wire.MetaNoSeat, "tails itself")}
	}
	if q.Generation > generation {
		return wire.MetaTailReply{MetaOutcome: g.outcome(wire.MetaNoSeat, "an older generation")}
	}
	reply := wire.MetaTailReply{Generation: generation}
	entries, ok := g.machine.after(q.After, int(min(q.Bytes, maxTailBytes)))
	switch {
	case q.Snapshot != 0, q.After == 0, q.Generation != generation, !ok:
		reply.Part = g.shelf.part(q.Snapshot, q.Offset)
	case len(entries) == 0:
		if g.machine.await(ctx, q.After+1) == nil {
			entries, _ = g.machine.after(q.After, int(min(q.Bytes, maxTailBytes)))
		}
	}
	for i, e := range entries[:min(len(entries), wire.MaxMetaEntries)] {
		if reply.Part.Index != 0 {
			break
		}
		reply.Entries = append(reply.Entries,
			wire.MetaEntry{Index: q.After + 1 + uint64(i), Term: e.Term, Data: e.Data})
	}
	reply.Committed = g.machine.applied()
	for _, id := range g.engine.standing().Voters {
		if len(reply.Voters) < wire.MaxMetaVoters {
			reply.Voters = append(reply.Voters, uint64(id))
		}
	}
	reply.MetaOutcome = g.outcome(wire.MetaOK, "")
	return reply
}

// shelf keeps one snapshot for those who fetch it, all of them the same, so that a
// hundred members that come at once cost one.
type shelf struct {
	machine *machine

	mu    sync.Mutex // guards what follows
	index uint64     // of the snapshot; 0: none
	term  uint64
	of    kv.Generation
	bytes []byte
	sum   uint64
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
	s.used = time.Now()
	total := uint64(len(s.bytes))
	offset = min(offset, total)
	return wire.SnapshotPart{
		Index: s.index, Term: s.term, Total: total, Sum: s.sum, Offset: offset,
		Chunk: s.bytes[offset:min(offset+wire.MaxMetaChunk, total)],
	}
}

// renew takes a new snapshot, unless the recent entries follow the one that is here: that
// is as good. s.mu is held.
func (s *shelf) renew() {
	_, generation := s.machine.place()
	if _, follows := s.machine.after(s.index, 1); s.index != 0 && s.of == generation && follows {
		return
	}
	s.of = generation
	s.index, s.term, s.bytes = s.machine.snapshot()
	s.sum = xxhash.Sum64(s.bytes)
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
