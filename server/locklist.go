// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"math"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// maxListed is about how many bytes of an answer about locks are: what a client that
	// pages through them can wait for, well below a message.
	maxListed = 1 << 20
	// maxLooked is about how many holders and waiters one page looks at: nothing is applied
	// at this node meanwhile.
	maxLooked = 20_000

	// What a lock, a holder beside its value, and a waiter take at most in an answer.
	sizeLock   = 128
	sizeHolder = 96
	sizeWaiter = 80
)

// handleLockGet answers lock.get.
func (s *Server) handleLockGet(ctx context.Context, req *request) (encoder, error) {
	var q wire.LockGetRequest
	if err := wire.DecodeLockGetRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	result := wire.LockGetResult{LockInfo: wire.LockInfo{Name: q.Name}}
	err = s.show(ctx, q.Stale, func(st *state.State) {
		result.Index = st.Index()
		if l, held := st.Locks().Lock(q.Name); held {
			room := s.listRoom()
			result.LockInfo = lockInfo(&l, &room)
		}
	})
	if err != nil {
		return nil, err
	}
	return func(dst []byte) []byte { return wire.AppendLockGetResult(dst, &result) }, nil
}

// handleLockList answers lock.list.
func (s *Server) handleLockList(ctx context.Context, req *request) (encoder, error) {
	var q wire.PrefixRequest
	if err := wire.DecodePrefixRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	at, err := wire.OpenNameCursor(q.Cursor, req.method, q.Prefix)
	if err != nil {
		return nil, err
	}
	var result wire.LockListResult
	more := false
	err = s.show(ctx, q.Stale, func(st *state.State) {
		result.Index = st.Index()
		result.Locks, more = lockPage(st.Locks(), q.Prefix, at.Name, int(q.Limit), s.listRoom())
	})
	if err != nil {
		return nil, err
	}
	if more {
		last := result.Locks[len(result.Locks)-1].Name
		result.Cursor = wire.AppendNameCursor(nil, wire.NameCursor{Name: last}, req.method, q.Prefix)
	}
	return func(dst []byte) []byte { return wire.AppendLockListResult(dst, &result) }, nil
}

// listRoom is how many bytes of locks an answer may have.
func (s *Server) listRoom() int { return min(maxListed, s.room()) }

// lockPage shows locks as long as there is room, and one at least where there is one. One
// lock at a time is taken from the table, for a crowd may wait for any of them.
func lockPage(t *locks.Table, prefix, after string, limit, room int) (
	page []wire.LockInfo, more bool,
) {
	for looked := 0; len(page) < limit && looked < maxLooked; {
		next := t.Locks(prefix, after, 1)
		if len(next) == 0 {
			return page, false
		}
		l := &next[0]
		if len(page) > 0 && sizeOf(l) > room {
			return page, true
		}
		page = append(page, lockInfo(l, &room))
		after = l.Name
		looked += len(l.Holders) + len(l.Queue)
	}
	return page, true
}

// sizeOf is how many bytes a lock takes in an answer at most, if all of it is shown.
func sizeOf(l *locks.Lock) int {
	size := sizeLock + len(l.Name) + len(l.Queue)*sizeWaiter
	for i := range l.Holders {
		size += sizeHolder + len(l.Holders[i].Value)
	}
	return size
}

// lockInfo shows a lock, and as many of its holders and waiters as there is room for.
func lockInfo(l *locks.Lock, room *int) wire.LockInfo {
	info := wire.LockInfo{Name: l.Name, Kind: wire.LockKind(l.Kind.String())}
	*room -= sizeLock + len(l.Name)
	for i := range l.Holders {
		h := &l.Holders[i]
		size := sizeHolder + len(h.Value)
		if size > *room || len(info.Holders) == wire.MaxList {
			info.HolderCount = count(len(l.Holders))
			break
		}
		*room -= size
		info.Holders = append(info.Holders, wire.LockHolder{
			Session: h.Session, Holder: h.Holder, Fence: h.Fence, Since: h.Index, Value: h.Value,
		})
	}
	for i := range l.Queue {
		w := &l.Queue[i]
		if *room < sizeWaiter || len(info.Waiters) == wire.MaxList {
			info.WaiterCount = count(len(l.Queue))
			break
		}
		*room -= sizeWaiter
		info.Waiters = append(info.Waiters, wire.LockWaiter{
			Session: w.Session, Holder: w.Holder, Kind: wire.LockKind(w.Kind.String()),
			Since: w.Index,
		})
	}
	return info
}

func count(n int) uint32 { return uint32(min(n, math.MaxUint32)) }
