// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// LockGetRequest is lock.get.
type LockGetRequest struct {
	Common
	Name string
	// Stale takes what the answering node knows, without asking the group's leader.
	Stale bool
}

// AppendLockGetRequest appends the params of lock.get.
func AppendLockGetRequest(dst []byte, q *LockGetRequest) []byte {
	w := beginParams(dst)
	w.str(fieldName, q.Name)
	w.boolIfSet(fieldStale, q.Stale)
	w.common(q.Common)
	return w.end()
}

// DecodeLockGetRequest reads the params of lock.get.
func DecodeLockGetRequest(params []byte, into *LockGetRequest) error {
	*into = LockGetRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldName:
			into.Name = q.lockName()
		case fieldStale:
			into.Stale = q.bool()
		default:
			q.common(f, &into.Common)
		}
	}
	q.require(fieldName)
	return q.finish()
}

// LockHolder is who holds a lock.
type LockHolder struct {
	Session [16]byte
	Holder  uint64
	Fence   kv.Fence
	Since   uint64 // the index in the group's log at which it was granted
	Value   []byte // aliases the result where decoded
}

// LockWaiter is who waits for a lock.
type LockWaiter struct {
	Session [16]byte
	Holder  uint64
	Kind    LockKind
	Since   uint64 // the index in the group's log at which it was queued
}

// What an encoded holder and waiter take at least: a map with its session.
const (
	minHolder = 1 + 8 + 17
	minWaiter = 1 + 8 + 17
)

// LockInfo is a lock. Of a free one all but Name is zero.
type LockInfo struct {
	Name    string
	Kind    LockKind
	Holders []LockHolder
	Waiters []LockWaiter // in their order
	// HolderCount and WaiterCount are how many there are, where not all are listed.
	HolderCount, WaiterCount uint32
}

// minLock is the least that an encoded lock takes: a map with its name, holders and
// waiters.
const minLock = 1 + 5 + 2 + 8 + 1 + 8 + 1

func (w *mapWriter) lock(l *LockInfo) {
	w.str(fieldName, l.Name)
	w.strIfSet(fieldKind, string(l.Kind))
	w.array(fieldHolders, len(l.Holders))
	for i := range l.Holders {
		h := &l.Holders[i]
		m := beginMap(w.dst)
		m.bin(fieldSession, h.Session[:])
		m.uint(fieldHolder, h.Holder)
		m.uint(fieldFence, uint64(h.Fence))
		m.uint(fieldSince, h.Since)
		m.binIfSet(fieldValue, h.Value)
		w.dst = m.end()
	}
	w.array(fieldWaiters, len(l.Waiters))
	for i := range l.Waiters {
		t := &l.Waiters[i]
		m := beginMap(w.dst)
		m.bin(fieldSession, t.Session[:])
		m.uint(fieldHolder, t.Holder)
		m.str(fieldKind, string(t.Kind))
		m.uint(fieldSince, t.Since)
		w.dst = m.end()
	}
	w.uintIfSet(fieldHolderCount, uint64(l.HolderCount))
	w.uintIfSet(fieldWaiterCount, uint64(l.WaiterCount))
}

func (l *LockInfo) read(r *reader, f field) bool {
	switch f {
	case fieldName:
		l.Name = r.text(MaxLockName)
	case fieldKind:
		l.Kind = LockKind(r.text(MaxName))
	case fieldHolders:
		l.Holders = elements(r, r.array(minHolder), (*reader).lockHolder)
	case fieldWaiters:
		l.Waiters = elements(r, r.array(minWaiter), (*reader).lockWaiter)
	case fieldHolderCount:
		l.HolderCount = r.uint32()
	case fieldWaiterCount:
		l.WaiterCount = r.uint32()
	default:
		return false
	}
	return true
}

func (r *reader) lockHolder() (h LockHolder) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldSession:
			r.fixed(h.Session[:])
		case fieldHolder:
			h.Holder = r.uint64()
		case fieldFence:
			h.Fence = kv.Fence(r.uint64())
		case fieldSince:
			h.Since = r.uint64()
		case fieldValue:
			h.Value = r.bytes(len(r.b))
		default:
			r.skip()
		}
	}
	return h
}

func (r *reader) lockWaiter() (t LockWaiter) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldSession:
			r.fixed(t.Session[:])
		case fieldHolder:
			t.Holder = r.uint64()
		case fieldKind:
			t.Kind = LockKind(r.text(MaxName))
		case fieldSince:
			t.Since = r.uint64()
		default:
			r.skip()
		}
	}
	return t
}

// LockGetResult answers lock.get.
type LockGetResult struct {
	LockInfo
	Index uint64 // of the group's log, up to which this node had applied it
}

// AppendLockGetResult appends the result of lock.get.
func AppendLockGetResult(dst []byte, a *LockGetResult) []byte {
	w := beginMap(dst)
	w.lock(&a.LockInfo)
	w.uint(fieldIndex, a.Index)
	return w.end()
}

// DecodeLockGetResult reads the result of lock.get.
func DecodeLockGetResult(result []byte, into *LockGetResult) error {
	*into = LockGetResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldIndex:
			into.Index = r.uint64()
		default:
			if !into.LockInfo.read(&r, f) {
				r.skip()
			}
		}
	}
	return r.finish()
}

// LockListResult answers lock.list.
type LockListResult struct {
	Locks  []LockInfo // in order of their names
	Cursor []byte     // of the next page; empty at the end. Aliases the result where decoded
	Index  uint64     // of the group's log, up to which this node had applied it
}

// AppendLockListResult appends the result of lock.list.
func AppendLockListResult(dst []byte, a *LockListResult) []byte {
	w := beginMap(dst)
	w.array(fieldLocks, len(a.Locks))
	for i := range a.Locks {
		m := beginMap(w.dst)
		m.lock(&a.Locks[i])
		w.dst = m.end()
	}
	w.binIfSet(fieldCursor, a.Cursor)
	w.uint(fieldIndex, a.Index)
	return w.end()
}

// DecodeLockListResult reads the result of lock.list.
func DecodeLockListResult(result []byte, into *LockListResult) error {
	*into = LockListResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldLocks:
			into.Locks = elements(&r, r.array(minLock), (*reader).lockInfo)
		case fieldCursor:
			into.Cursor = r.bytes(len(r.b))
		case fieldIndex:
			into.Index = r.uint64()
		default:
			r.skip()
		}
	}
	return r.finish()
}

func (r *reader) lockInfo() (l LockInfo) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		if !l.read(r, f) {
			r.skip()
		}
	}
	return l
}
