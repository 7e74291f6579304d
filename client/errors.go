// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dyno-kv/dyno/wire"
)

// Code names what went wrong, for programs: the codes of docs/protocol.md, and those
// below, which no node answers with. A node of a later release may answer with others.
type Code = wire.Code

// Codes of this side.
const (
	// CodeConnect: no node could be connected to. Nothing was sent.
	CodeConnect Code = "CONNECT"
	// CodeLost: the connection ended before the answer.
	CodeLost Code = "CONNECTION_LOST"
	// CodeCanceled: the caller's context was canceled.
	CodeCanceled Code = "CANCELED"
	// CodeClosed: the client was closed.
	CodeClosed Code = "CLOSED"
	// CodeBadAnswer: a node answered what is no answer to the request.
	CodeBadAnswer Code = "BAD_ANSWER"
	// CodeChanged: the key was written again and again while its pages were read, or the
	// node gave up a snapshot of which it had sent a part.
	CodeChanged Code = "CHANGED"
	// CodeSessionLost: the session could not be renewed in time, and may be over.
	CodeSessionLost Code = "SESSION_LOST"
	// CodeSessionClosed: the session was closed on this side.
	CodeSessionClosed Code = "SESSION_CLOSED"
)

// Outcome is what a failed request may have left behind: OutcomeNone or OutcomeUnknown.
// A read never leaves anything.
type Outcome = wire.Outcome

const (
	// OutcomeNone: nothing was stored anywhere, and nothing will be.
	OutcomeNone = wire.OutcomeNone
	// OutcomeUnknown: the write may be there, or may become visible later. Doing it again
	// with the same request id, or reading, tells.
	OutcomeUnknown = wire.OutcomeUnknown
)

// Errors to test for with errors.Is. Each but the first three stands for one or a few
// codes.
var (
	// ErrNotFound is returned by [Result.Value] for a key that has no value.
	ErrNotFound = errors.New("client: no such key")
	// ErrSiblings is returned by [Result.Value] for a key that has several.
	ErrSiblings = errors.New("client: the key has several values")
	// ErrUnchanged is returned by the function given to [Bucket.Update] to write nothing.
	ErrUnchanged = errors.New("client: nothing to change")

	// ErrInvalid: a request that the node, or this side already, does not accept.
	ErrInvalid = errors.New("client: invalid request")
	// ErrTooLarge: over a limit of size.
	ErrTooLarge = errors.New("client: too large")
	// ErrTooManySiblings: the key has so many siblings that a write must read them first.
	ErrTooManySiblings = errors.New("client: too many siblings")
	// ErrUnsupported: the node does not know the method or the version.
	ErrUnsupported = errors.New("client: not supported by the node")
	// ErrPermission: not authenticated, or not allowed.
	ErrPermission = errors.New("client: not permitted")
	// ErrNoSuchBucket: there is no bucket of that name.
	ErrNoSuchBucket = errors.New("client: no such bucket")
	// ErrExists: what was to be created is there.
	ErrExists = errors.New("client: exists already")
	// ErrNotReady: the cluster, or the node, is forming, starting or restoring.
	ErrNotReady = errors.New("client: not ready")
	// ErrOverloaded: nodes refuse work for now.
	ErrOverloaded = errors.New("client: overloaded")
	// ErrShuttingDown: every node that was asked is going away.
	ErrShuttingDown = errors.New("client: shutting down")
	// ErrUnavailable: fewer replicas than required could be asked.
	ErrUnavailable = errors.New("client: too few replicas available")
	// ErrQuorum: fewer replicas than required answered.
	ErrQuorum = errors.New("client: too few replicas answered")
	// ErrTimeout: no answer in time, or none with enough replicas.
	ErrTimeout = errors.New("client: timeout")
	// ErrFenced: a newer holder of the lock has written.
	ErrFenced = errors.New("client: fenced off")
	// ErrNoLeader: the metadata group has no leader now.
	ErrNoLeader = errors.New("client: no leader")
	// ErrLocked: somebody else has the lock.
	ErrLocked = errors.New("client: the lock is held")
	// ErrLockLost: what was held, or waited for, is held no longer.
	ErrLockLost = errors.New("client: the lock is lost")
	// ErrLockConflict: the lock is one of another kind.
	ErrLockConflict = errors.New("client: the lock is of another kind")
	// ErrSessionLost: the session is over, or may be, as far as this side knows.
	ErrSessionLost = errors.New("client: the session is lost")
	// ErrSessionClosed: the session was closed on this side.
	ErrSessionClosed = errors.New("client: the session is closed")
	// ErrInternal: a node failed, or answered what can not be understood.
	ErrInternal = errors.New("client: failure of the node")
	// ErrConnect: no node could be connected to; certainly nothing was sent.
	ErrConnect = errors.New("client: can not connect")
	// ErrLost: the connection ended before the answer.
	ErrLost = errors.New("client: connection lost")
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("client: closed")
	// ErrChanged: the key was written again and again while its pages were read, or the
	// node gave up a snapshot of which it had sent a part.
	ErrChanged = errors.New("client: it has changed while it was read")
)

// sentinels is the one table from codes to errors. Codes without a line are told by
// Error.Code alone.
var sentinels = map[Code]error{
	wire.CodeInvalid:            ErrInvalid,
	wire.CodeTooLarge:           ErrTooLarge,
	wire.CodeTooManySiblings:    ErrTooManySiblings,
	wire.CodeUnknownMethod:      ErrUnsupported,
	wire.CodeUnsupportedVersion: ErrUnsupported,
	wire.CodeUnauthenticated:    ErrPermission,
	wire.CodePermissionDenied:   ErrPermission,
	wire.CodeNoSuchBucket:       ErrNoSuchBucket,
	wire.CodeExists:             ErrExists,
	wire.CodeNotReady:           ErrNotReady,
	wire.CodeOverloaded:         ErrOverloaded,
	wire.CodeShuttingDown:       ErrShuttingDown,
	wire.CodeUnavailable:        ErrUnavailable,
	wire.CodeQuorum:             ErrQuorum,
	wire.CodeTimeout:            ErrTimeout,
	wire.CodeFenced:             ErrFenced,
	wire.CodeNoLeader:           ErrNoLeader,
	wire.CodeLockHeld:           ErrLocked,
	wire.CodeWaitTimeout:        ErrTimeout,
	wire.CodeLockLost:           ErrLockLost,
	wire.CodeLockConflict:       ErrLockConflict,
	wire.CodeSessionExpired:     ErrSessionLost,
	wire.CodeCorrupt:            ErrInternal,
	wire.CodeInternal:           ErrInternal,
	CodeConnect:                 ErrConnect,
	CodeLost:                    ErrLost,
	CodeClosed:                  ErrClosed,
	CodeBadAnswer:               ErrInternal,
	CodeChanged:                 ErrChanged,
	CodeSessionLost:             ErrSessionLost,
	CodeSessionClosed:           ErrSessionClosed,
}

// Error is a request that failed. errors.Is finds the sentinel of its code in it, and
// context.Canceled or context.DeadlineExceeded where the caller's context ended it.
type Error struct {
	// Op is the method, as the protocol has it: "kv.get".
	Op string
	// Bucket and Key say what it was about; empty where it was about no key.
	Bucket string
	Key    []byte
	// Name is that of the lock, session or bucket that it was about, where it was one.
	Name string
	// Holder is the number of the attempt at a lock that failed; 0 for anything else.
	Holder uint64
	// Node is who gave the answer that is told, or was asked last: its name where that is
	// known, else its address. Empty where nobody was asked.
	Node string
	// Code and Text are the answer's, or this side's.
	Code Code
	Text string
	// Outcome is over all attempts: unknown if any of them may have been carried out.
	Outcome Outcome
	// Attempts is how often the request was sent, or tried to be.
	Attempts int
	// Err is the cause, where it is one of this side; else nil.
	Err error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("client: ")
	b.WriteString(e.Op)
	if len(e.Key) > 0 {
		const shown = 64
		b.WriteByte(' ')
		b.WriteString(strconv.Quote(string(e.Key[:min(len(e.Key), shown)])))
		if len(e.Key) > shown {
			b.WriteString("...")
		}
	}
	if e.Name != "" {
		b.WriteByte(' ')
		b.WriteString(strconv.Quote(e.Name))
	}
	b.WriteString(": ")
	b.WriteString(wire.FormatError(e.Code, e.Text))
	var notes []string
	if e.Node != "" {
		notes = append(notes, "node "+e.Node)
	}
	if e.Attempts > 1 {
		notes = append(notes, fmt.Sprintf("%d attempts", e.Attempts))
	}
	if e.Outcome == OutcomeUnknown {
		notes = append(notes, "outcome unknown: the write may be there, or appear later")
	}
	if len(notes) > 0 {
		b.WriteString(" (" + strings.Join(notes, ", ") + ")")
	}
	return b.String()
}

// Is reports whether target is the sentinel of the error's code.
func (e *Error) Is(target error) bool {
	sentinel := sentinels[e.Code]
	return sentinel != nil && target == sentinel
}

// Unwrap is the cause, where it is one of this side.
func (e *Error) Unwrap() error { return e.Err }

// OutcomeOf is what a failed request may have left behind: none for nil, and for an
// error that is not of this package, since nothing was sent then.
func OutcomeOf(err error) Outcome {
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return OutcomeNone
}
