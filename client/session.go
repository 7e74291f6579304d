// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

// SessionID names a session. Whoever knows it can act in its name: it is not for logs.
type SessionID [16]byte

func (id SessionID) String() string { return hex.EncodeToString(id[:]) }

// SessionState is what this side knows of a session.
type SessionState uint8

const (
	// SessionConnected: it was renewed in good time.
	SessionConnected SessionState = 1 + iota
	// SessionSuspended: no renewal was answered for half of its time to live. It holds
	// what it holds; it may be lost soon.
	SessionSuspended
	// SessionLost: it is over, or may be as far as this side knows. For good.
	SessionLost
	// SessionClosed: it was closed on this side.
	SessionClosed
)

func (s SessionState) String() string {
	switch s {
	case SessionConnected:
		return "connected"
	case SessionSuspended:
		return "suspended"
	case SessionLost:
		return "lost"
	case SessionClosed:
		return "closed"
	default:
		return "invalid"
	}
}

// Session is what holds locks. It lives as long as this side renews it, which a goroutine
// of the client does, and the group ends it when no renewal came for its time to live;
// then its locks are free. It may be used from any number of goroutines: they exclude
// each other.
type Session struct {
	// Immutable after NewSession.
	client   *Client
	id       SessionID
	name     string
	trace    string
	endpoint string
	ttl      time.Duration
	// over ends with the session; its cause is an *Error that says why.
	over   context.Context
	finish context.CancelCauseFunc
	// clock tells of silence and loss, whatever the keeper waits for.
	clock *time.Timer

	mu      sync.Mutex // guards what follows
	state   SessionState
	changed chan struct{} // closed with the next change of state
	numbers numbers
	renewed time.Time // when the newest renewal that was answered had been sent
	heard   time.Time // when that answer came
	until   time.Time // when the session is lost
	gone    bool      // the group has said that it has no such session any more
}

// margin is how much sooner than the group this side takes a session for lost: what a
// holder has to stop in, and what two clocks may differ by in a time to live.
func margin(ttl time.Duration) time.Duration { return max(ttl/8, 500*time.Millisecond) }

// NewSession opens a session. Options: [WithTTL] (5 s to 24 h, 15 s by default),
// [WithSessionName], [WithTimeout], [WithTrace], [WithEndpoint]; with the last one all
// that the session asks goes to that node. Close it before the client: a session that is
// only abandoned keeps its locks until its time to live is over.
func (c *Client) NewSession(ctx context.Context, opts ...Option) (*Session, error) {
	var o options
	why := o.fold(opts, optOpen)
	if ms := o.ttlMS; why == "" && ms != 0 &&
		(ms < wire.MinSessionTTLMS || ms > wire.MaxSessionTTLMS) {
		why = "WithTTL of a session must be 5 s to 24 h"
	}
	if why != "" {
		return nil, invalidError(wire.MethodSessionOpen, "", nil, why)
	}
	s := &Session{
		client: c, id: SessionID(c.NewRequestID()), name: o.name, trace: o.trace,
		endpoint: o.endpoint, state: SessionConnected, changed: make(chan struct{}),
	}
	s.over, s.finish = context.WithCancelCause(context.Background())
	// The first attempt may be the one that was carried out, whichever was answered.
	began := time.Now()
	q := s.call(wire.MethodSessionOpen, wire.OpWrite)
	q.deadline = c.deadline(ctx, &o)
	q.encode = func(dst []byte) []byte {
		return wire.AppendSessionOpenRequest(dst, &wire.SessionOpenRequest{
			Common: s.common(q), Session: s.id, TTLMS: uint32(o.ttlMS), Name: o.name,
		})
	}
	got, err := ask(ctx, c, q, wire.DecodeSessionOpenResult)
	if err == nil && (got.Session != s.id || got.TTLMS == 0) {
		err = q.badAnswer(errOtherSession)
	}
	opened := err == nil
	if opened {
		s.ttl = time.Duration(got.TTLMS) * time.Millisecond
		err = s.begin(began)
	}
	if err != nil && (opened || OutcomeOf(err) == OutcomeUnknown) {
		c.start(s.abandon)
	}
	if err != nil {
		s.end(SessionClosed, s.overError(CodeSessionClosed, "it was not opened"))
		return nil, err
	}
	return s, nil
}

var errOtherSession = errors.New("another session than was asked for, or one without time")

// begin starts what keeps an open session alive.
func (s *Session) begin(sent time.Time) error {
	s.clock = time.AfterFunc(s.ttl, s.tick)
	s.noteRenewal(sent)
	if err := s.Err(); err != nil {
		return err // opening took longer than the session lives
	}
	if !s.client.start(s.keep) {
		s.clock.Stop()
		return s.overError(CodeClosed, "the client was closed")
	}
	return nil
}

// abandon closes a session that nobody has, if there is one.
func (s *Session) abandon() { _ = s.askClose(s.client.life) } // else its time to live ends it

// ID names the session.
func (s *Session) ID() SessionID { return s.id }

// TTL is how long the group keeps the session without a renewal.
func (s *Session) TTL() time.Duration { return s.ttl }

// Done is closed when the session is over: lost or closed. Its locks must be taken for
// lost from then on.
func (s *Session) Done() <-chan struct{} { return s.over.Done() }

// Err says why the session is over; nil while it is not. errors.Is finds ErrSessionLost,
// ErrSessionClosed or ErrClosed in it.
func (s *Session) Err() error { return context.Cause(s.over) }

// State is what this side knows of the session, and a channel that is closed with the
// next change.
func (s *Session) State() (SessionState, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.changed
}

// Renewed is when the newest renewal that was answered had been sent: the group keeps the
// session for its time to live from then on at least.
func (s *Session) Renewed() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewed
}

// Close ends the session: its locks are free when Close returns nil. Whoever waits in it
// for a lock is told ErrSessionClosed. After an error Close may be called again; else the
// group ends the session when its time to live is over.
func (s *Session) Close(ctx context.Context) error {
	s.end(SessionClosed, s.overError(CodeSessionClosed, "Close was called"))
	s.mu.Lock()
	gone := s.gone
	s.mu.Unlock()
	if gone {
		return nil
	}
	return s.askClose(ctx)
}

func (s *Session) askClose(ctx context.Context) error {
	q := s.call(wire.MethodSessionClose, wire.OpWrite)
	q.deadline = s.client.deadline(ctx, &options{})
	_, err := ask(ctx, s.client, q, decodeEmpty)
	if err == nil || codeOf(err) == wire.CodeSessionExpired {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gone = true
		return nil
	}
	return err
}

// call is a request about the session as a whole, unless more is set.
func (s *Session) call(method string, op wire.Op) *call {
	q := &call{
		method: method, op: op, name: s.label(), again: true, group: true, endpoint: s.endpoint,
	}
	q.encode = func(dst []byte) []byte {
		return wire.AppendSessionRequest(dst, &wire.SessionRequest{
			Common: s.common(q), Session: s.id,
		})
	}
	return q
}

func (s *Session) common(q *call) wire.Common {
	return wire.Common{TimeoutMS: q.timeoutMS, Trace: s.trace}
}

// label is what messages call the session.
func (s *Session) label() string {
	if s.name != "" {
		return s.name
	}
	return s.id.String()[:8]
}

func (s *Session) overError(code Code, why string) *Error {
	return &Error{
		Op: "session", Name: s.label(), Code: code, Text: why, Outcome: OutcomeNone,
		Err: causeOf(code),
	}
}

// causeOf is the cause that errors of this side carry.
func causeOf(code Code) error {
	if code == CodeClosed {
		return ErrClosed
	}
	return nil
}

// during is a context that ends with the caller's and with the session.
func (s *Session) during(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.over, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}
