// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// Group is this node's part in the metadata group. Errors of its calls wrap those of
// package meta, or ctx's.
type Group interface {
	// Do has the group carry out a command.
	Do(ctx context.Context, c state.Command) (state.Result, error)
	// Barrier waits until Read shows all that was committed when it was called.
	Barrier(ctx context.Context) (index uint64, err error)
	// Read shows the state as this node has applied it, nil where it knows none. The
	// function must neither keep nor change it, nor wait.
	Read(show func(*state.State))
	// Acquire asks for a lock and waits for it, up to poll.
	Acquire(ctx context.Context, a locks.Acquire, poll time.Duration) (locks.Result, error)
	// Renew keeps a session alive.
	Renew(ctx context.Context, id locks.SessionID) error
	// Save brings a piece of the group's state as of one index, of at most so many bytes;
	// index 0 begins with all that is committed now.
	Save(ctx context.Context, index, offset uint64, most int) (meta.SavedPart, error)
	// Status tells how this node sees the group.
	Status() meta.Status
	// HandlePeer answers a call of another member. It never waits.
	HandlePeer(ctx context.Context, call *rpc.Call)
}

var _ Group = (*meta.Group)(nil)

// ServeGroup has requests to the metadata group served; before, they are answered
// NOT_READY. It is called once, on a server whose Parts say Grouped.
func (s *Server) ServeGroup(g Group) { s.part.Store(&g) }

// group is this node's part in the metadata group.
func (s *Server) group() (Group, error) {
	if g := s.part.Load(); g != nil {
		return *g, nil
	}
	return nil, &coordinator.Error{
		Code: wire.CodeNotReady, Text: "this node has no part in the metadata group yet: it is " +
			"about to register or to start",
	}
}

// groupMethods are the methods that ask the metadata group. They pass gates of their own:
// neither do keys stand in their way, nor waits in that of what would end them.
func (s *Server) groupMethods() []method {
	return []method{
		{name: wire.MethodSessionOpen, handle: s.handleSessionOpen, gate: s.decisions},
		{name: wire.MethodSessionKeepAlive, handle: s.handleKeepAlive, gate: s.renewals},
		{name: wire.MethodSessionClose, handle: s.handleSessionClose, gate: s.decisions},
		{name: wire.MethodSessionList, handle: s.handleSessionList, gate: s.decisions},
		{name: wire.MethodLockAcquire, handle: s.handleLockAcquire, gate: s.attempts},
		{name: wire.MethodLockRelease, handle: s.handleLockRelease, gate: s.decisions},
		{name: wire.MethodLockCancel, handle: s.handleLockCancel, gate: s.decisions},
		{name: wire.MethodLockGet, handle: s.handleLockGet, gate: s.decisions},
		{name: wire.MethodLockList, handle: s.handleLockList, gate: s.decisions},
		{name: wire.MethodLockForceRelease, handle: s.handleForceRelease, gate: s.decisions},
		{name: wire.MethodBucketCreate, handle: s.handleBucketCreate, gate: s.decisions},
		{name: wire.MethodBucketUpdate, handle: s.handleBucketUpdate, gate: s.decisions},
		{name: wire.MethodBucketDelete, handle: s.handleBucketDelete, gate: s.decisions},
		{name: wire.MethodClusterJoin, handle: s.handleClusterJoin, gate: s.decisions},
		{name: wire.MethodMetaStatus, handle: s.handleMetaStatus, gate: s.decisions},
		{name: wire.MethodMetaMembers, handle: s.handleMetaMembers, gate: s.decisions},
		{
			name: wire.MethodStateSnapshot, handle: s.handleStateSnapshot, gate: s.decisions,
			reads: readsPage,
		},
	}
}

// decide has the group carry out a command. The result is there where the command was;
// what was refused is an error.
func (s *Server) decide(ctx context.Context, c state.Command) (state.Result, error) {
	g, err := s.group()
	if err != nil {
		return state.Result{}, err
	}
	// What is known by then (NO_LEADER, with nothing proposed) is worth more to the client than
	// its own time-out, which can not say that.
	ctx, cancel := inTime(ctx)
	defer cancel()
	result, err := g.Do(ctx, c)
	if err == nil {
		err = refusal(result)
	}
	return result, err
}

// refusal is what a client is told where the group refused a command; nil where it did
// not. Nothing was changed then, so that each of these codes says the outcome `none`.
func refusal(r state.Result) error {
	told := &coordinator.Error{Text: r.Detail}
	switch r.Code {
	case state.CodeOK:
		if r.Lock.Code == 0 { // of no command of locks
			return nil
		}
		return lockRefusal(r.Lock)
	case state.CodeInvalid, state.CodeNotSupported, state.CodeRefused:
		told.Code = wire.CodeInvalid
	case state.CodeExists:
		told.Code = wire.CodeExists
	case state.CodeNotFound: // only buckets are looked for by clients
		told.Code = wire.CodeNoSuchBucket
	case state.CodeNotReady:
		told.Code = wire.CodeNotReady
	case state.CodeExhausted:
		told.Code = wire.CodeTooLarge
	default:
		told.Code = wire.CodeInternal
		told.Text = fmt.Sprintf("the group answered %v: %s", r.Code, r.Detail)
	}
	return told
}

// lockRefusal is refusal for the answers of sessions and locks. A place in a queue is no
// refusal.
func lockRefusal(r locks.Result) error {
	told := &coordinator.Error{Text: r.Detail}
	otherwise := ""
	switch r.Code {
	case locks.CodeOK, locks.CodeQueued:
		return nil
	case locks.CodeHeld:
		told.Code, otherwise = wire.CodeLockHeld, "somebody else holds the lock"
	case locks.CodeWaitOver:
		told.Code, otherwise = wire.CodeWaitTimeout, "the wait is over; the place is given up"
	case locks.CodeSessionExpired:
		told.Code, otherwise = wire.CodeSessionExpired, "there is no such session; open another"
	case locks.CodeLockLost:
		told.Code, otherwise = wire.CodeLockLost, "that holder number is finished with"
	case locks.CodeConflict:
		told.Code, otherwise = wire.CodeLockConflict, "in use with another name or kind"
	case locks.CodeOverloaded:
		told.Code, otherwise = wire.CodeOverloaded, "the lock table is full; "+tryAgain
	case locks.CodeInvalid:
		told.Code = wire.CodeInvalid
	default:
		told.Code = wire.CodeInternal
		told.Text = fmt.Sprintf("the lock table answered %v: %s", r.Code, r.Detail)
	}
	if told.Text == "" {
		told.Text = otherwise
	}
	return told
}

// show has a function see the group's state: as it is when all is applied that was
// committed before, or, where stale is asked for, as this node has it.
func (s *Server) show(ctx context.Context, stale bool, f func(*state.State)) error {
	g, err := s.group()
	if err != nil {
		return err
	}
	if !stale {
		if _, err := g.Barrier(ctx); err != nil {
			return err
		}
	}
	known := false
	g.Read(func(st *state.State) {
		if known = st != nil; known {
			f(st)
		}
	})
	if !known {
		return &coordinator.Error{
			Code: wire.CodeNotReady, Text: "this node knows nothing of the group's state yet; ask " +
				"another node, or try again",
		}
	}
	return nil
}

// newID draws an id that nobody can guess.
func newID() (id [16]byte) {
	_, _ = crand.Read(id[:]) // never fails: the process ends where there is no randomness
	return id
}
