// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

// comesBack checks that what encode made, after bytes that were there before, decodes to
// the same value, and that a proper part of it is refused.
func comesBack[T any](
	t *testing.T, draw func(*rapid.T) T, encode func([]byte, *T) []byte,
	decode func([]byte, *T) error,
) {
	t.Helper()
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := draw(t)
		const before = "before"
		b := encode([]byte(before), &want)
		if string(b[:len(before)]) != before {
			t.Fatalf("the encoder changed what was there before: %q", b[:len(before)])
		}
		b = b[len(before):]
		if err := ScanOne(b, ScanLimits{}); err != nil {
			t.Fatalf("the scan refuses it: %v", err)
		}
		var got T
		if err := decode(b, &got); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		if cut := rapid.IntRange(1, len(b)-1).Draw(t, "cut"); decode(b[:cut], &got) == nil {
			t.Fatalf("%d of %d bytes are accepted: %x", cut, len(b), b[:cut])
		}
		if err := decode(append(b, 0), &got); err == nil {
			t.Fatal("a byte too many is accepted")
		}
	})
}

func TestClientRequestsComeBack(t *testing.T) {
	t.Parallel()
	t.Run("hello", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) HelloRequest {
			q := HelloRequest{
				Common: drawCommon(t), Client: drawText(t, "client"),
				Version: drawText(t, "version"), Proto: []uint32{1, 7},
				Features: []string{"dev", drawText(t, "feature")},
			}
			if drawFlag(t, "auth") {
				q.Auth = []byte("\x81\xa4mech\xa5token")
			}
			return q
		}, AppendHelloRequest, DecodeHelloRequest)
	})
	t.Run("empty", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) EmptyRequest {
			return EmptyRequest{Common: drawCommon(t)}
		}, AppendEmptyRequest, DecodeEmptyRequest)
	})
	t.Run("name", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) NameRequest {
			return NameRequest{Common: drawCommon(t), Name: drawName(t, "name")}
		}, AppendNameRequest, DecodeNameRequest)
	})
	t.Run("get", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) GetRequest {
			return GetRequest{
				Common: drawCommon(t), ReadOptions: drawReadOptions(t), Bucket: drawBucket(t),
				Key: drawKey(t), Skip: drawBytes(t, "skip", 0, 30),
			}
		}, AppendGetRequest, DecodeGetRequest)
	})
	t.Run("put", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) PutRequest {
			return PutRequest{
				Common: drawCommon(t), WriteOptions: drawWriteOptions(t), Bucket: drawBucket(t),
				Key: drawKey(t), Value: drawBytes(t, "value", 0, 300),
				TTLMS: drawMilli(t, "ttl"), ReturnSiblings: drawFlag(t, "return siblings"),
			}
		}, AppendPutRequest, DecodePutRequest)
	})
	t.Run("delete", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) DeleteRequest {
			return DeleteRequest{
				Common: drawCommon(t), WriteOptions: drawWriteOptions(t),
				Bucket: drawBucket(t), Key: drawKey(t),
			}
		}, AppendDeleteRequest, DecodeDeleteRequest)
	})
	t.Run("get_many", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) GetManyRequest {
			return GetManyRequest{
				Common: drawCommon(t), ReadOptions: drawReadOptions(t), Bucket: drawBucket(t),
				Keys: rapid.SliceOfN(rapid.Custom(drawKey), 0, 40).Draw(t, "keys"),
			}
		}, AppendGetManyRequest, DecodeGetManyRequest)
	})
	t.Run("scan", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) KeyScanRequest {
			return KeyScanRequest{
				Common: drawCommon(t), Bucket: drawBucket(t), Prefix: drawBytes(t, "prefix", 0, 9),
				Cursor: drawBytes(t, "cursor", 0, 30), KeysOnly: drawFlag(t, "keys only"),
				Limit: rapid.Uint32Range(1, MaxList).Draw(t, "limit"),
			}
		}, AppendKeyScanRequest, DecodeKeyScanRequest)
	})
}

func TestClientResultsComeBack(t *testing.T) {
	t.Parallel()
	t.Run("hello", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) HelloResult {
			return HelloResult{
				Proto: rapid.Uint32().Draw(t, "proto"), Node: drawText(t, "node"),
				Cluster: drawText(t, "cluster"), Version: drawText(t, "version"),
				Features: []string{drawText(t, "feature")}, Limits: DefaultLimits(),
				RingVersion: rapid.Uint64().Draw(t, "ring version"),
			}
		}, AppendHelloResult, DecodeHelloResult)
	})
	t.Run("get", func(t *testing.T) {
		comesBack(t, drawGetResult, AppendGetResult, DecodeGetResult)
	})
	t.Run("put", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) PutResult {
			return PutResult{
				Context: drawBytes(t, "context", 0, 30), Siblings: drawSiblings(t, 0),
				SiblingCount: rapid.IntRange(0, 100).Draw(t, "count"),
			}
		}, AppendPutResult, DecodePutResult)
	})
	t.Run("delete", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) DeleteResult {
			return DeleteResult{Context: drawBytes(t, "context", 0, 30)}
		}, AppendDeleteResult, DecodeDeleteResult)
	})
	t.Run("get_many", func(t *testing.T) {
		entry := rapid.Custom(func(t *rapid.T) GetManyEntry {
			if drawFlag(t, "failed") {
				return GetManyEntry{Error: drawName(t, "error")}
			}
			return GetManyEntry{GetResult: drawGetResult(t)}
		})
		comesBack(t, func(t *rapid.T) GetManyResult {
			return GetManyResult{Results: rapid.SliceOfN(entry, 0, 20).Draw(t, "results")}
		}, AppendGetManyResult, DecodeGetManyResult)
	})
	t.Run("scan", func(t *testing.T) {
		entry := rapid.Custom(func(t *rapid.T) KeyScanEntry {
			e := KeyScanEntry{Key: drawKey(t)}
			if drawFlag(t, "whole") {
				e.Siblings, e.Context = drawSiblings(t, 1), drawBytes(t, "context", 0, 30)
			}
			return e
		})
		comesBack(t, func(t *rapid.T) KeyScanResult {
			return KeyScanResult{
				Entries:  rapid.SliceOfN(entry, 0, 20).Draw(t, "entries"),
				Cursor:   drawBytes(t, "cursor", 0, 30),
				Complete: drawFlag(t, "complete"),
			}
		}, AppendKeyScanResult, DecodeKeyScanResult)
	})
}

func TestClusterResultsComeBack(t *testing.T) {
	t.Parallel()
	t.Run("bucket", func(t *testing.T) {
		comesBack(t, drawKVBucket, AppendBucket, DecodeBucket)
	})
	t.Run("buckets", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) BucketListResult {
			return BucketListResult{Buckets: rapid.SliceOf(rapid.Custom(drawKVBucket)).Draw(t, "all")}
		}, AppendBucketListResult, DecodeBucketListResult)
	})
	t.Run("info", func(t *testing.T) {
		nodes := rapid.Custom(func(t *rapid.T) []kv.NodeID {
			return []kv.NodeID{1, kv.NodeID(rapid.Uint16().Draw(t, "id"))}
		})
		comesBack(t, func(t *rapid.T) ClusterInfoResult {
			return ClusterInfoResult{
				Cluster: drawText(t, "cluster"), RingVersion: rapid.Uint64().Draw(t, "ring version"),
				Replicas: 3, Partitions: 128, HashSeed: rapid.Uint64().Draw(t, "seed"),
				Members:    rapid.SliceOf(rapid.Custom(drawMember)).Draw(t, "members"),
				Buckets:    rapid.SliceOf(rapid.Custom(drawKVBucket)).Draw(t, "buckets"),
				Preference: rapid.SliceOf(nodes).Draw(t, "preference"),
			}
		}, AppendClusterInfoResult, DecodeClusterInfoResult)
	})
	t.Run("status", func(t *testing.T) {
		member := rapid.Custom(func(t *rapid.T) MemberStatus {
			return MemberStatus{
				Member: drawMember(t),
				State:  rapid.SampledFrom([]MemberState{StateUp, StateDown, StateStopped}).Draw(t, "state"),
				Ready:  drawFlag(t, "ready"), Confirmed: drawFlag(t, "confirmed"),
				Reason:      drawText(t, "reason"),
				RingVersion: rapid.Uint64().Draw(t, "ring version"), Work: drawWork(t),
			}
		})
		comesBack(t, func(t *rapid.T) ClusterStatusResult {
			return ClusterStatusResult{
				Cluster: drawText(t, "cluster"), Node: drawText(t, "node"),
				RingVersion: rapid.Uint64().Draw(t, "ring version"),
				Members:     rapid.SliceOf(member).Draw(t, "members"),
			}
		}, AppendClusterStatusResult, DecodeClusterStatusResult)
	})
}
