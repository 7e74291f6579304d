// SPDX-License-Identifier: Apache-2.0

package server

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// clientMethods are all methods of the client port.
func clientMethods() []string {
	return []string{
		wire.MethodHello, wire.MethodPing, wire.MethodGet, wire.MethodPut, wire.MethodDelete,
		wire.MethodGetMany, wire.MethodKeyScan, wire.MethodClusterInfo, wire.MethodClusterStatus,
		wire.MethodBucketGet, wire.MethodBucketList, wire.MethodNodeStop, wire.MethodNodeStart,
		wire.MethodSessionOpen, wire.MethodSessionKeepAlive, wire.MethodSessionClose,
		wire.MethodSessionList, wire.MethodLockAcquire, wire.MethodLockRelease,
		wire.MethodLockCancel, wire.MethodLockGet, wire.MethodLockList,
		wire.MethodLockForceRelease, wire.MethodBucketCreate, wire.MethodBucketUpdate,
		wire.MethodBucketDelete, wire.MethodClusterJoin, wire.MethodMetaStatus,
		wire.MethodMetaMembers, wire.MethodStateSnapshot,
	}
}

// Whatever params come, as long as the scan lets them pass, a handler answers with an
// error of the protocol or with a result that can be read, and never panics.
func FuzzClientPort(f *testing.F) {
	options := wire.WriteOptions{W: kv.LevelOne, PW: kv.LevelZero, RequestID: kv.RequestID{1}}
	seeds := [][]byte{
		{0xc0}, {0x90}, {0x91, 0x80},
		wire.AppendHelloRequest(nil, &wire.HelloRequest{Client: "c", Proto: []uint32{1}}),
		wire.AppendGetRequest(nil, &wire.GetRequest{Key: []byte("k"), Skip: make([]byte, 25)}),
		wire.AppendPutRequest(nil, &wire.PutRequest{
			Key: []byte("k"), Value: []byte("v"), WriteOptions: options, TTLMS: 5,
			ReturnSiblings: true,
		}),
		wire.AppendDeleteRequest(nil, &wire.DeleteRequest{Key: []byte("k"), WriteOptions: options}),
		wire.AppendGetManyRequest(nil, &wire.GetManyRequest{Keys: [][]byte{[]byte("k"), {1}}}),
		wire.AppendKeyScanRequest(nil, &wire.KeyScanRequest{Prefix: []byte("k"), Limit: 3}),
		wire.AppendNameRequest(nil, &wire.NameRequest{Name: "default"}),
	}
	for _, name := range slices.Sorted(maps.Keys(groupRequests())) {
		seeds = append(seeds, groupRequests()[name])
	}
	for method := range clientMethods() {
		for _, seed := range seeds {
			f.Add(byte(method), seed)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, params []byte) {
		scanner := wire.Scanner{}
		if n, done, err := scanner.Scan(params); err != nil || !done || n != len(params) {
			return // no handler ever sees it
		}
		fx := newFixture(t, shape{
			members: 3, partitions: 4, control: idleControl{}, grouped: true,
		})
		fx.server.cfg.MaxTimeout = 5 * time.Millisecond // starting a node waits for it
		fx.keys.put("k", 3, 10)
		fx.others.answer.Result = wire.AppendEmptyResult(nil)
		name := clientMethods()[int(which)%len(clientMethods())]
		m, found := fx.server.methods[name]
		if !found {
			t.Fatalf("%s is not served", name)
		}
		req := &request{method: name, params: params, arrived: time.Now()}
		result, err := m.handle(t.Context(), req)
		if err != nil {
			if code, _ := wire.ParseError(fx.server.errorText(req, err)); code == wire.CodeInternal {
				t.Errorf("%s: %v", name, err)
			}
			return
		}
		answer := result(nil)
		scanner = wire.Scanner{}
		if n, done, err := scanner.Scan(answer); err != nil || !done || n != len(answer) {
			t.Errorf("%s: the result %x can not be read: %v", name, answer, err)
		}
	})
}
