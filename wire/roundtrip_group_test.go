// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

func drawGeneration(t *rapid.T) kv.Generation {
	return kv.Generation(rapid.Uint8Range(0, uint8(kv.MaxGeneration)).Draw(t, "generation"))
}

func drawGroupMember(t *rapid.T) GroupMember {
	return GroupMember{
		Member: drawMember(t), Weight: rapid.Uint32().Draw(t, "weight"),
		Instance: kv.Instance(drawCount(t, "instance")),
		Seat:     rapid.SampledFrom([]Seat{SeatVoter, SeatLearner, SeatClient}).Draw(t, "seat"),
		Raft:     drawCount(t, "raft"), Match: drawCount(t, "match"),
		Left: drawFlag(t, "left"), Refused: drawFlag(t, "refused"),
	}
}

func drawGroupMembers(t *rapid.T) []GroupMember {
	return rapid.SliceOfN(rapid.Custom(drawGroupMember), 0, 9).Draw(t, "members")
}

func TestBucketChangesComeBack(t *testing.T) {
	t.Parallel()
	t.Run("create", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) BucketCreateRequest {
			return BucketCreateRequest{
				Common: drawCommon(t), RequestID: drawRequestID(t), Name: drawName(t, "name"),
				N: rapid.Uint8Range(0, kv.MaxLevel).Draw(t, "n"),
				R: drawLevel(t, "r", false), W: drawLevel(t, "w", false),
				PR: drawLevel(t, "pr", true), PW: drawLevel(t, "pw", true),
				Strict: drawFlag(t, "strict"), LWW: drawFlag(t, "lww"),
				TTLMS: drawMilli(t, "ttl"), Fenced: drawFlag(t, "fenced"),
			}
		}, AppendBucketCreateRequest, DecodeBucketCreateRequest)
	})
	t.Run("update", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) BucketUpdateRequest {
			q := BucketUpdateRequest{
				Common: drawCommon(t), RequestID: drawRequestID(t), Name: drawName(t, "name"),
				R: drawLevel(t, "r", false), W: drawLevel(t, "w", false),
				PR: drawLevel(t, "pr", true), PW: drawLevel(t, "pw", true),
			}
			if drawFlag(t, "change sloppy") {
				q.Sloppy = new(drawFlag(t, "sloppy"))
			}
			if drawFlag(t, "change ttl") {
				q.TTLMS = new(drawMilli(t, "ttl"))
			}
			return q
		}, AppendBucketUpdateRequest, DecodeBucketUpdateRequest)
	})
}

func TestBucketDeleteComesBack(t *testing.T) {
	comesBack(t, func(t *rapid.T) BucketDeleteRequest {
		return BucketDeleteRequest{
			Common: drawCommon(t), RequestID: drawRequestID(t), Name: drawName(t, "name"),
		}
	}, AppendBucketDeleteRequest, DecodeBucketDeleteRequest)
}

func TestGroupResultsComeBack(t *testing.T) {
	t.Parallel()
	t.Run("join", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) JoinRequest {
			return JoinRequest{
				Common:  drawCommon(t),
				Cluster: drawText(t, "cluster"), Name: drawName(t, "name"),
				Zone: drawText(t, "zone"), Addresses: drawMember(t).Addresses,
				Weight:   rapid.Uint32Range(1, MaxWeight).Draw(t, "weight"),
				Expect:   rapid.Uint32Range(0, 1<<16-1).Draw(t, "expect"),
				Replicas: rapid.Uint32Range(0, kv.MaxLevel).Draw(t, "replicas"),
			}
		}, AppendJoinRequest, DecodeJoinRequest)
	})
	t.Run("join result", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) JoinResult {
			return JoinResult{
				Cluster: drawText(t, "cluster"), ID: kv.NodeID(rapid.Uint16().Draw(t, "id")),
				Instance:   kv.Instance(drawCount(t, "instance")),
				Generation: drawGeneration(t), Index: drawCount(t, "index"),
				Accepted: drawFlag(t, "accepted"), Members: drawGroupMembers(t),
			}
		}, AppendJoinResult, DecodeJoinResult)
	})
	t.Run("status", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaStatusResult {
			return MetaStatusResult{
				Cluster: drawText(t, "cluster"), Node: drawText(t, "node"), Role: SeatLearner,
				Leader: drawText(t, "leader"), Term: drawCount(t, "term"),
				Applied: drawCount(t, "applied"), Committed: drawCount(t, "committed"),
				Generation: drawGeneration(t), Members: drawGroupMembers(t),
				Locks: drawCount(t, "locks"), Sessions: drawCount(t, "sessions"),
				Waiters: drawCount(t, "waiters"),
			}
		}, AppendMetaStatusResult, DecodeMetaStatusResult)
	})
	t.Run("members", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaMembersResult {
			return MetaMembersResult{Members: drawGroupMembers(t), Index: drawCount(t, "index")}
		}, AppendMetaMembersResult, DecodeMetaMembersResult)
	})
	t.Run("snapshot", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) StateSnapshotRequest {
			q := StateSnapshotRequest{Common: drawCommon(t), Index: drawCount(t, "index")}
			if q.Index > 0 {
				q.Offset = rapid.Uint64Range(0, MaxMetaSnapshot).Draw(t, "offset")
			}
			return q
		}, AppendStateSnapshotRequest, DecodeStateSnapshotRequest)
	})
	t.Run("piece of a snapshot", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) StateSnapshotResult {
			a := StateSnapshotResult{
				Index: drawCount(t, "index"), Term: drawCount(t, "term"),
				Generation: drawGeneration(t), Checksum: drawCount(t, "checksum"),
				Chunk: drawBytes(t, "chunk", 0, 40),
			}
			a.Offset = rapid.Uint64Range(0, MaxMetaSnapshot-40).Draw(t, "offset")
			least := a.Offset + uint64(len(a.Chunk))
			a.Size = rapid.Uint64Range(least, MaxMetaSnapshot).Draw(t, "size")
			return a
		}, AppendStateSnapshotResult, DecodeStateSnapshotResult)
	})
}

func TestPiecesOfASnapshotThatCanNotBeAreRefused(t *testing.T) {
	t.Parallel()
	var q StateSnapshotRequest
	for name, q := range map[string]StateSnapshotRequest{
		"an offset of no snapshot":  {Offset: 1},
		"an offset behind them all": {Index: 1, Offset: MaxMetaSnapshot + 1},
	} {
		if DecodeStateSnapshotRequest(AppendStateSnapshotRequest(nil, &q), &q) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if err := DecodeStateSnapshotRequest(params(t, map[string]any{"size": 1}), &q); err == nil {
		t.Error("a key of results is accepted")
	}
	for name, a := range map[string]StateSnapshotResult{
		"a piece beyond the end":      {Index: 1, Size: 3, Offset: 2, Chunk: make([]byte, 2)},
		"a snapshot that is too long": {Index: 1, Size: MaxMetaSnapshot + 1},
		"a piece that is too long": {
			Index: 1, Size: MaxMetaSnapshot, Chunk: make([]byte, MaxMetaChunk+1),
		},
	} {
		if DecodeStateSnapshotResult(AppendStateSnapshotResult(nil, &a), &a) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
