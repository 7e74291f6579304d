// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

// source is one life of a seat that is tailed.
type source struct {
	node kv.NodeID
	raft state.RaftID
	open kv.Open
}

// errUntrusted: the seat was rolled back or copied, or has been replaced.
var errUntrusted = errors.New("meta: the seat is not to be followed")

// trust looks whether the seat that answered knows all the openings of its store that this
// member knows of. One that does not was put back to an older state: what it has applied
// since may be other than what was applied here. It is told, so that it issues nothing more.
func (t *tail) trust(ctx context.Context, node kv.NodeID, reply *wire.MetaTailReply) error {
	life := source{node: node, raft: state.RaftID(reply.Raft), open: reply.Open}
	if life.raft == 0 || life == t.trusted {
		return nil // who has no seat feeds nobody
	}
	g := t.group
	say := func(ctx context.Context, h *wire.MetaHello) (wire.MetaHello, error) {
		return g.ask(ctx, node, h)
	}
	shown, verdict, err := lookAt(ctx, say, g.engine.examine)
	if err != nil {
		return fmt.Errorf("meta: member %d: %w", node, err)
	}
	if verdict.Verdict != kv.VerdictConfirmed {
		if refuses(verdict.Verdict) && t.denounced != life {
			t.denounced = life
			g.log.Error("a seat of the group was put back to an older state, copied or replaced; it "+
				"is not followed. Its own log says what to do", zap.Uint16("peer-id", uint16(node)),
				zap.Stringer("raft-id", life.raft), zap.String("why", verdict.Detail))
		}
		return fmt.Errorf("%w: member %d: %s", errUntrusted, node, verdict.Detail)
	}
	if state.RaftID(shown.Raft) != life.raft || shown.Open[len(shown.Open)-1] != life.open {
		return fmt.Errorf("meta: member %d has begun another life meanwhile", node)
	}
	t.trusted = life
	return nil
}

// lookAt has a seat show the openings of its store, judges them, and tells the seat where
// they are refused: it may know no way to this member, and would never hear of it.
func lookAt(
	ctx context.Context, say, examine func(context.Context, *wire.MetaHello) (wire.MetaHello, error),
) (shown, verdict wire.MetaHello, err error) {
	if shown, err = say(ctx, &wire.MetaHello{}); err != nil {
		return shown, verdict, err
	}
	if shown.Raft == 0 || len(shown.Open) == 0 {
		return shown, verdict, errNoSeatHere
	}
	if verdict, err = examine(ctx, &shown); err != nil {
		return shown, verdict, err
	}
	if refuses(verdict.Verdict) {
		// That it is not told is no reason to follow it.
		_, _ = say(ctx, &wire.MetaHello{
			For: shown.Raft, Open: verdict.Open, Verdict: verdict.Verdict, Detail: verdict.Detail,
		})
	}
	return shown, verdict, nil
}

// ask says hello to a member outside of raft.
func (g *Group) ask(ctx context.Context, node kv.NodeID, h *wire.MetaHello) (
	answer wire.MetaHello, err error,
) {
	result, err := g.caller.call(ctx, node, wire.MethodMetaHello,
		func(dst []byte, _ uint16) []byte { return wire.AppendMetaHello(dst, h) })
	if err == nil {
		err = wire.DecodeMetaHello(result, &answer)
	}
	return answer, err
}

// contradicts reports whether this seat has another entry at the place to which a member
// that tails it has come. A sole voter looks at its log, too: there nothing can be ahead.
func (g *Group) contradicts(ctx context.Context, q *wire.MetaTailRequest) bool {
	applied, generation := g.machine.place()
	agrees := g.machine.agrees(q.After, q.Term, q.Generation)
	if s := g.engine.standing(); s.Sole && s.Leads && q.Generation == generation &&
		(!agrees || q.After > applied) {
		g.engine.claims(ctx, claim{index: q.After, term: q.Term})
	}
	return !agrees
}

// diverged ends this copy of the state, where a seat of a group of several voters says that
// it is none: only what a majority has stored is applied there.
func (g *Group) diverged(node kv.NodeID, reply *wire.MetaTailReply) error {
	if len(reply.Voters) < 2 || reply.Leader == 0 {
		return nil
	}
	return g.machine.give(fmt.Errorf("what it has applied is not what the group has (member %d: "+
		"%s): it has followed a voter that was put back to an older state; start this node again",
		node, reply.Detail[:min(len(reply.Detail), maxDetail)]))
}
