// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

func goldenSession() [16]byte {
	return [16]byte{
		0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f,
	}
}

// goldenFence is of generation 1, granted by the command at index 77.
const goldenFence = kv.Fence(1<<48 | 77)

func goldenLock() LockInfo {
	other := goldenSession()
	other[0] = 0x60
	return LockInfo{
		Name: "jobs/compact", Kind: LockExclusive,
		Holders: []LockHolder{{
			Session: goldenSession(), Holder: 3, Fence: goldenFence, Since: 77, Value: []byte("n1"),
		}},
		Waiters: []LockWaiter{{Session: other, Holder: 1, Kind: LockShared, Since: 80}},
	}
}

func goldenSessions() []golden {
	plain := defaults()
	return []golden{
		of("session.open.request", "", SessionOpenRequest{
			Common: plain, Session: goldenSession(), TTLMS: 15_000, Name: "worker 7",
		}, AppendSessionOpenRequest, DecodeSessionOpenRequest),
		of("session.open.request.all", "every option", SessionOpenRequest{
			Common:  Common{TimeoutMS: 250, Trace: "req-7"},
			Session: goldenSession(), TTLMS: 5000, Name: "worker 7",
		}, AppendSessionOpenRequest, DecodeSessionOpenRequest),
		of("session.open.result", "", SessionOpenResult{Session: goldenSession(), TTLMS: 15_000},
			AppendSessionOpenResult, DecodeSessionOpenResult),
		of("session.keepalive.request", "also of session.close",
			SessionRequest{Common: plain, Session: goldenSession()},
			AppendSessionRequest, DecodeSessionRequest),
		of("session.list.request", "also of lock.list", PrefixRequest{
			Common: plain, Prefix: "worker", Cursor: []byte("opaque"), Limit: 10, Stale: true,
		}, AppendPrefixRequest, DecodePrefixRequest),
		of("session.list.result", "not the last page", SessionListResult{
			Sessions: []SessionInfo{{
				Session: goldenSession(), Name: "worker 7", Owner: 2, TTLMS: 15_000, Since: 70,
			}},
			Cursor: []byte("opaque"), Index: 81,
		}, AppendSessionListResult, DecodeSessionListResult),
	}
}

func goldenLocks() []golden {
	plain, session := defaults(), goldenSession()
	const name = "jobs/compact"
	return append(goldenSessions(), []golden{
		of("lock.acquire.request", "try", LockAcquireRequest{
			Common: plain, Session: session, Holder: 3, Name: name, Kind: LockExclusive,
		}, AppendLockAcquireRequest, DecodeLockAcquireRequest),
		of("lock.acquire.request.all", "every option", LockAcquireRequest{
			Common:  Common{TimeoutMS: 31_000, Trace: "req-7"},
			Session: session, Holder: 3, DoneThrough: 2, Name: name, Kind: LockShared,
			Value: []byte("n1"), WaitMS: 60_000,
		}, AppendLockAcquireRequest, DecodeLockAcquireRequest),
		of("lock.acquire.result", "", LockAcquireResult{Fence: goldenFence, Index: 77},
			AppendLockAcquireResult, DecodeLockAcquireResult),
		of("lock.acquire.result.queued", "", LockAcquireResult{
			Index: 80, Queued: true, Position: 1,
		}, AppendLockAcquireResult, DecodeLockAcquireResult),
		of("lock.release.request", "", LockReleaseRequest{
			Common: plain, Session: session, Holder: 3, Name: name, Fence: goldenFence,
		}, AppendLockReleaseRequest, DecodeLockReleaseRequest),
		of("lock.release.result", "also of lock.force_release", LockReleaseResult{Released: true},
			AppendLockReleaseResult, DecodeLockReleaseResult),
		of("lock.cancel.request", "", LockCancelRequest{
			Common: plain, Session: session, Holder: 3, Name: name,
		}, AppendLockCancelRequest, DecodeLockCancelRequest),
		of("lock.get.request", "", LockGetRequest{Common: plain, Name: name, Stale: true},
			AppendLockGetRequest, DecodeLockGetRequest),
		of("lock.get.result", "", LockGetResult{LockInfo: goldenLock(), Index: 81},
			AppendLockGetResult, DecodeLockGetResult),
		of("lock.get.result.free", "", LockGetResult{LockInfo: LockInfo{Name: name}, Index: 81},
			AppendLockGetResult, DecodeLockGetResult),
		of("lock.list.result", "the last page; of one lock not all waiters are listed",
			LockListResult{
				Locks: []LockInfo{goldenLock(), {
					Name: "jobs/index", Kind: LockShared, Holders: []LockHolder{{
						Session: session, Holder: 4, Fence: goldenFence + 1, Since: 78,
					}}, WaiterCount: 5000,
				}},
				Index: 81,
			}, AppendLockListResult, DecodeLockListResult),
		of("lock.force_release.request", "", LockForceReleaseRequest{
			Common: plain, Name: name, Fence: goldenFence, Reason: "the holder hangs",
		}, AppendLockForceReleaseRequest, DecodeLockForceReleaseRequest),
	}...)
}

func goldenGroupMembers() []GroupMember {
	address := Addresses{Client: "127.0.0.1:4610", Peer: "127.0.0.1:4611", Gossip: "127.0.0.1:4611"}
	member := GroupMember{
		Member: Member{ID: 1, Name: "n1", Zone: "z1", Addresses: address},
		Weight: 1, Instance: 1 << 48, Seat: SeatVoter, Raft: 1<<48 | 1, Match: 81,
	}
	refused := GroupMember{
		Member: Member{ID: 2, Name: "n2", Addresses: Addresses{Peer: "127.0.0.1:4621"}},
		Weight: 2, Seat: SeatClient, Refused: true,
	}
	return []GroupMember{member, refused}
}

func goldenGroupMessages() []golden {
	const cluster = "00112233445566778899aabbccddeeff"
	plain, members := defaults(), goldenGroupMembers()
	sloppy, forever := true, int64(0)
	return []golden{
		of("bucket.create.request", "", BucketCreateRequest{
			Common: plain, RequestID: goldenRequestID(), Name: "users",
		}, AppendBucketCreateRequest, DecodeBucketCreateRequest),
		of("bucket.create.request.all", "every option", BucketCreateRequest{
			Common: Common{TimeoutMS: 250, Trace: "req-7"}, RequestID: goldenRequestID(),
			Name: "users", N: 3, R: 1, W: kv.LevelAll, PR: kv.LevelZero, PW: 2, Strict: true,
			LWW: true, TTLMS: 60_000, Fenced: true,
		}, AppendBucketCreateRequest, DecodeBucketCreateRequest),
		of("bucket.update.request", "", BucketUpdateRequest{
			Common: plain, RequestID: goldenRequestID(), Name: "users", W: 3, Sloppy: &sloppy,
			TTLMS: &forever,
		}, AppendBucketUpdateRequest, DecodeBucketUpdateRequest),
		of("bucket.delete.request", "", BucketDeleteRequest{
			Common: plain, RequestID: goldenRequestID(), Name: "users",
		}, AppendBucketDeleteRequest, DecodeBucketDeleteRequest),
		of("cluster.join.request", "", JoinRequest{
			Common: plain, Name: "n1", Weight: 1, Addresses: members[0].Addresses,
		}, AppendJoinRequest, DecodeJoinRequest),
		of("cluster.join.request.all", "every option", JoinRequest{
			Common: Common{TimeoutMS: 250, Trace: "req-7"}, Cluster: cluster, Name: "n1",
			Zone: "z1", Weight: 2, Addresses: members[0].Addresses,
			Expect: 3, Replicas: 3,
		}, AppendJoinRequest, DecodeJoinRequest),
		of("cluster.join.result", "", JoinResult{
			Cluster: cluster, ID: 1, Instance: 1 << 48, Generation: 1, Index: 12, Accepted: true,
			Members: members,
		}, AppendJoinResult, DecodeJoinResult),
		of("meta.status.result", "", MetaStatusResult{
			Cluster: cluster, Node: "n1", Role: SeatVoter, Leader: "n1", Term: 2, Applied: 81,
			Committed: 82, Generation: 1, Members: members, Locks: 2, Sessions: 1, Waiters: 5001,
		}, AppendMetaStatusResult, DecodeMetaStatusResult),
		of("meta.members.result", "", MetaMembersResult{Members: members[:1], Index: 81},
			AppendMetaMembersResult, DecodeMetaMembersResult),
		of("meta.snapshot.request", "", StateSnapshotRequest{Common: plain},
			AppendStateSnapshotRequest, DecodeStateSnapshotRequest),
		of("meta.snapshot.request.all", "every option", StateSnapshotRequest{
			Common: Common{TimeoutMS: 250, Trace: "req-7"}, Index: 81, Offset: 5,
		}, AppendStateSnapshotRequest, DecodeStateSnapshotRequest),
		of("meta.snapshot.result", "", StateSnapshotResult{
			Index: 81, Term: 2, Generation: 1, Size: 9, Checksum: 0x0123456789abcdef, Offset: 5,
			Chunk: []byte{0, 1, 2, 3},
		}, AppendStateSnapshotResult, DecodeStateSnapshotResult),
	}
}
