// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
)

// Group is this member's part in the metadata group, as a seat or as a client of it: which
// of the two changes while it runs, and nobody who uses a Group has to know. Its methods
// may be called from any goroutine.
type Group struct{}

// Open reads what this member keeps of the group, and starts nothing. From here on View
// answers with the last view that was kept; calls to the group fail until Run runs.
func Open(cfg Config, log *zap.Logger) (*Group, error) { return nil, ErrNoLeader }

// Run takes part until ctx ends. It returns nil then, and an error where this member can
// not go on: its disk fails, or its copy of the state has halted. When it returns no
// goroutine of the group is left, and every call has been answered.
func (g *Group) Run(ctx context.Context) error { return nil }

// View is the newest view that this member knows; nil before it knows any. It is durable
// before long: a member that starts without the group begins with it.
func (g *Group) View() *state.View { return nil }

// Watch returns a channel that has a token whenever View has changed since the last one
// was taken, and at first. The function ends the watch.
func (g *Group) Watch() (<-chan struct{}, func()) { return nil, nil }

// Hear says that a member knows the ring of a version. Where that is newer than View's,
// and stays so for a moment, Run pulls the view from that member. It never waits.
func (g *Group) Hear(version uint64, from kv.NodeID) {}

// Do has the group carry out a command and returns its result. It is tried again, with
// whoever leads, until ctx ends. Then the error wraps ErrNoLeader where the command was
// surely not proposed, and ErrUnknown where it was, perhaps. What the command changed in
// View, View knows when Do returns, unless this member is far behind.
func (g *Group) Do(ctx context.Context, c state.Command) (state.Result, error) {
	return state.Result{}, ErrNoLeader
}

// Barrier waits until this member has applied all that the group had committed when
// Barrier was called: what Read shows afterwards is not stale. The error wraps
// ErrNoLeader: a barrier proposes nothing.
func (g *Group) Barrier(ctx context.Context) (index uint64, err error) { return 0, ErrNoLeader }

// Read shows the state to f, which must neither change nor keep it, nor wait. What it
// shows is as old as this member is behind; a member that knows no state yet shows nil.
func (g *Group) Read(f func(*state.State)) {}

// Acquire asks for a lock, and waits until it is granted, or refused, or poll is over: then
// the answer is locks.CodeQueued, and the place in the queue is kept for the next call
// with the same session and holder. poll is at most MaxPoll. Errors are those of Do, and
// ErrOverloaded. Where ctx ends while the lock is waited for the error is ctx's, and the
// place is kept.
func (g *Group) Acquire(
	ctx context.Context, a locks.Acquire, poll time.Duration,
) (locks.Result, error) {
	return locks.Result{}, ErrNoLeader
}

// Renew keeps a session alive: it has its full TTL from some moment after the call on. It
// waits for the batch that carries it, which is a sixth of the TTL or more. The error
// wraps ErrSessionExpired where the group does not know the session, and ErrNoLeader where
// ctx ended before a leader answered; the session may then be alive or not.
func (g *Group) Renew(ctx context.Context, id locks.SessionID) error { return ErrNoLeader }

// MaxPoll is the longest that Acquire waits.
const MaxPoll = 30 * time.Second

// HandlePeer answers a call of another member: those whose methods begin with "meta.".
// It never waits; ctx is that of the call's connection.
func (g *Group) HandlePeer(ctx context.Context, call *rpc.Call) {}

// Role is what a member is in the group.
type Role uint8

const (
	// RoleClient: it follows the group without a part in it.
	RoleClient Role = 1 + iota
	// RoleLearner: it has a seat and does not vote, yet.
	RoleLearner
	// RoleVoter: it has a seat and votes.
	RoleVoter
)

func (r Role) String() string {
	switch r {
	case RoleClient:
		return "client"
	case RoleLearner:
		return "learner"
	case RoleVoter:
		return "voter"
	default:
		return "none"
	}
}

// Status is what a member says of itself and the group, for people.
type Status struct {
	Node       kv.NodeID
	Role       Role
	Raft       state.RaftID // 0 without a seat
	Leader     kv.NodeID    // as far as this member knows; 0: none
	Term       uint64
	Applied    uint64 // the index that this member has applied
	Committed  uint64 // the index that this member knows as committed
	Generation kv.Generation
	// Source is whom this member tails; 0: nobody.
	Source kv.NodeID
	// Armed says that this member leads, and keeps sessions.
	Armed bool
	// Parked is how many waits for locks are open here.
	Parked int
	// Locks counts what the lock table has.
	Locks locks.Counts
	// Seats are the group's, in order of their numbers, as far as this member knows.
	Seats []SeatStatus
}

// SeatStatus is one seat, as a member knows it.
type SeatStatus struct {
	Node  kv.NodeID
	Raft  state.RaftID
	Peer  string
	Voter bool
}

// Status tells how things stand.
func (g *Group) Status() Status { return Status{} }
