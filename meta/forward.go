// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// retryFirst and retryMost bound the pause before a call to the group is tried again.
	// Most pauses are those of an election, which takes one to two seconds.
	retryFirst = 10 * time.Millisecond
	retryMost  = 200 * time.Millisecond
	// maxForwards bounds the commands that are forwarded at once, to half of what a
	// connection carries: renewals and the tail travel over the same one.
	maxForwards = 2048
	// maxDetail bounds what is told of another member's words.
	maxDetail = 256
)

// errAway: the member that was asked did nothing, since it does not lead.
var errAway = errors.New("meta: the member does not lead the group")

// propose has the group carry out encoded commands, with whoever leads, until ctx ends.
// repeated says that an earlier try may have carried them out too: the results are of a
// repetition then, perhaps.
func (g *Group) propose(ctx context.Context, commands [][]byte) (
	results []state.Result, index uint64, repeated bool, err error,
) {
	err = g.withLeader(ctx, func(ctx context.Context, leader kv.NodeID) error {
		var err error
		if leader == g.cfg.Node {
			results, index, err = g.engine.propose(ctx, commands)
		} else {
			results, index, err = g.proposeAt(ctx, leader, commands)
		}
		repeated = repeated || errors.Is(err, errUnknown)
		return err
	})
	return results, index, repeated, err
}

// readIndex asks whoever leads for an index that a linearizable read needs.
func (g *Group) readIndex(ctx context.Context) (index uint64, err error) {
	err = g.withLeader(ctx, func(ctx context.Context, leader kv.NodeID) error {
		var err error
		if leader == g.cfg.Node {
			index, err = g.confirms.confirm(ctx)
		} else {
			index, err = g.readIndexAt(ctx, leader)
		}
		if errors.Is(err, errUnknown) {
			return fmt.Errorf("meta: the leader was not confirmed: %v", err) // nothing was proposed
		}
		return err
	})
	return index, err
}

// withLeader tries a call with whoever seems to lead, again and again until ctx ends. A
// try that fails wraps errUnknown where something may have been proposed. The error of
// withLeader wraps ErrUnknown where one of them did, and ErrNoLeader otherwise.
func (g *Group) withLeader(
	ctx context.Context, try func(ctx context.Context, leader kv.NodeID) error,
) error {
	return g.search(ctx, func(ctx context.Context, leader kv.NodeID, _ int) (
		context.Context, context.CancelFunc,
	) {
		return context.WithTimeout(ctx, g.cfg.TryTimeout)
	}, try)
}

// search is withLeader with tries that bound bounds, which is told how many have ended
// without an answer.
func (g *Group) search(
	ctx context.Context,
	bound func(ctx context.Context, leader kv.NodeID, silences int) (
		context.Context, context.CancelFunc),
	try func(ctx context.Context, leader kv.NodeID) error,
) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, g.cfg.CallTimeout)
		defer cancel()
	}
	perhaps := false
	pause, silences := retryFirst, 0
	var failed, silent, named kv.NodeID
	for turn := 0; ; turn++ {
		before := named
		if named = g.named(); named == failed && named != before {
			failed = 0 // it has come to lead since it was asked
		}
		leader := g.guess(turn, failed, silent)
		err := errNobody
		if leader != 0 {
			limited, cancel := bound(ctx, leader, silences)
			if err = try(limited, leader); err != nil && limited.Err() != nil {
				silent, pause = leader, retryFirst // the time was lost already
				silences++
			}
			cancel()
		}
		if err == nil || errors.Is(err, errFinal) {
			return err
		}
		perhaps = perhaps || errors.Is(err, errUnknown)
		g.hints.forget(leader)
		failed = leader
		if !g.serving.sleep(ctx, g.jitter(pause)) {
			if perhaps {
				return fmt.Errorf("%w: %w", ErrUnknown, err)
			}
			return fmt.Errorf("%w: %w", ErrNoLeader, err)
		}
		pause = min(2*pause, retryMost)
	}
}

// errNobody: there is nobody to ask.
var errNobody = errors.New("meta: no member of the group is known; has this node registered?")

// errFinal: to try again would lead to the same.
var errFinal = errors.New("meta: refused")

// bounded gives ctx a deadline where it has none, and ends it with the group's part here.
func (g *Group) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, unbind := g.serving.bind(ctx)
	if _, ok := ctx.Deadline(); ok {
		return ctx, unbind
	}
	ctx, cancel := context.WithTimeout(ctx, g.cfg.CallTimeout)
	return ctx, func() {
		cancel()
		unbind()
	}
}

// proposeAt asks another member to propose.
func (g *Group) proposeAt(ctx context.Context, leader kv.NodeID, commands [][]byte) (
	results []state.Result, index uint64, err error,
) {
	select {
	case g.forwards <- struct{}{}:
		defer func() { <-g.forwards }()
	case <-ctx.Done():
		return nil, 0, ctx.Err() // nothing was sent
	}
	request := wire.MetaProposeRequest{RemainingMS: remaining(ctx), Commands: commands}
	answer, err := g.caller.call(ctx, leader, wire.MethodMetaPropose,
		func(dst []byte, _ uint16) []byte { return wire.AppendMetaProposeRequest(dst, &request) })
	if err != nil {
		return nil, 0, unanswered(err)
	}
	var reply wire.MetaProposeReply
	if err := wire.DecodeMetaProposeReply(answer, &reply); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errUnknown, err)
	}
	if err := g.heed(leader, &reply.MetaOutcome); err != nil {
		return nil, 0, err
	}
	if len(reply.Results) != len(commands) {
		return nil, 0, fmt.Errorf("%w: member %d answered %d commands with %d results",
			errUnknown, leader, len(commands), len(reply.Results))
	}
	results = make([]state.Result, len(reply.Results))
	for i, b := range reply.Results {
		if results[i], err = state.DecodeResult(b); err != nil {
			return nil, 0, fmt.Errorf("%w: %w", errUnknown, err)
		}
	}
	return results, reply.Index, nil
}

// readIndexAt asks another member for an index.
func (g *Group) readIndexAt(ctx context.Context, leader kv.NodeID) (uint64, error) {
	request := wire.MetaReadIndexRequest{RemainingMS: remaining(ctx)}
	answer, err := g.caller.call(ctx, leader, wire.MethodMetaReadIndex,
		func(dst []byte, _ uint16) []byte { return wire.AppendMetaReadIndexRequest(dst, &request) })
	if err != nil {
		return 0, err
	}
	var reply wire.MetaReadIndexReply
	if err := wire.DecodeMetaReadIndexReply(answer, &reply); err != nil {
		return 0, err
	}
	return reply.Index, g.heed(leader, &reply.MetaOutcome)
}

// heed makes an error of what a member answered, and remembers whom it takes for the
// leader.
func (g *Group) heed(from kv.NodeID, o *wire.MetaOutcome) error {
	if o.Code == wire.MetaOK {
		g.hints.heard(from, o.Term)
		return nil
	}
	if o.Leader != from {
		g.hints.heard(o.Leader, o.Term)
	}
	detail := o.Detail[:min(len(o.Detail), maxDetail)]
	switch o.Code {
	case wire.MetaNotLeader, wire.MetaNoSeat:
		return fmt.Errorf("%w: member %d", errAway, from)
	case wire.MetaDropped, wire.MetaExpired:
		return fmt.Errorf("meta: member %d proposed nothing: %s", from, detail)
	case wire.MetaRefused:
		return fmt.Errorf("%w by member %d: %s", errFinal, from, detail)
	default: // MetaUnknown, and what a later release may say
		return fmt.Errorf("%w: member %d: %s", errUnknown, from, detail)
	}
}

// unanswered tells what an unanswered call means for a proposal.
func unanswered(err error) error {
	var said *rpc.RemoteError
	if errors.Is(err, rpc.ErrNotSent) {
		return err
	}
	if errors.As(err, &said) {
		// The call was refused before it reached the group: see did in package node.
		switch code, _ := wire.ParseError(said.Text); code {
		case wire.CodeShuttingDown, wire.CodeOverloaded, wire.CodeUnknownMethod, wire.CodeInvalid:
			return err
		}
	}
	return fmt.Errorf("%w: %w", errUnknown, err)
}

// remaining is what is left of ctx, as a message carries it.
func remaining(ctx context.Context) uint32 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return math.MaxUint32
	}
	return uint32(min(max(time.Until(deadline).Milliseconds(), 0), math.MaxUint32))
}

// sleep waits, and reports false where ctx ends first, or has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
