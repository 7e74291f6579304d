// SPDX-License-Identifier: Apache-2.0

package wire

import "strings"

// Code names what went wrong with a request, for programs. Codes cross the network as
// they are, and none ever changes its meaning. A client may meet codes of later
// releases; [Code.Outcome] and [Code.Retry] assume the worst of those.
type Code string

// The codes of the client protocol.
const (
	CodeInvalid            Code = "INVALID"
	CodeTooLarge           Code = "TOO_LARGE"
	CodeTooManySiblings    Code = "TOO_MANY_SIBLINGS"
	CodeUnknownMethod      Code = "UNKNOWN_METHOD"
	CodeUnsupportedVersion Code = "UNSUPPORTED_VERSION"
	CodeUnauthenticated    Code = "UNAUTHENTICATED"
	CodePermissionDenied   Code = "PERMISSION_DENIED"
	CodeNoSuchBucket       Code = "NO_SUCH_BUCKET"
	CodeExists             Code = "EXISTS"
	CodeNotReady           Code = "NOT_READY"
	CodeOverloaded         Code = "OVERLOADED"
	CodeShuttingDown       Code = "SHUTTING_DOWN"
	CodeUnavailable        Code = "UNAVAILABLE"
	CodeQuorum             Code = "QUORUM"
	CodeTimeout            Code = "TIMEOUT"
	CodeFenced             Code = "FENCED"
	CodeLockHeld           Code = "LOCK_HELD"
	CodeWaitTimeout        Code = "WAIT_TIMEOUT"
	CodeSessionExpired     Code = "SESSION_EXPIRED"
	CodeLockLost           Code = "LOCK_LOST"
	CodeLockConflict       Code = "LOCK_CONFLICT"
	CodeNoLeader           Code = "NO_LEADER"
	CodeCorrupt            Code = "CORRUPT"
	CodeInternal           Code = "INTERNAL"
)

// Op tells requests that change something from those that do not.
type Op uint8

const (
	// OpRead is a request that changes nothing.
	OpRead Op = 1 + iota
	// OpWrite is a request that stores or changes something.
	OpWrite
)

// Outcome is what a failed request may have left behind.
type Outcome uint8

const (
	// OutcomeNone: nothing was stored anywhere, and nothing will be.
	OutcomeNone Outcome = 1 + iota
	// OutcomeUnknown: the write may be there, or may become visible later.
	OutcomeUnknown
)

func (o Outcome) String() string {
	switch o {
	case OutcomeNone:
		return "none"
	case OutcomeUnknown:
		return "unknown"
	default:
		return "invalid"
	}
}

// Retry is what a client should do about a code.
type Retry uint8

const (
	// RetryNo: the same request would fail again.
	RetryNo Retry = 1 + iota
	// RetryLater: the same request may succeed after a pause, at any node.
	RetryLater
	// RetryElsewhere: the same request may succeed at another node, at once.
	RetryElsewhere
	// RetrySameID: the same request may succeed, but must carry the same request id, so
	// that it does not become a second write.
	RetrySameID
	// RetryByLock: the rules of locks decide.
	RetryByLock
)

func (r Retry) String() string {
	switch r {
	case RetryNo:
		return "no"
	case RetryLater:
		return "yes"
	case RetryElsewhere:
		return "yes, elsewhere"
	case RetrySameID:
		return "same request id"
	case RetryByLock:
		return "see locks"
	default:
		return "invalid"
	}
}

// rule is a line of the table of codes.
type rule struct {
	code      Code
	ambiguous bool // a write that failed so may have been stored
	read      Retry
	write     Retry
}

// rules is the table of codes in the client protocol, in its order.
var rules = [...]rule{
	{CodeInvalid, false, RetryNo, RetryNo},
	{CodeTooLarge, false, RetryNo, RetryNo},
	{CodeTooManySiblings, false, RetryNo, RetryNo},
	{CodeUnknownMethod, false, RetryNo, RetryNo},
	{CodeUnsupportedVersion, false, RetryNo, RetryNo},
	{CodeUnauthenticated, false, RetryNo, RetryNo},
	{CodePermissionDenied, false, RetryNo, RetryNo},
	{CodeNoSuchBucket, false, RetryNo, RetryNo},
	{CodeExists, false, RetryNo, RetryNo},
	{CodeNotReady, false, RetryLater, RetryLater},
	{CodeOverloaded, false, RetryLater, RetryLater},
	{CodeShuttingDown, false, RetryElsewhere, RetryElsewhere},
	{CodeUnavailable, false, RetryLater, RetryLater},
	{CodeQuorum, true, RetryLater, RetrySameID},
	{CodeTimeout, true, RetryLater, RetrySameID},
	{CodeFenced, false, RetryNo, RetryNo},
	{CodeLockHeld, false, RetryByLock, RetryByLock},
	{CodeWaitTimeout, false, RetryByLock, RetryByLock},
	{CodeSessionExpired, false, RetryByLock, RetryByLock},
	{CodeLockLost, false, RetryByLock, RetryByLock},
	{CodeLockConflict, false, RetryByLock, RetryByLock},
	{CodeNoLeader, false, RetryLater, RetryLater},
	{CodeCorrupt, true, RetryNo, RetryNo},
	{CodeInternal, true, RetryNo, RetryNo},
}

// ruleOf finds a code's line. A code of a later release gets the most careful one.
func ruleOf(c Code) rule {
	for _, r := range rules {
		if r.code == c {
			return r
		}
	}
	return rule{c, true, RetryNo, RetryNo}
}

// Codes lists every code that this release knows, in the order of the protocol's table.
func Codes() []Code {
	codes := make([]Code, 0, len(rules))
	for _, r := range rules {
		codes = append(codes, r.code)
	}
	return codes
}

// Outcome says what a request that failed with c may have left behind. A read never
// leaves anything.
func (c Code) Outcome(op Op) Outcome {
	if op == OpWrite && ruleOf(c).ambiguous {
		return OutcomeUnknown
	}
	return OutcomeNone
}

// Retry says what a client should do about c.
func (c Code) Retry(op Op) Retry {
	if op == OpWrite {
		return ruleOf(c).write
	}
	return ruleOf(c).read
}

// FormatError returns the error of a response: "CODE: text", text being for people.
func FormatError(c Code, text string) string { return string(c) + ": " + text }

// ParseError splits the error of a response into code and text. A string that does
// not begin with a code is an INTERNAL error with all of it as text.
func ParseError(s string) (Code, string) {
	code, text, _ := strings.Cut(s, ":")
	if !codeLike(code) {
		return CodeInternal, s
	}
	return Code(code), strings.TrimPrefix(text, " ")
}

// codeLike reports whether s looks like a code of some release: capitals, digits and
// underscores, the first a capital.
func codeLike(s string) bool {
	for i, c := range []byte(s) {
		capital := 'A' <= c && c <= 'Z'
		if !capital && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}
