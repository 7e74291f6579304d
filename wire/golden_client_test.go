// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

func goldenSkip() []byte {
	last := vclock.Dot{Actor: goldenActor1, Counter: 7}
	return AppendSkip(nil, last, goldenObject().Context)
}

func goldenScanCursor() []byte {
	at := ScanCursor{Partition: 42, After: []byte("user/1")}
	return AppendScanCursor(nil, at, kv.DefaultBucket, []byte("user/"))
}

func goldenSiblings() []Sibling {
	return []Sibling{
		{Value: []byte("hello"), TimestampMS: goldenMS, ExpiresMS: goldenMS + 60_000, Fence: 3},
		{Deleted: true, TimestampMS: goldenMS + 5, Fence: 3},
	}
}

func goldenKV() []golden {
	key := []byte("user/1")
	common, plain := Common{TimeoutMS: 250, Trace: "req-7"}, defaults()
	write := WriteOptions{
		Context: goldenToken(), W: 2, PW: kv.LevelQuorum, RequestID: goldenRequestID(), Fence: 3,
	}
	found := GetResult{
		Found: true, Siblings: goldenSiblings(), Context: goldenToken(), RingVersion: 4,
	}
	return []golden{
		of("kv.get.request", "", GetRequest{Common: plain, Bucket: "default", Key: key},
			AppendGetRequest, DecodeGetRequest),
		of("kv.get.request.all", "every option", GetRequest{
			Common: common, Bucket: "users", Key: key, Skip: goldenSkip(),
			ReadOptions: ReadOptions{R: 2, PR: kv.LevelZero, Atomic: true, MetaOnly: true},
		}, AppendGetRequest, DecodeGetRequest),
		of("kv.get.result", "a value and a concurrent tombstone",
			found, AppendGetResult, DecodeGetResult),
		of("kv.get.result.none", "never written, as far as the quorum knows",
			GetResult{RingVersion: 4}, AppendGetResult, DecodeGetResult),
		of("kv.get.result.page", "meta_only, and not the last page", GetResult{
			Found: true, RingVersion: 4, More: true, Skip: goldenSkip(),
			Siblings: []Sibling{{Bare: true, TimestampMS: goldenMS}},
		}, AppendGetResult, DecodeGetResult),
		of("kv.put.request", "a blind put",
			PutRequest{Common: plain, Bucket: "default", Key: key, Value: []byte("hello")},
			AppendPutRequest, DecodePutRequest),
		of("kv.put.request.all", "every option", PutRequest{
			Common: common, WriteOptions: write, Bucket: "users", Key: key, Value: []byte{},
			TTLMS: 60_000, ReturnSiblings: true,
		}, AppendPutRequest, DecodePutRequest),
		of("kv.put.result", "", PutResult{Context: goldenToken(), SiblingCount: 1},
			AppendPutResult, DecodePutResult),
		of("kv.put.result.siblings", "with return_siblings", PutResult{
			Context: goldenToken(), SiblingCount: 2, Siblings: goldenSiblings(),
		}, AppendPutResult, DecodePutResult),
		of("kv.delete.request", "", DeleteRequest{
			Common: plain, WriteOptions: WriteOptions{Context: goldenToken()},
			Bucket: "default", Key: key,
		}, AppendDeleteRequest, DecodeDeleteRequest),
		of("kv.delete.result", "", DeleteResult{Context: goldenToken()},
			AppendDeleteResult, DecodeDeleteResult),
		of("kv.get_many.request", "", GetManyRequest{
			Common: plain, ReadOptions: ReadOptions{R: kv.LevelOne}, Bucket: "default",
			Keys: [][]byte{key, []byte("user/2")},
		}, AppendGetManyRequest, DecodeGetManyRequest),
		of("kv.get_many.result", "", GetManyResult{Results: []GetManyEntry{
			{GetResult: found}, {Error: "TOO_LARGE: ask again"},
		}}, AppendGetManyResult, DecodeGetManyResult),
		of("kv.scan.request", "", KeyScanRequest{
			Common: plain, Bucket: "default", Prefix: []byte("user/"), Limit: 2,
			Cursor: goldenScanCursor(), KeysOnly: true,
		}, AppendKeyScanRequest, DecodeKeyScanRequest),
		of("kv.scan.result", "", KeyScanResult{
			Entries: []KeyScanEntry{{
				Key: key, Siblings: goldenSiblings()[:1], Context: goldenToken(),
			}},
			Cursor: goldenScanCursor(), Complete: true,
		}, AppendKeyScanResult, DecodeKeyScanResult),
		of("kv.scan.result.keys", "keys_only, the last page", KeyScanResult{
			Entries: []KeyScanEntry{{Key: key}}, Complete: true,
		}, AppendKeyScanResult, DecodeKeyScanResult),
	}
}

func goldenClusterMessages() []golden {
	bucket := kv.BuiltinBucket(3)
	members := make([]Member, 3)
	for i := range members {
		port := 4610 + 10*i
		members[i] = Member{
			ID: kv.NodeID(i + 1), Name: fmt.Sprintf("n%d", i+1), Zone: "z1",
			Addresses: Addresses{
				Client: fmt.Sprintf("127.0.0.1:%d", port), Peer: fmt.Sprintf("127.0.0.1:%d", port+1),
			},
		}
	}
	return []golden{
		of("hello.request", "", HelloRequest{
			Common: defaults(), Client: "dyno-go", Version: "0.1.0", Proto: []uint32{1},
			Features: []string{FeatureDev},
		}, AppendHelloRequest, DecodeHelloRequest),
		of("hello.result", "", HelloResult{
			Proto: 1, Node: "n1", Cluster: "00112233445566778899aabbccddeeff", Version: "0.1.0",
			Features: []string{FeatureDev}, Limits: DefaultLimits(), RingVersion: 4,
		}, AppendHelloResult, DecodeHelloResult),
		of("ping.request", "also of all others without options of their own",
			EmptyRequest{Common: defaults()}, AppendEmptyRequest, DecodeEmptyRequest),
		of("ping.result", "also of all others that answer nothing", struct{}{},
			func(dst []byte, _ *struct{}) []byte { return AppendEmptyResult(dst) },
			func(b []byte, _ *struct{}) error { return DecodeEmptyResult(b) }),
		of("cluster.info.result", "of two partitions, for brevity", ClusterInfoResult{
			Cluster: "00112233445566778899aabbccddeeff", RingVersion: 4, Replicas: 3, Partitions: 2,
			HashSeed: 0x0011223344556677, Members: members, Buckets: []kv.Bucket{bucket},
			Preference: [][]kv.NodeID{{1, 2, 3}, {2, 3, 1}},
		}, AppendClusterInfoResult, DecodeClusterInfoResult),
		of("cluster.status.result", "", ClusterStatusResult{
			Cluster: "00112233445566778899aabbccddeeff", Node: "n1", RingVersion: 4,
			Members: []MemberStatus{
				{Member: members[0], State: StateUp, Ready: true, Confirmed: true, RingVersion: 4},
				{Member: members[1], State: StateStopped, Reason: "stopped by dyno node stop"},
			},
		}, AppendClusterStatusResult, DecodeClusterStatusResult),
		of("cluster.status.work.result", "of a member, by itself", ClusterStatusResult{
			Cluster: "00112233445566778899aabbccddeeff", Node: "n1", RingVersion: 4,
			Members: []MemberStatus{{
				Member: members[0], State: StateUp, Ready: true, Confirmed: true, RingVersion: 4,
				Work: &WorkStatus{
					Hints: 12, Markers: 3, Bytes: 40960, Counted: true, OldestMS: 180000, Pairs: 256,
					Settled: 250, Trees: TreeStatus{Known: 127, Owned: 128, Builds: 128},
					Purge: PurgeStatus{Epoch: 7},
				},
			}},
		}, AppendClusterStatusResult, DecodeClusterStatusResult),
		of("bucket.get.request", "also of dev.node_stop and dev.node_start",
			NameRequest{Common: defaults(), Name: "default"}, AppendNameRequest, DecodeNameRequest),
		of("bucket.get.result", "", bucket, AppendBucket, DecodeBucket),
		of("bucket.list.result", "", BucketListResult{Buckets: []kv.Bucket{bucket}},
			AppendBucketListResult, DecodeBucketListResult),
	}
}

// goldenFrames are whole messages, as they cross the network.
func goldenFrames() []golden {
	get := GetRequest{Common: defaults(), Bucket: "default", Key: []byte("user/1")}
	request := AppendGetRequest(AppendRequestHeader(nil, 7, MethodGet), &get)
	none := GetResult{RingVersion: 4}
	failure := FormatError(CodeUnavailable, "need 2, alive 1: n2 (stopped), n3 (down)")
	parsed := func(want func(Header) bool) func([]byte) string {
		return func(b []byte) string {
			if h, err := ParseHeader(b); err != nil || h.MsgID != 7 || !want(h) {
				return fmt.Sprintf("%+v %v", h, err)
			}
			return ""
		}
	}
	return []golden{
		{
			name: "message.request", bytes: request,
			check: parsed(func(h Header) bool { return string(h.Method) == MethodGet }),
		},
		{
			name: "message.response", bytes: AppendGetResult(AppendResponseHeader(nil, 7), &none),
			check: parsed(func(h Header) bool { return h.Error == nil }),
		},
		{
			name: "message.error", bytes: AppendErrorResponse(nil, 7, failure),
			check: parsed(func(h Header) bool { return string(h.Error) == failure }),
		},
	}
}
