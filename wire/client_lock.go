// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// LockKind is how a lock is held. A client may meet kinds of later releases in results.
type LockKind string

// The kinds of this release.
const (
	// LockExclusive: by one holder.
	LockExclusive LockKind = "exclusive"
	// LockShared: by any number of holders of this kind.
	LockShared LockKind = "shared"
)

// LockAcquireRequest is lock.acquire. Value aliases the params where decoded.
type LockAcquireRequest struct {
	Common
	Session [16]byte
	Holder  uint64 // one per attempt of a handle, rising; from 1 to MaxHolder
	// DoneThrough: every holder number up to it is finished with.
	DoneThrough uint64
	Name        string
	Kind        LockKind // empty in a request that is encoded: LockExclusive
	Value       []byte   // shown to others while the lock is held
	// WaitMS is how long the whole wait may be, in milliseconds; 0: try.
	WaitMS uint32
}

// AppendLockAcquireRequest appends the params of lock.acquire.
func AppendLockAcquireRequest(dst []byte, q *LockAcquireRequest) []byte {
	w := beginParams(dst)
	w.bin(fieldSession, q.Session[:])
	w.uint(fieldHolder, q.Holder)
	w.uintIfSet(fieldDoneThrough, q.DoneThrough)
	w.str(fieldName, q.Name)
	if q.Kind != LockExclusive {
		w.strIfSet(fieldKind, string(q.Kind))
	}
	w.binIfSet(fieldValue, q.Value)
	w.uintIfSet(fieldWaitMS, uint64(q.WaitMS))
	w.common(q.Common)
	return w.end()
}

// DecodeLockAcquireRequest reads the params of lock.acquire.
func DecodeLockAcquireRequest(params []byte, into *LockAcquireRequest) error {
	*into = LockAcquireRequest{Common: defaults(), Kind: LockExclusive}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldSession:
			q.session(&into.Session)
		case fieldHolder:
			into.Holder = q.holder()
		case fieldDoneThrough:
			into.DoneThrough = q.uint64()
		case fieldName:
			into.Name = q.lockName()
		case fieldKind:
			into.Kind = q.lockKind()
		case fieldValue:
			into.Value = q.bytes(MaxLockValue)
		case fieldWaitMS:
			into.WaitMS = q.uint32()
		default:
			q.common(f, &into.Common)
		}
	}
	q.requireHolder()
	if q.err == nil && into.DoneThrough >= into.Holder {
		q.fail(invalid(fieldDoneThrough.String(),
			"%d, must be below the holder %d", into.DoneThrough, into.Holder))
	}
	return q.finish()
}

// holder reads the number of a holder; 0 is none.
func (q *request) holder() uint64 {
	n := q.uint(MaxHolder)
	if n == 0 {
		q.fail(invalid(q.field, "must be at least 1"))
	}
	return n
}

// lockName reads the name of a lock.
func (q *request) lockName() string {
	name := q.text(MaxLockName)
	if name == "" {
		q.fail(invalid(q.field, "must not be empty"))
	}
	return name
}

func (q *request) lockKind() LockKind {
	kind := q.bytes(MaxName)
	switch string(kind) {
	case string(LockExclusive):
		return LockExclusive
	case string(LockShared):
		return LockShared
	case "semaphore":
		q.fail(invalid(q.field, `"semaphore" is not supported yet`))
	default:
		q.fail(invalid(q.field, `%.64s, must be "exclusive" or "shared"`, quoted(kind)))
	}
	return ""
}

// requireHolder refuses a request that does not say which holder of which lock it means.
func (q *request) requireHolder() {
	q.require(fieldSession)
	q.require(fieldHolder)
	q.require(fieldName)
}

// LockAcquireResult answers lock.acquire: a fence, or a place in the queue.
type LockAcquireResult struct {
	Fence kv.Fence // zero where Queued
	Index uint64   // of the group's log, of the grant or of the place
	// Queued: the place is kept; ask again with what is left of the wait.
	Queued   bool
	Position uint32 // in the queue, from 1; 0 where not Queued
}

// AppendLockAcquireResult appends the result of lock.acquire.
func AppendLockAcquireResult(dst []byte, a *LockAcquireResult) []byte {
	w := beginMap(dst)
	w.uintIfSet(fieldFence, uint64(a.Fence))
	w.uint(fieldIndex, a.Index)
	w.boolIfSet(fieldQueued, a.Queued)
	w.uintIfSet(fieldPosition, uint64(a.Position))
	return w.end()
}

// DecodeLockAcquireResult reads the result of lock.acquire.
func DecodeLockAcquireResult(result []byte, into *LockAcquireResult) error {
	*into = LockAcquireResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldFence:
			into.Fence = kv.Fence(r.uint64())
		case fieldIndex:
			into.Index = r.uint64()
		case fieldQueued:
			into.Queued = r.bool()
		case fieldPosition:
			into.Position = r.uint32()
		default:
			r.skip()
		}
	}
	return r.finish()
}

// LockReleaseRequest is lock.release.
type LockReleaseRequest struct {
	Common
	Session [16]byte
	Holder  uint64
	Name    string
	Fence   kv.Fence // of the grant: no later one is ever freed
}

// AppendLockReleaseRequest appends the params of lock.release.
func AppendLockReleaseRequest(dst []byte, q *LockReleaseRequest) []byte {
	w := beginParams(dst)
	w.bin(fieldSession, q.Session[:])
	w.uint(fieldHolder, q.Holder)
	w.str(fieldName, q.Name)
	w.uint(fieldFence, uint64(q.Fence))
	w.common(q.Common)
	return w.end()
}

// DecodeLockReleaseRequest reads the params of lock.release.
func DecodeLockReleaseRequest(params []byte, into *LockReleaseRequest) error {
	*into = LockReleaseRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldSession:
			q.session(&into.Session)
		case fieldHolder:
			into.Holder = q.holder()
		case fieldName:
			into.Name = q.lockName()
		case fieldFence:
			into.Fence = q.fence()
		default:
			q.common(f, &into.Common)
		}
	}
	q.requireHolder()
	q.require(fieldFence)
	return q.finish()
}

// fence reads the fence of a grant; 0 is none.
func (q *request) fence() kv.Fence {
	n := q.uint64()
	if n == 0 {
		q.fail(invalid(q.field, "must be the fence of the grant, not 0"))
	}
	return kv.Fence(n)
}

// LockReleaseResult answers lock.release and lock.force_release.
type LockReleaseResult struct {
	Released bool // false: that grant is no longer held, and nothing was freed
}

// AppendLockReleaseResult appends the result of lock.release and lock.force_release.
func AppendLockReleaseResult(dst []byte, a *LockReleaseResult) []byte {
	w := beginMap(dst)
	w.bool(fieldReleased, a.Released)
	return w.end()
}

// DecodeLockReleaseResult reads the result of lock.release and lock.force_release.
func DecodeLockReleaseResult(result []byte, into *LockReleaseResult) error {
	*into = LockReleaseResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		if f == fieldReleased {
			into.Released = r.bool()
		} else {
			r.skip()
		}
	}
	return r.finish()
}

// LockCancelRequest is lock.cancel, which answers an empty map: waiter or grant are
// gone, and the holder number is finished with.
type LockCancelRequest struct {
	Common
	Session [16]byte
	Holder  uint64
	Name    string
}

// AppendLockCancelRequest appends the params of lock.cancel.
func AppendLockCancelRequest(dst []byte, q *LockCancelRequest) []byte {
	w := beginParams(dst)
	w.bin(fieldSession, q.Session[:])
	w.uint(fieldHolder, q.Holder)
	w.str(fieldName, q.Name)
	w.common(q.Common)
	return w.end()
}

// DecodeLockCancelRequest reads the params of lock.cancel.
func DecodeLockCancelRequest(params []byte, into *LockCancelRequest) error {
	*into = LockCancelRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldSession:
			q.session(&into.Session)
		case fieldHolder:
			into.Holder = q.holder()
		case fieldName:
			into.Name = q.lockName()
		default:
			q.common(f, &into.Common)
		}
	}
	q.requireHolder()
	return q.finish()
}

// LockForceReleaseRequest is lock.force_release: an operator takes a lock from its
// holder. It answers a LockReleaseResult.
type LockForceReleaseRequest struct {
	Common
	Name   string
	Fence  kv.Fence // of the grant that is taken away, and of no later one
	Reason string   // for people
}

// AppendLockForceReleaseRequest appends the params of lock.force_release.
func AppendLockForceReleaseRequest(dst []byte, q *LockForceReleaseRequest) []byte {
	w := beginParams(dst)
	w.str(fieldName, q.Name)
	w.uint(fieldFence, uint64(q.Fence))
	w.strIfSet(fieldReason, q.Reason)
	w.common(q.Common)
	return w.end()
}

// DecodeLockForceReleaseRequest reads the params of lock.force_release.
func DecodeLockForceReleaseRequest(params []byte, into *LockForceReleaseRequest) error {
	*into = LockForceReleaseRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldName:
			into.Name = q.lockName()
		case fieldFence:
			into.Fence = q.fence()
		case fieldReason:
			into.Reason = q.text(MaxReason)
		default:
			q.common(f, &into.Common)
		}
	}
	q.require(fieldName)
	q.require(fieldFence)
	return q.finish()
}
