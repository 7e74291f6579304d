// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"time"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

// maxHaste is how much of its time a wait for a lock leaves for the answer that tells the
// place in the queue: an eighth of it, and no more than this.
const maxHaste = 250 * time.Millisecond

// kindOf is a lock's kind of the wire as the table has it; the decoder has checked it.
func kindOf(k wire.LockKind) locks.Kind {
	if k == wire.LockShared {
		return locks.KindShared
	}
	return locks.KindExclusive
}

// handleLockAcquire answers lock.acquire. One that waits does so outside of the
// connection's window, so that what may end the wait is read.
func (s *Server) handleLockAcquire(ctx context.Context, req *request) (encoder, error) {
	var q wire.LockAcquireRequest
	if err := wire.DecodeLockAcquireRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	g, err := s.group()
	switch {
	case err != nil:
		return nil, err
	case q.WaitMS > 0 && !req.leaveWindow():
		return nil, errNoPlace
	}
	defer context.AfterFunc(s.draining, cancel)()
	result, err := g.Acquire(ctx, locks.Acquire{
		Session: q.Session, Holder: q.Holder, DoneThrough: q.DoneThrough, Name: q.Name,
		Kind: kindOf(q.Kind), Value: q.Value, Wait: time.Duration(q.WaitMS) * time.Millisecond,
	}, pollOf(ctx, q.WaitMS))
	if err != nil && ctx.Err() != nil {
		result, err = standing(g, &q, err)
	}
	if err == nil {
		err = lockRefusal(result)
	}
	if err != nil {
		return nil, err
	}
	answer := wire.LockAcquireResult{Fence: result.Fence, Index: result.Index}
	if result.Code == locks.CodeQueued {
		answer = wire.LockAcquireResult{
			Index: result.Index, Queued: true, Position: uint32(result.Position),
		}
	}
	return func(dst []byte) []byte { return wire.AppendLockAcquireResult(dst, &answer) }, nil
}

// pollOf is how long a wait goes on before it is answered with its place. The end of the
// whole wait is the group's to tell.
func pollOf(ctx context.Context, waitMS uint32) time.Duration {
	if waitMS == 0 {
		return 0
	}
	poll := meta.MaxPoll
	if deadline, bounded := ctx.Deadline(); bounded {
		left := time.Until(deadline)
		poll = min(poll, left-min(left/8, maxHaste))
	}
	return max(poll, 0)
}

// standing is the answer of an attempt whose wait was cut short, by its deadline or by a
// drain: the group has taken it, so what this node knows to have become of it is true. That
// it holds or waits no more may be old news, or not yet news here: then the error stays,
// and the client asks again.
func standing(g Group, q *wire.LockAcquireRequest, err error) (locks.Result, error) {
	if errors.Is(err, meta.ErrUnknown) || errors.Is(err, meta.ErrNoLeader) {
		return locks.Result{}, err // it had not come to waiting
	}
	var result locks.Result
	g.Read(func(st *state.State) {
		if st != nil {
			result, _ = st.Locks().Look(q.Session, q.Holder)
		}
	})
	if result.Code == locks.CodeOK || result.Code == locks.CodeQueued {
		return result, nil
	}
	return locks.Result{}, err
}

// handleLockRelease answers lock.release.
func (s *Server) handleLockRelease(ctx context.Context, req *request) (encoder, error) {
	var q wire.LockReleaseRequest
	if err := wire.DecodeLockReleaseRequest(req.params, &q); err != nil {
		return nil, err
	}
	return s.release(ctx, req, q.Common, state.Release{
		Session: q.Session, Holder: q.Holder, Name: q.Name, Fence: q.Fence,
	})
}

// handleForceRelease answers lock.force_release.
func (s *Server) handleForceRelease(ctx context.Context, req *request) (encoder, error) {
	var q wire.LockForceReleaseRequest
	if err := wire.DecodeLockForceReleaseRequest(req.params, &q); err != nil {
		return nil, err
	}
	return s.release(ctx, req, q.Common, state.ForceRelease{
		Name: q.Name, Fence: q.Fence, By: s.parts.Cluster.Status().Node, Reason: q.Reason,
	})
}

// release ends a grant.
func (s *Server) release(
	ctx context.Context, req *request, common wire.Common, c state.Command,
) (encoder, error) {
	ctx, cancel, err := s.begin(ctx, req, common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	result, err := s.decide(ctx, c)
	if err != nil {
		return nil, err
	}
	answer := wire.LockReleaseResult{Released: result.Lock.Released}
	return func(dst []byte) []byte { return wire.AppendLockReleaseResult(dst, &answer) }, nil
}

// handleLockCancel answers lock.cancel.
func (s *Server) handleLockCancel(ctx context.Context, req *request) (encoder, error) {
	var q wire.LockCancelRequest
	if err := wire.DecodeLockCancelRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	_, err = s.decide(ctx, state.Cancel{Session: q.Session, Holder: q.Holder, Name: q.Name})
	return wire.AppendEmptyResult, err
}
