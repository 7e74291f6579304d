// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// fakeGroup is the metadata group of a fake cluster: the real table of locks with the
// leader's deadlines, without log, leader or delay. All nodes share it.
type fakeGroup struct {
	mu      sync.Mutex // guards what follows
	table   *locks.Table
	leases  *locks.Leases
	waits   *locks.Waits
	index   uint64
	parked  map[parkedKey][]*parkedCall
	ended   map[SessionID]time.Time // when sessions ended
	renewed int
	// gather is for how long renewals are kept before they are answered; hurries says that
	// it is no longer than an eighth of the time that they have.
	gather  time.Duration
	hurries bool
	wake    chan struct{}
}

type parkedKey struct {
	session locks.SessionID
	holder  uint64
}

type parkedCall struct {
	call  *rpc.Call
	deaf  bool
	timer *time.Timer
}

// withGroup gives the cluster a group, until the test ends.
func (f *fake) withGroup() *fakeGroup {
	g := &fakeGroup{
		table: locks.New(), leases: locks.NewLeases(), waits: locks.NewWaits(),
		parked: make(map[parkedKey][]*parkedCall), ended: make(map[SessionID]time.Time),
		wake: make(chan struct{}, 1),
	}
	f.group = g
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { g.run(ctx) })
	f.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return g
}

// run carries out what is due.
func (g *fakeGroup) run(ctx context.Context) {
	for {
		g.mu.Lock()
		now := time.Now()
		for _, id := range g.leases.Due(now, locks.MaxExpire) {
			g.table.ExpireSessions(g.at(), locks.SessionExpire{
				IDs: []locks.SessionID{id}, Term: 1,
			})
		}
		for _, w := range g.waits.Due(now, 1000) {
			g.table.CancelWait(g.at(), locks.CancelWait{
				Session: w.Session, Holder: w.Holder, Name: w.Name,
			})
		}
		g.tell()
		next := now.Add(time.Hour)
		if at, ok := g.leases.Next(); ok && at.Before(next) {
			next = at
		}
		if at, ok := g.waits.Next(); ok && at.Before(next) {
			next = at
		}
		g.mu.Unlock()
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-g.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

func (g *fakeGroup) at() locks.At {
	g.index++
	return locks.At{Index: g.index, Term: 1, Generation: 1}
}

// tell hands out what commands have caused. It is called with mu held.
func (g *fakeGroup) tell() {
	now := time.Now()
	for _, e := range g.table.TakeEvents() {
		g.leases.Note(e, now)
		g.waits.Note(e, now)
		key := parkedKey{e.Session, e.Holder}
		switch e.Kind {
		case locks.EventEnded:
			if e.Holder == 0 {
				g.ended[SessionID(e.Session)] = now
			}
			g.unpark(key, "SESSION_EXPIRED: it has ended", nil)
		case locks.EventGranted:
			got := wire.LockAcquireResult{Fence: e.Fence, Index: e.Index}
			g.unpark(key, "", &got)
		case locks.EventWaitOver:
			g.unpark(key, "WAIT_TIMEOUT: the wait is over", nil)
		case locks.EventCancelled:
			g.unpark(key, "LOCK_LOST: cancelled", nil)
		}
	}
}

// poke makes run look at the deadlines again.
func (g *fakeGroup) poke() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

func (g *fakeGroup) unpark(key parkedKey, text string, got *wire.LockAcquireResult) {
	for _, p := range g.parked[key] {
		p.timer.Stop()
		switch {
		case p.deaf:
		case got != nil:
			p.call.Reply(func(dst []byte) []byte { return wire.AppendLockAcquireResult(dst, got) })
		default:
			p.call.ReplyError(text)
		}
	}
	delete(g.parked, key)
}

// seeLock decodes a request about locks, and leaves others alone.
func (s *seen) seeLock(call *rpc.Call) (err error) {
	switch s.method {
	case wire.MethodLockAcquire:
		err = wire.DecodeLockAcquireRequest(call.Params, &s.lock)
		s.lock.Value = clone(s.lock.Value)
	case wire.MethodLockCancel:
		var q wire.LockCancelRequest
		err = wire.DecodeLockCancelRequest(call.Params, &q)
		s.lock.Session, s.lock.Holder, s.lock.Name = q.Session, q.Holder, q.Name
	case wire.MethodLockRelease:
		var q wire.LockReleaseRequest
		err = wire.DecodeLockReleaseRequest(call.Params, &q)
		s.lock.Session, s.lock.Holder, s.lock.Name = q.Session, q.Holder, q.Name
	case wire.MethodSessionOpen:
		var q wire.SessionOpenRequest
		err = wire.DecodeSessionOpenRequest(call.Params, &q)
		s.lock.Session = q.Session
	case wire.MethodSessionKeepAlive, wire.MethodSessionClose:
		var q wire.SessionRequest
		err = wire.DecodeSessionRequest(call.Params, &q)
		s.lock.Session, s.timeout = q.Session, q.TimeoutMS
	}
	return err
}

// handle carries a request out, and reports false for one that the group knows nothing
// of. Where deaf is set nobody gets the answer.
func (g *fakeGroup) handle(call *rpc.Call, s *seen, deaf bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := locks.SessionID(s.lock.Session)
	reply := func(text string, appendResult func(dst []byte) []byte) {
		switch {
		case deaf:
		case text != "":
			call.ReplyError(text)
		default:
			call.Reply(appendResult)
		}
	}
	switch s.method {
	case wire.MethodSessionOpen:
		var q wire.SessionOpenRequest
		_ = wire.DecodeSessionOpenRequest(call.Params, &q) // seen has told
		r := g.table.OpenSession(g.at(), locks.SessionOpen{
			ID: id, Name: q.Name, Owner: 1, TTL: time.Duration(q.TTLMS) * time.Millisecond,
		})
		got := wire.SessionOpenResult{Session: q.Session, TTLMS: uint32(r.TTL.Milliseconds())}
		reply(refusal(r), func(dst []byte) []byte { return wire.AppendSessionOpenResult(dst, &got) })
	case wire.MethodSessionKeepAlive:
		g.renew(call, s, deaf)
	case wire.MethodSessionClose:
		r := g.table.CloseSession(g.at(), locks.SessionClose{ID: id})
		reply(refusal(r), wire.AppendEmptyResult)
	case wire.MethodLockAcquire:
		g.acquire(call, s, deaf)
	case wire.MethodLockCancel:
		r := g.table.Cancel(g.at(), locks.Cancel{Session: id, Holder: s.lock.Holder, Name: s.lock.Name})
		reply(refusal(r), wire.AppendEmptyResult)
	case wire.MethodLockRelease, wire.MethodLockForceRelease:
		r := g.release(call, s)
		got := wire.LockReleaseResult{Released: r.Released}
		if r.Code == locks.CodeLockLost {
			r.Code = locks.CodeOK
		}
		reply(refusal(r), func(dst []byte) []byte { return wire.AppendLockReleaseResult(dst, &got) })
	default:
		return false
	}
	g.tell()
	g.poke()
	return true
}

func (g *fakeGroup) release(call *rpc.Call, s *seen) locks.Result {
	if s.method == wire.MethodLockForceRelease {
		var q wire.LockForceReleaseRequest
		_ = wire.DecodeLockForceReleaseRequest(call.Params, &q) // the client's own
		return g.table.ForceRelease(g.at(), locks.ForceRelease{
			Name: q.Name, Fence: q.Fence, By: "test", Reason: q.Reason,
		})
	}
	var q wire.LockReleaseRequest
	_ = wire.DecodeLockReleaseRequest(call.Params, &q) // seen has told
	return g.table.Release(g.at(), locks.Release{
		Session: q.Session, Holder: q.Holder, Name: q.Name, Fence: q.Fence,
	})
}

func (g *fakeGroup) renew(call *rpc.Call, s *seen, deaf bool) {
	call.Park()
	taken := g.leases.Renew(s.lock.Session, time.Now())
	if taken == locks.RenewalTaken {
		g.renewed++
	}
	gather := g.gather
	if g.hurries {
		gather = min(gather, time.Duration(s.timeout)*time.Millisecond/8)
	}
	time.AfterFunc(gather, func() {
		switch {
		case deaf, taken == locks.RenewalOpen:
		case taken == locks.RenewalUnknown:
			call.ReplyError("SESSION_EXPIRED: unknown")
		default:
			call.Reply(wire.AppendEmptyResult)
		}
	})
}

// gathers sets for how long renewals are kept.
func (g *fakeGroup) gathers(most time.Duration, hurries bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gather, g.hurries = most, hurries
}

func (g *fakeGroup) acquire(call *rpc.Call, s *seen, deaf bool) {
	q := &s.lock
	kind := locks.KindExclusive
	if q.Kind == wire.LockShared {
		kind = locks.KindShared
	}
	r := g.table.Acquire(g.at(), locks.Acquire{
		Session: q.Session, Holder: q.Holder, DoneThrough: q.DoneThrough, Name: q.Name,
		Kind: kind, Value: q.Value, Wait: time.Duration(q.WaitMS) * time.Millisecond,
	})
	got := wire.LockAcquireResult{Fence: r.Fence, Index: r.Index}
	answer := func(dst []byte) []byte { return wire.AppendLockAcquireResult(dst, &got) }
	switch {
	case r.Code == locks.CodeQueued:
		call.Park()
		key := parkedKey{q.Session, q.Holder}
		p := &parkedCall{call: call, deaf: deaf}
		got = wire.LockAcquireResult{Queued: true, Position: uint32(r.Position), Index: r.Index}
		poll := min(30*time.Second, time.Duration(q.TimeoutMS)*time.Millisecond)
		p.timer = time.AfterFunc(poll, func() {
			if !deaf {
				call.Reply(answer)
			}
		})
		g.parked[key] = append(g.parked[key], p)
	case deaf:
	case r.Code != locks.CodeOK:
		call.ReplyError(refusal(r))
	default:
		call.Reply(answer)
	}
}

// refusal is the error that a result is answered with; empty where it is none.
func refusal(r locks.Result) string {
	code := map[locks.Code]wire.Code{
		locks.CodeHeld: wire.CodeLockHeld, locks.CodeWaitOver: wire.CodeWaitTimeout,
		locks.CodeSessionExpired: wire.CodeSessionExpired, locks.CodeLockLost: wire.CodeLockLost,
		locks.CodeConflict: wire.CodeLockConflict, locks.CodeOverloaded: wire.CodeOverloaded,
		locks.CodeInvalid: wire.CodeInvalid,
	}[r.Code]
	if code == "" {
		return ""
	}
	return wire.FormatError(code, r.Detail)
}

// holders are the sessions and numbers that hold a lock, and how many wait for it.
func (g *fakeGroup) holders(name string) (holding []parkedKey, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l, _ := g.table.Lock(name)
	for _, h := range l.Holders {
		holding = append(holding, parkedKey{h.Session, h.Holder})
	}
	return holding, len(l.Queue)
}

// has reports whether the group still has a session, and when it ended it.
func (g *fakeGroup) has(id SessionID) (bool, time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.table.Session(locks.SessionID(id))
	return ok, g.ended[id]
}

func (g *fakeGroup) session(id SessionID) locks.Session {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, _ := g.table.Session(locks.SessionID(id))
	return s
}

// force releases a lock as an operator does.
func (g *fakeGroup) force(name string, fence uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.table.ForceRelease(g.at(), locks.ForceRelease{Name: name, Fence: kv.Fence(fence), By: "t"})
	g.tell()
}

// fate is what becomes of a request beside what the table does.
type fate uint8

const (
	fated      fate = iota // nothing
	neverCame              // the connection ends before it is carried out
	unheard                // it is carried out, and the connection ends instead of an answer
	unsaid                 // it is carried out, and there is no answer
	leaderless             // the group has no leader, and nothing is done
)

// suffer gives the requests of the group their fates. One is asked for at a time.
func (f *fake) suffer(of func(s seen) fate) {
	var mu sync.Mutex
	f.onData(func(n *fakeNode, call *rpc.Call, s seen) bool {
		mu.Lock()
		what := of(s)
		mu.Unlock()
		switch what {
		case neverCame:
			f.hangUp(n)
		case unheard:
			f.group.handle(call, &s, true)
			f.hangUp(n)
		case unsaid:
			f.group.handle(call, &s, true)
		case leaderless:
			call.ReplyError("NO_LEADER: scripted")
		default:
			return false
		}
		return true
	})
}

func closing(s *Session) locks.SessionClose { return locks.SessionClose{ID: locks.SessionID(s.ID())} }
