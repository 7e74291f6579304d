// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"

	"github.com/dyno-kv/dyno/wire"
)

// maxTailBytes bounds the entries of one answer, whatever was asked for: an answer must
// stay well below the longest message.
const maxTailBytes = 1 << 20

// serveTail answers a member that tails this one: with what follows its index, as soon as
// there is something, or with a piece of a snapshot where that is too long ago, or where
// its state belongs to another generation.
func (g *Group) serveTail(ctx context.Context, q *wire.MetaTailRequest) wire.MetaTailReply {
	reply := g.feed(ctx, q)
	s := g.engine.standing()
	reply.Raft, reply.Open = uint64(s.Raft), s.Open
	for _, id := range s.Voters[:min(len(s.Voters), wire.MaxMetaVoters)] {
		reply.Voters = append(reply.Voters, uint64(id))
	}
	return reply
}

// feed is the part of serveTail that does not tell who answers.
func (g *Group) feed(ctx context.Context, q *wire.MetaTailRequest) wire.MetaTailReply {
	ctx, cancel := withRemaining(ctx, q.RemainingMS)
	defer cancel()
	index, generation := g.machine.place()
	if status := g.engine.standing(); status.Role == roleClient || !status.Fed || index == 0 {
		return wire.MetaTailReply{MetaOutcome: g.outcome(wire.MetaNoSeat, "tails itself")}
	}
	if q.Generation > generation {
		return wire.MetaTailReply{MetaOutcome: g.outcome(wire.MetaNoSeat, "an older generation")}
	}
	if g.contradicts(ctx, q) {
		return wire.MetaTailReply{MetaOutcome: g.outcome(wire.MetaRefused,
			fmt.Sprintf("entry %d is of another term here than %d", q.After, q.Term))}
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
	committed, now := g.machine.place()
	if now != generation { // the entries may be those of another log
		return wire.MetaTailReply{MetaOutcome: g.outcome(wire.MetaNoSeat, "another generation")}
	}
	reply.Committed = committed
	reply.MetaOutcome = g.outcome(wire.MetaOK, "")
	return reply
}
