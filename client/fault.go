// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// reach is how far an attempt got. A later one of further reach is told instead of an
// earlier one; unknown outcomes stand above all.
type reach uint8

const (
	reachNone    reach = 1 + iota // certainly not sent
	reachSent                     // sent, or answered; nothing was stored
	reachUnknown                  // sent, and possibly stored
)

// fault is how one attempt failed.
type fault struct {
	node *node // who was asked; nil: nobody
	code Code
	text string
	err  error // the cause on this side; nil where the node answered
	// reach says what may have become of the request.
	reach reach
	// then is what the table of codes says.
	then wire.Retry
	// soon says that waiting would not help: the time was lost already, or another node
	// will do.
	soon bool
	// blame says that the node had better be avoided for a while.
	blame bool
	// final ends the request: the caller's context or the client has ended, or the
	// request itself is wrong.
	final bool
}

// answered is the fault of a node's error.
func answered(op wire.Op, n *node, text string) fault {
	code, rest := wire.ParseError(text)
	f := fault{node: n, code: code, text: rest, reach: reachSent, then: code.Retry(op)}
	if code.Outcome(op) == OutcomeUnknown {
		f.reach = reachUnknown
	}
	f.soon = f.then == wire.RetryElsewhere
	f.blame = code == wire.CodeShuttingDown
	return f
}

// decides reports whether the fault is the group's answer to what it was asked. It answers
// a repetition as it did the first time, so that this one tells the outcome of all.
func (f *fault) decides() bool {
	return f.then == wire.RetryByLock || f.code == wire.CodeExists ||
		f.code == wire.CodeNoSuchBucket
}

// unanswered is the fault of a call that got no answer.
func unanswered(ctx context.Context, op wire.Op, n *node, err error) fault {
	f := fault{node: n, err: err, reach: reachSent, then: wire.RetryElsewhere, soon: true}
	if op == wire.OpWrite {
		f.reach, f.then = reachUnknown, wire.RetrySameID
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		f.code, f.text, f.err, f.final = CodeCanceled, "the caller gave up", ctx.Err(), true
	case errors.Is(err, context.DeadlineExceeded):
		f.code, f.text, f.blame = wire.CodeTimeout, "the node did not answer in time", true
		f.final = ctx.Err() != nil
	default:
		f.code, f.text = CodeLost, err.Error()
	}
	return f
}

// notSent is the fault of a call of which not a byte was sent.
func notSent(n *node, err error) fault {
	f := fault{
		node: n, code: CodeConnect, text: err.Error(), err: err, reach: reachNone,
		then: wire.RetryElsewhere, soon: true,
	}
	var remote *rpc.RemoteError
	switch {
	case errors.As(err, &remote): // the node refused the connection's hello
		f.code, f.text = wire.ParseError(remote.Text)
		f.final = f.code == wire.CodeUnauthenticated || f.code == wire.CodePermissionDenied
	case errors.Is(err, rpc.ErrTooLong):
		f.code, f.final = wire.CodeTooLarge, true
	case errors.Is(err, rpc.ErrBusy):
		f.code, f.then, f.soon = wire.CodeOverloaded, wire.RetryLater, false
	}
	return f
}

// overLimit is the fault of a request that the node would refuse for its size.
func overLimit(n *node, text string) fault {
	return fault{
		node: n, code: wire.CodeTooLarge, text: text, reach: reachNone, then: wire.RetryNo,
		final: true,
	}
}

// ended is the fault of a request whose time was over before anything was sent.
func ended(ctx context.Context) fault {
	f := fault{reach: reachNone, then: wire.RetryNo, final: true}
	switch err := ctx.Err(); {
	case errors.Is(err, context.Canceled):
		f.code, f.text, f.err = CodeCanceled, "the caller gave up", err
	default:
		f.code, f.text, f.err = wire.CodeTimeout, "no time left", context.DeadlineExceeded
	}
	return f
}

// closedFault is the fault of a request that was under way when the client was closed.
func closedFault(n *node, reached reach) fault {
	return fault{
		node: n, code: CodeClosed, text: "the client was closed", err: ErrClosed,
		reach: reached, then: wire.RetryNo, final: true,
	}
}
