// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// tailIdle is how often a member that raft feeds looks whether it still does.
	tailIdle = 100 * time.Millisecond
	// tailRest is the pause before another seat is asked, when one was of no use, and
	// tailRestMost what it grows to where one after the other is of none.
	tailRest     = 100 * time.Millisecond
	tailRestMost = time.Second
	// tailBytes bounds the entries of one answer.
	tailBytes = 512 << 10
	// tailChunkTime bounds the wait for a piece of a snapshot, which the seat may have to
	// make first.
	tailChunkTime = 10 * time.Second
)

// tail brings a client of the group what a seat has applied. While raft feeds the member
// it rests; while it begins to, both do, and the machine takes what comes first.
type tail struct {
	group  *Group
	source atomic.Uint32 // whom it asks; 0: nobody
	voting atomic.Pointer[[]state.RaftID]

	// Owned by run: the life of a seat that may be followed, and the one that was last told
	// of that may not.
	trusted, denounced source
}

// voters are the seats that vote, as the source last said.
func (t *tail) voters() []state.RaftID {
	if voting := t.voting.Load(); voting != nil {
		return *voting
	}
	return nil
}

// current is whom the tail asks; 0: nobody.
func (t *tail) current() kv.NodeID { return kv.NodeID(t.source.Load()) }

// run tails one seat after the other until ctx ends, or this copy of the state halts.
func (t *tail) run(ctx context.Context) error {
	defer t.source.Store(0)
	rest := tailRest
	for turn := 0; ctx.Err() == nil; {
		if t.fed() {
			t.source.Store(0)
			sleep(ctx, tailIdle)
			continue
		}
		source := t.group.pickSource(turn)
		turn++
		if source != 0 {
			t.source.Store(uint32(source))
			before := t.group.machine.applied()
			err := t.follow(ctx, source)
			switch {
			case errors.Is(err, ErrHalted):
				return err
			case errors.Is(err, state.ErrUnknown): // of a whole snapshot
				return fmt.Errorf("%w: %w", ErrHalted, err)
			case t.group.machine.applied() > before:
				rest = tailRest
			}
			t.group.log.Debug("another seat is asked", zap.Uint16("peer-id", uint16(source)),
				zap.Error(err))
		}
		sleep(ctx, t.group.jitter(rest))
		rest = min(2*rest, tailRestMost)
	}
	return nil
}

// fed reports that raft applies entries here, and has come as far as the tail has.
func (t *tail) fed() bool {
	s := t.group.engine.standing()
	return s.Fed && s.Commit >= t.group.machine.applied()
}

// pickSource is whom to tail at a turn: whoever was named last where the one before was
// of no use, and otherwise one seat after the other, members beginning at different ones.
func (g *Group) pickSource(turn int) kv.NodeID {
	seats := g.seats()
	if len(seats) == 0 || turn%3 == 2 { // a seat that nobody here knows of was named, perhaps
		if leader := g.hints.get(); leader != 0 && leader != g.cfg.Node {
			return leader
		}
	}
	if len(seats) == 0 {
		return 0
	}
	return seats[(turn+int(g.cfg.Node))%len(seats)]
}

// errLeaderless: the seat hears from no leader, so that others may know more.
var errLeaderless = errors.New("meta: the seat has no leader")

// follow tails one seat as long as that is of use, and says why it no longer is.
func (t *tail) follow(ctx context.Context, source kv.NodeID) error {
	for !t.fed() {
		index, term, generation := t.group.machine.reached()
		reply, err := t.ask(ctx, source, wire.MetaTailRequest{
			After: index, Term: term, Generation: generation, Bytes: tailBytes,
		}, t.group.cfg.TailWait)
		if err != nil {
			return err
		}
		if reply.Part.Index != 0 {
			err = t.fetch(ctx, source, reply)
		} else {
			err = t.group.machine.follow(reply.Generation, reply.Entries)
		}
		if err != nil {
			return err
		}
		if reply.Leader == 0 {
			return errLeaderless
		}
	}
	return nil
}

// ask asks once, and waits a little longer than the seat was told to.
func (t *tail) ask(
	ctx context.Context, source kv.NodeID, q wire.MetaTailRequest, wait time.Duration,
) (*wire.MetaTailReply, error) {
	q.RemainingMS = uint32(wait.Milliseconds())
	ctx, cancel := context.WithTimeout(ctx, wait+t.group.cfg.TailGrace)
	defer cancel()
	answer, err := t.group.caller.call(ctx, source, wire.MethodMetaTail,
		func(dst []byte, _ uint16) []byte { return wire.AppendMetaTailRequest(dst, &q) })
	if err != nil {
		return nil, err
	}
	reply := new(wire.MetaTailReply)
	if err := wire.DecodeMetaTailReply(answer, reply); err != nil {
		return nil, err
	}
	if err := t.trust(ctx, source, reply); err != nil {
		return nil, err
	}
	t.group.hints.heard(reply.Leader, reply.Term)
	if reply.Code == wire.MetaRefused {
		if err := t.group.diverged(source, reply); err != nil {
			return nil, err
		}
	}
	if reply.Code != wire.MetaOK {
		return nil, fmt.Errorf("meta: member %d can not be tailed: %s", source,
			reply.Detail[:min(len(reply.Detail), maxDetail)])
	}
	voting := make([]state.RaftID, len(reply.Voters))
	for i, id := range reply.Voters {
		voting[i] = state.RaftID(id)
	}
	t.voting.Store(&voting)
	return reply, nil
}

// fetch gets the rest of a snapshot of which a reply brought the first piece, and puts it
// in the state's place. Where the seat has begun another one meanwhile, so does fetch.
func (t *tail) fetch(ctx context.Context, source kv.NodeID, reply *wire.MetaTailReply) error {
	index, term, generation := t.group.machine.reached()
	part := reply.Part
	got := append([]byte(nil), part.Chunk...)
	for uint64(len(got)) < part.Total {
		next, err := t.ask(ctx, source, wire.MetaTailRequest{
			After: index, Term: term, Generation: generation, Snapshot: part.Index, Offset: uint64(len(got)),
		}, tailChunkTime)
		if err != nil {
			return err
		}
		p := next.Part
		switch {
		case p.Index == part.Index && p.Total == part.Total && p.Sum == part.Sum:
			if p.Offset != uint64(len(got)) || len(p.Chunk) == 0 {
				return fmt.Errorf("meta: member %d sent the wrong piece of a snapshot", source)
			}
		case p.Index != 0 && p.Offset == 0:
			part, got = p, got[:0]
		default:
			return fmt.Errorf("meta: member %d gave up a snapshot", source)
		}
		got = append(got, p.Chunk...)
	}
	if xxhash.Sum64(got) != part.Sum {
		return fmt.Errorf("meta: a snapshot from member %d was damaged on its way", source)
	}
	return t.group.machine.restore(part.Index, part.Term, got)
}
