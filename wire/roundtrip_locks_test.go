// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

func drawSession(t *rapid.T) (id [16]byte) {
	copy(id[:], drawBytes(t, "session", 16, 16))
	id[15] |= 1 // not zero
	return id
}

func drawFence(t *rapid.T) kv.Fence {
	return kv.Fence(rapid.Uint64Min(1).Draw(t, "fence"))
}

func drawLockKind(t *rapid.T) LockKind {
	return rapid.SampledFrom([]LockKind{LockExclusive, LockShared}).Draw(t, "kind")
}

func drawCount(t *rapid.T, label string) uint64 { return rapid.Uint64().Draw(t, label) }

func TestSessionMessagesComeBack(t *testing.T) {
	t.Parallel()
	t.Run("open", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) SessionOpenRequest {
			q := SessionOpenRequest{
				Common: drawCommon(t), Name: drawText(t, "name"),
				TTLMS: rapid.Uint32Range(MinSessionTTLMS, MaxSessionTTLMS).Draw(t, "ttl"),
			}
			if drawFlag(t, "chosen") {
				q.Session = drawSession(t)
			}
			return q
		}, AppendSessionOpenRequest, DecodeSessionOpenRequest)
	})
	t.Run("open result", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) SessionOpenResult {
			return SessionOpenResult{
				Session: drawSession(t), TTLMS: rapid.Uint32().Draw(t, "ttl"),
			}
		}, AppendSessionOpenResult, DecodeSessionOpenResult)
	})
	t.Run("about one", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) SessionRequest {
			return SessionRequest{Common: drawCommon(t), Session: drawSession(t)}
		}, AppendSessionRequest, DecodeSessionRequest)
	})
	t.Run("list", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) PrefixRequest {
			return PrefixRequest{
				Common: drawCommon(t), Prefix: drawText(t, "prefix"),
				Cursor: drawBytes(t, "cursor", 0, 30), Stale: drawFlag(t, "stale"),
				Limit: rapid.Uint32Range(1, MaxList).Draw(t, "limit"),
			}
		}, AppendPrefixRequest, DecodePrefixRequest)
	})
	t.Run("list result", func(t *testing.T) {
		session := rapid.Custom(func(t *rapid.T) SessionInfo {
			return SessionInfo{
				Session: drawSession(t), Name: drawText(t, "name"), Since: drawCount(t, "since"),
				Owner: kv.NodeID(rapid.Uint16().Draw(t, "owner")),
				TTLMS: rapid.Uint32().Draw(t, "ttl"),
			}
		})
		comesBack(t, func(t *rapid.T) SessionListResult {
			return SessionListResult{
				Sessions: rapid.SliceOf(session).Draw(t, "sessions"),
				Cursor:   drawBytes(t, "cursor", 0, 30), Index: drawCount(t, "index"),
			}
		}, AppendSessionListResult, DecodeSessionListResult)
	})
}

func TestLockMessagesComeBack(t *testing.T) {
	t.Parallel()
	t.Run("acquire", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) LockAcquireRequest {
			q := LockAcquireRequest{
				Common: drawCommon(t), Session: drawSession(t), Name: drawName(t, "name"),
				Holder: rapid.Uint64Range(1, MaxHolder).Draw(t, "holder"), Kind: drawLockKind(t),
				Value:  drawBytes(t, "value", 0, 40),
				WaitMS: rapid.Uint32().Draw(t, "wait"),
			}
			q.DoneThrough = rapid.Uint64Range(0, q.Holder-1).Draw(t, "done")
			return q
		}, AppendLockAcquireRequest, DecodeLockAcquireRequest)
	})
	t.Run("acquire result", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) LockAcquireResult {
			if drawFlag(t, "queued") {
				return LockAcquireResult{
					Queued: true, Position: rapid.Uint32().Draw(t, "position"),
					Index: drawCount(t, "index"),
				}
			}
			return LockAcquireResult{Fence: drawFence(t), Index: drawCount(t, "index")}
		}, AppendLockAcquireResult, DecodeLockAcquireResult)
	})
	t.Run("release", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) LockReleaseRequest {
			return LockReleaseRequest{
				Common: drawCommon(t), Session: drawSession(t), Name: drawName(t, "name"),
				Holder: rapid.Uint64Range(1, MaxHolder).Draw(t, "holder"), Fence: drawFence(t),
			}
		}, AppendLockReleaseRequest, DecodeLockReleaseRequest)
	})
	t.Run("release result", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) LockReleaseResult {
			return LockReleaseResult{Released: drawFlag(t, "released")}
		}, AppendLockReleaseResult, DecodeLockReleaseResult)
	})
	t.Run("cancel", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) LockCancelRequest {
			return LockCancelRequest{
				Common: drawCommon(t), Session: drawSession(t), Name: drawName(t, "name"),
				Holder: rapid.Uint64Range(1, MaxHolder).Draw(t, "holder"),
			}
		}, AppendLockCancelRequest, DecodeLockCancelRequest)
	})
	t.Run("force release", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) LockForceReleaseRequest {
			return LockForceReleaseRequest{
				Common: drawCommon(t), Name: drawName(t, "name"), Fence: drawFence(t),
				Reason: drawText(t, "reason"),
			}
		}, AppendLockForceReleaseRequest, DecodeLockForceReleaseRequest)
	})
}

func drawLockInfo(t *rapid.T) LockInfo {
	holder := rapid.Custom(func(t *rapid.T) LockHolder {
		return LockHolder{
			Session: drawSession(t), Holder: drawCount(t, "holder"), Fence: drawFence(t),
			Since: drawCount(t, "since"), Value: drawBytes(t, "value", 0, 40),
		}
	})
	waiter := rapid.Custom(func(t *rapid.T) LockWaiter {
		return LockWaiter{
			Session: drawSession(t), Holder: drawCount(t, "holder"), Since: drawCount(t, "since"),
			Kind: drawLockKind(t),
		}
	})
	return LockInfo{
		Name: drawName(t, "name"), Kind: drawLockKind(t),
		Holders:     rapid.SliceOfN(holder, 0, 5).Draw(t, "holders"),
		Waiters:     rapid.SliceOfN(waiter, 0, 20).Draw(t, "waiters"),
		HolderCount: rapid.Uint32().Draw(t, "holder count"),
		WaiterCount: rapid.Uint32().Draw(t, "waiter count"),
	}
}

func TestLockListsComeBack(t *testing.T) {
	t.Parallel()
	t.Run("get", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) LockGetRequest {
			return LockGetRequest{
				Common: drawCommon(t), Name: drawName(t, "name"), Stale: drawFlag(t, "stale"),
			}
		}, AppendLockGetRequest, DecodeLockGetRequest)
	})
	t.Run("get result", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) LockGetResult {
			return LockGetResult{LockInfo: drawLockInfo(t), Index: drawCount(t, "index")}
		}, AppendLockGetResult, DecodeLockGetResult)
	})
	t.Run("list result", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) LockListResult {
			return LockListResult{
				Locks:  rapid.SliceOfN(rapid.Custom(drawLockInfo), 0, 5).Draw(t, "locks"),
				Cursor: drawBytes(t, "cursor", 0, 30), Index: drawCount(t, "index"),
			}
		}, AppendLockListResult, DecodeLockListResult)
	})
}
