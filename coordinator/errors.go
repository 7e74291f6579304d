// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

// Error is how a request failed, in the words of the client protocol. The code implies
// the outcome (wire.Code): none or unknown.
type Error struct {
	Code wire.Code
	Text string
	Err  error // what is behind it, if anything
}

func (e *Error) Error() string { return wire.FormatError(e.Code, e.Text) }

// Unwrap returns what is behind the error.
func (e *Error) Unwrap() error { return e.Err }

func invalid(err error) error {
	return &Error{Code: wire.CodeInvalid, Text: err.Error(), Err: err}
}

func notFormed() error {
	return &Error{Code: wire.CodeNotReady, Text: "the cluster has not been formed yet"}
}

// refusal tells a client why the coordinating owner refused to mint. Nothing was
// stored anywhere: no send goes out before the mint.
func refusal(reply replica.MintReply) error {
	e := &Error{Code: wire.CodeInternal, Text: reply.Detail, Err: reply.Err}
	switch {
	case errors.Is(reply.Err, kv.ErrTooManySiblings):
		e.Code = wire.CodeTooManySiblings
	case errors.Is(reply.Err, kv.ErrTooLarge):
		e.Code = wire.CodeTooLarge
	case errors.Is(reply.Err, kv.ErrFenced):
		e.Code = wire.CodeFenced
	case reply.Code == wire.ReplicaNoBucket:
		e.Code = wire.CodeNoSuchBucket
	case errors.Is(reply.Err, replica.ErrContext):
		e.Code = wire.CodeInvalid
	case errors.Is(reply.Err, replica.ErrMayNotMint):
		e.Code = wire.CodeNotReady
	case reply.Code == wire.ReplicaExpired:
		// Dropped before it minted: nothing was stored, which TIMEOUT could not say.
		e.Code, e.Text = wire.CodeOverloaded, "the deadline passed while the write was queued"
	case reply.Code == wire.ReplicaOverloaded:
		e.Code = wire.CodeOverloaded
	case reply.Code == wire.ReplicaShuttingDown:
		e.Code = wire.CodeShuttingDown
	case reply.Code == wire.ReplicaUnreadable:
		// CORRUPT says unknown for writes; this one certainly was not stored.
		e.Code = wire.CodeNotReady
		e.Text = "the coordinating owner's record of this key is damaged: " + reply.Detail
	}
	return e
}

// shortOf is the error of a read round that can not reach its quorum any more. Its
// outcome is none either way; UNAVAILABLE says that too few could even be asked.
func (p *plan) shortOf(tally quorum.Tally, entries iter.Seq[quorum.Entry]) error {
	e := &Error{Code: wire.CodeQuorum, Text: p.textOf(tally, entries)}
	if tally.Asked < tally.Need {
		e.Code = wire.CodeUnavailable
	}
	return e
}

// verdicts counts what the replicas of a read say of the bucket itself.
type verdicts struct {
	gone  int // that the group has deleted it
	other int // anything else, also nothing at all
}

func (v *verdicts) add(code wire.ReplicaCode, err error) {
	if err == nil && code == wire.ReplicaNoBucket {
		v.gone++
	} else {
		v.other++
	}
}

// shortOf is that of the plan; but where all who answered say that the bucket has been
// deleted under the request, there is no such bucket.
func (v *verdicts) shortOf(
	p *plan, tally quorum.Tally, entries iter.Seq[quorum.Entry],
) error {
	if v.gone > 0 && v.other == 0 {
		return &Error{
			Code: wire.CodeNoSuchBucket, Text: "it has been deleted", Err: replica.ErrNoBucket,
		}
	}
	return p.shortOf(tally, entries)
}

// overdue is the error of a request whose time is up.
func overdue(ctx context.Context, text string) error {
	return &Error{Code: wire.CodeTimeout, Text: text, Err: context.Cause(ctx)}
}

// resultOf is what a replica's code means to a round.
func resultOf(code wire.ReplicaCode, success quorum.Result) quorum.Result {
	switch code {
	case wire.ReplicaOK:
		return success
	case wire.ReplicaRefused, wire.ReplicaExpired, wire.ReplicaOverloaded,
		wire.ReplicaStaleEpoch, wire.ReplicaShuttingDown, wire.ReplicaUnreadable,
		wire.ReplicaNoBucket, wire.ReplicaNotComparable:
		return quorum.ResultRefused
	case wire.ReplicaFenced:
		return quorum.ResultFenced
	default:
		return quorum.ResultFailed
	}
}

// replyOf is what a replica's answer means to a round. success is what its ReplicaOK is.
func replyOf(
	t quorum.Target, s wire.Standing, code wire.ReplicaCode, detail string, success quorum.Result,
) quorum.Reply {
	return quorum.Reply{
		Node: t.Node, Slot: t.Slot, Role: s.Role, Confirmed: s.Confirmed, Version: s.Placement,
		Instance: s.Instance, Result: resultOf(code, success), Reason: detail,
	}
}

// stored is the answer to a copy that was sent.
func stored(t quorum.Target, reply wire.StoreReply, err error) quorum.Reply {
	if err != nil {
		return unanswered(t, err)
	}
	return replyOf(t, reply.Standing, reply.Code, reply.Detail, quorum.ResultStored)
}

// unanswered is what a failed call means to a round.
func unanswered(t quorum.Target, err error) quorum.Reply {
	result := quorum.ResultFailed
	if errors.Is(err, ErrNotSent) {
		result = quorum.ResultNotSent
	}
	return quorum.Reply{Node: t.Node, Slot: t.Slot, Result: result, Reason: err.Error()}
}

// textOf lists what a round knows, with the names that people know nodes by.
func (p *plan) textOf(tally quorum.Tally, entries iter.Seq[quorum.Entry]) string {
	var b strings.Builder
	fmt.Fprintf(&b, "need %d", tally.Need)
	if tally.NeedConfirmed > 0 {
		fmt.Fprintf(&b, " (%d of them confirmed owners)", tally.NeedConfirmed)
	}
	fmt.Fprintf(&b, ", got %d", tally.Got)
	entries(func(e quorum.Entry) bool {
		if e.Standing != quorum.StandingNotAsked {
			fmt.Fprintf(&b, "; %s", p.name(e.Node))
			if e.Role == kv.RoleFallback {
				b.WriteString(" (fallback)")
			}
			fmt.Fprintf(&b, ": %v", e.Standing)
			if e.Reason != "" {
				fmt.Fprintf(&b, ", %s", e.Reason)
			}
		}
		return true
	})
	return b.String()
}
