// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"time"

	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// HandlePeer answers a call of another member: those whose methods begin with "meta.".
// It never waits; ctx is that of the call's connection.
func (g *Group) HandlePeer(ctx context.Context, call *rpc.Call) {
	switch string(call.Method) {
	case wire.MethodMetaHello, wire.MethodMetaStep, wire.MethodMetaSnapshot:
		g.engine.handle(call)
	case wire.MethodMetaPropose:
		g.handlePropose(ctx, call)
	case wire.MethodMetaReadIndex:
		handle(g, ctx, call, wire.DecodeMetaReadIndexRequest, g.serveReadIndex,
			wire.AppendMetaReadIndexReply)
	case wire.MethodMetaRenew:
		handle(g, ctx, call, wire.DecodeMetaRenewRequest, g.serveRenew, wire.AppendMetaRenewReply)
	case wire.MethodMetaTail:
		handle(g, ctx, call, wire.DecodeMetaTailRequest, g.serveTail, wire.AppendMetaTailReply)
	case wire.MethodMetaView:
		var q wire.MetaViewRequest
		if err := wire.DecodeMetaViewRequest(call.Params, &q); err != nil {
			call.ReplyError(wire.FormatError(wire.CodeInvalid, err.Error()))
			return
		}
		reply := g.serveView(&q)
		call.Reply(func(dst []byte) []byte { return wire.AppendMetaViewReply(dst, &reply) })
	default:
		call.ReplyError(wire.FormatError(wire.CodeUnknownMethod, "not a method of the group"))
	}
}

// handle answers a call whose request keeps no bytes of it, on a goroutine of its own.
func handle[Q, A any](
	g *Group, ctx context.Context, call *rpc.Call, decode func([]byte, *Q) error,
	serve func(context.Context, *Q) A, appendReply func([]byte, *A) []byte,
) {
	q := new(Q)
	if err := decode(call.Params, q); err != nil {
		call.ReplyError(wire.FormatError(wire.CodeInvalid, err.Error()))
		return
	}
	g.answer(ctx, call, func(ctx context.Context) func([]byte) []byte {
		reply := serve(ctx, q)
		return func(dst []byte) []byte { return appendReply(dst, &reply) }
	})
}

// answer works out a call's answer on a goroutine of its own, until the connection or the
// group's part here ends.
func (g *Group) answer(
	ctx context.Context, call *rpc.Call, work func(context.Context) func([]byte) []byte,
) {
	started := g.serving.spawn(func(life context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		call.Reply(work(ctx))
	})
	if !started {
		call.ReplyError(wire.FormatError(wire.CodeOverloaded,
			"this member answers no more calls of the group now"))
	}
}

// handlePropose answers a member that forwards commands. It may have a great many under
// way, which must not keep the connection from being read.
func (g *Group) handlePropose(ctx context.Context, call *rpc.Call) {
	q := new(wire.MetaProposeRequest)
	// One exact copy: commands alias what the call's answer recycles.
	params := append(make([]byte, 0, len(call.Params)), call.Params...)
	if err := wire.DecodeMetaProposeRequest(params, q); err != nil {
		call.ReplyError(wire.FormatError(wire.CodeInvalid, err.Error()))
		return
	}
	// What is no command would halt every member that applies it.
	for _, c := range q.Commands {
		if _, err := state.DecodeCommand(c); err != nil {
			call.ReplyError(wire.FormatError(wire.CodeInvalid, err.Error()))
			return
		}
	}
	g.answer(ctx, call, func(ctx context.Context) func([]byte) []byte {
		reply := g.servePropose(ctx, q)
		return func(dst []byte) []byte { return wire.AppendMetaProposeReply(dst, &reply) }
	})
}

func (g *Group) servePropose(
	ctx context.Context, q *wire.MetaProposeRequest,
) (reply wire.MetaProposeReply) {
	ctx, cancel := withRemaining(ctx, q.RemainingMS)
	defer cancel()
	if ctx.Err() != nil {
		reply.MetaOutcome = g.outcome(wire.MetaExpired, "")
		return reply
	}
	results, index, err := g.engine.propose(ctx, q.Commands)
	if err != nil {
		reply.MetaOutcome = g.outcomeOf(err)
		return reply
	}
	reply.MetaOutcome, reply.Index = g.outcome(wire.MetaOK, ""), index
	for i := range results {
		reply.Results = append(reply.Results, state.AppendResult(nil, &results[i]))
	}
	return reply
}

func (g *Group) serveReadIndex(
	ctx context.Context, q *wire.MetaReadIndexRequest,
) (reply wire.MetaReadIndexReply) {
	ctx, cancel := withRemaining(ctx, q.RemainingMS)
	defer cancel()
	index, err := g.confirms.confirm(ctx)
	if err != nil {
		reply.MetaOutcome = g.outcomeOf(err)
		return reply
	}
	reply.MetaOutcome, reply.Index = g.outcome(wire.MetaOK, ""), index
	return reply
}

// withRemaining bounds ctx by what was left for a request when it came.
func withRemaining(ctx context.Context, ms uint32) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
}

// outcome begins an answer.
func (g *Group) outcome(code wire.MetaCode, detail string) wire.MetaOutcome {
	status := g.engine.standing()
	o := wire.MetaOutcome{Code: code, Leader: status.Leader, Term: status.Term, Detail: detail}
	if status.Leads {
		o.Leader = g.cfg.Node
	}
	if o.Leader == 0 && status.Role == roleClient {
		o.Leader = g.hints.get()
	}
	return o
}

// outcomeOf tells what an error of the engine means. A proposal whose time was over has
// an unknown outcome; of a read nobody asks.
func (g *Group) outcomeOf(err error) wire.MetaOutcome {
	code := wire.MetaUnknown
	switch {
	case errors.Is(err, errNotLeader), errors.Is(err, errNotArmed):
		code = wire.MetaNotLeader
	case errors.Is(err, errDropped), errors.Is(err, errAbsent):
		code = wire.MetaDropped
	}
	return g.outcome(code, err.Error())
}
