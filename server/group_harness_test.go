// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// soleGroup is a group of one member that needs no quorum: it carries out commands at
// once, on a real state.
type soleGroup struct {
	mu       sync.Mutex // guards what follows
	state    *state.State
	index    uint64
	changed  chan struct{} // closed, and made anew, when an entry is applied
	err      error         // of every call
	blind    bool          // it knows no state
	barriers int
	slow     time.Duration // a barrier, or a renewal, takes so long
	peers    []string      // methods that members called
	decided  []state.Command
}

func newSoleGroup(t testing.TB) *soleGroup {
	t.Helper()
	open := kv.Open{Seq: 1, Nonce: 7}
	st, err := state.Found(state.Founding{
		Cluster: [16]byte{1, 2, 3}, Replicas: 1, Partitions: 1, Expect: 1, Open: open,
		First: state.RegisterMember{
			Name: "n1", Weight: 1, Addresses: state.Addresses{Client: "n1:1", Peer: "n1:2"},
		},
	})
	must(t, err)
	g := &soleGroup{state: st, index: st.Index(), changed: make(chan struct{})}
	g.carryOut(t, state.OpenStore{Node: 1, Opens: []kv.Open{open}})
	g.carryOut(t, state.FormRing{})
	g.decided = nil
	return g
}

// carryOut has the group carry out a command as if another member had asked for it.
func (g *soleGroup) carryOut(t testing.TB, c state.Command) state.Result {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	result, err := g.apply(c)
	if err != nil || result.Code != state.CodeOK {
		t.Fatalf("%T: %v %s, %v", c, result.Code, result.Detail, err)
	}
	return result
}

// apply applies a command. g.mu is held.
func (g *soleGroup) apply(c state.Command) (state.Result, error) {
	g.index++
	entry := state.AppendEntry(nil, state.Token{Raft: 1, Seq: g.index}, c)
	applied, err := g.state.Apply(g.index, 1, entry)
	if err != nil {
		return state.Result{}, err
	}
	g.decided = append(g.decided, c)
	close(g.changed)
	g.changed = make(chan struct{})
	return applied.Results[0], nil
}

func (g *soleGroup) Do(ctx context.Context, c state.Command) (state.Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return state.Result{}, g.err
	}
	return g.apply(c)
}

// wait lets the time pass that this group takes.
func (g *soleGroup) wait(ctx context.Context) error {
	g.mu.Lock()
	err, slow := g.err, g.slow
	g.mu.Unlock()
	if err != nil || slow == 0 {
		return err
	}
	select {
	case <-time.After(slow):
		return nil
	case <-ctx.Done():
		return meta.ErrNoLeader
	}
}

func (g *soleGroup) Barrier(ctx context.Context) (uint64, error) {
	g.mu.Lock()
	g.barriers++
	g.mu.Unlock()
	err := g.wait(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.index, err
}

func (g *soleGroup) Read(show func(*state.State)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.blind {
		show(nil)
	} else {
		show(g.state)
	}
}

func (g *soleGroup) Acquire(
	ctx context.Context, a locks.Acquire, poll time.Duration,
) (locks.Result, error) {
	result, err := g.Do(ctx, state.Acquire(a))
	over := time.After(poll)
	for err == nil && result.Lock.Code == locks.CodeQueued && poll > 0 {
		g.mu.Lock()
		changed := g.changed
		now, _ := g.state.Locks().Look(a.Session, a.Holder)
		g.mu.Unlock()
		if now.Code != locks.CodeQueued {
			return now, nil
		}
		result.Lock = now
		select {
		case <-changed:
		case <-over:
			return now, nil
		case <-ctx.Done():
			return locks.Result{}, ctx.Err()
		}
	}
	return result.Lock, err
}

func (g *soleGroup) Renew(ctx context.Context, id locks.SessionID) error {
	if err := g.wait(ctx); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, there := g.state.Locks().Session(id); !there {
		return meta.ErrSessionExpired
	}
	return nil
}

// Save brings the state as it is; one of an index of before is never here.
func (g *soleGroup) Save(
	ctx context.Context, index, offset uint64, most int,
) (meta.SavedPart, error) {
	if _, err := g.Barrier(ctx); err != nil {
		return meta.SavedPart{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.state.Snapshot(nil)
	if index != g.state.Index() {
		offset = 0
	}
	rest := all[min(int(offset), len(all)):]
	return meta.SavedPart{
		Index: g.state.Index(), Term: g.state.Term(), Generation: g.state.Generation(),
		Total: uint64(len(all)), Sum: xxhash.Sum64(all), Offset: uint64(len(all) - len(rest)),
		Chunk: rest[:min(len(rest), most, wire.MaxMetaChunk)],
	}, nil
}

func (g *soleGroup) Status() meta.Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	return meta.Status{
		Node: 1, Role: meta.RoleVoter, Leader: 1, Term: 1, Applied: g.index, Committed: g.index,
		Seats: []meta.SeatStatus{{Node: 1, Raft: 1<<48 | 1, Voter: true, Match: g.index}},
	}
}

func (g *soleGroup) HandlePeer(_ context.Context, call *rpc.Call) {
	g.mu.Lock()
	g.peers = append(g.peers, string(call.Method))
	g.mu.Unlock()
	call.Reply(wire.AppendPeerPing)
}

// set changes how the group behaves from here on.
func (g *soleGroup) set(change func(*soleGroup)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g)
}

// asked calls a method with a request, and reads its result.
func asked[Q, A any](
	c *rpc.Client, method string, q Q, encode func([]byte, *Q) []byte,
	decode func([]byte, *A) error,
) (a A, err error) {
	b, err := call(c, method, encode(nil, &q))
	if err == nil {
		err = decode(b, &a)
	}
	return a, err
}

// done is the decoder of results that say nothing.
func done(b []byte, _ *struct{}) error { return wire.DecodeEmptyResult(b) }

func sessionID(n byte) [16]byte { return [16]byte{0: n, 15: 1} }

// openSession opens a session of that number.
func openSession(t testing.TB, c *rpc.Client, n byte) [16]byte {
	t.Helper()
	q := wire.SessionOpenRequest{Session: sessionID(n), Name: "s", TTLMS: 15_000}
	_, err := asked(c, wire.MethodSessionOpen, q, wire.AppendSessionOpenRequest,
		wire.DecodeSessionOpenResult)
	must(t, err)
	return q.Session
}

func acquire(c *rpc.Client, q wire.LockAcquireRequest) (wire.LockAcquireResult, error) {
	return asked(c, wire.MethodLockAcquire, q, wire.AppendLockAcquireRequest,
		wire.DecodeLockAcquireResult)
}

func release(c *rpc.Client, q wire.LockReleaseRequest) (wire.LockReleaseResult, error) {
	return asked(c, wire.MethodLockRelease, q, wire.AppendLockReleaseRequest,
		wire.DecodeLockReleaseResult)
}

// codeOf is the code and text of an error that the server answered with.
func codeOf(err error) (wire.Code, string) {
	var told *rpc.RemoteError
	if !errors.As(err, &told) {
		return "", fmt.Sprint(err)
	}
	return wire.ParseError(told.Text)
}

// wantCode fails unless the server answered with that code, "" meaning no error.
func wantCode(t testing.TB, what string, err error, want wire.Code) {
	t.Helper()
	if err == nil && want == "" {
		return
	}
	if code, _ := codeOf(err); code != want || err == nil {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}
