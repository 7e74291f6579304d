// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/dyno-kv/dyno/kv"
)

// libraryEncodes encodes v as a client of another make would, with the library's
// generic encoding.
func libraryEncodes(t testing.TB, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func params(t testing.TB, m map[string]any) []byte {
	t.Helper()
	return libraryEncodes(t, []any{m})
}

func TestPutRequestOfAnyClientIsRead(t *testing.T) {
	t.Parallel()
	id := kv.RequestID{1, 2, 3, 15: 16}
	var got PutRequest
	err := DecodePutRequest(params(t, map[string]any{
		"bucket": "b", "key": "as a string", "value": []byte("as bytes"),
		"context": []byte{9, 8}, "w": int64(2), "pw": "quorum", "ttl_ms": int32(7),
		"request_id": id[:], "fence": uint64(1) << 60, "return_siblings": true,
		"timeout_ms": uint64(250), "trace": "t-1",
		"x-mine": map[string]any{"deep": []any{1, "two", nil, 3.5, []byte{4}}},
	}), &got)
	if err != nil {
		t.Fatal(err)
	}
	want := PutRequest{
		Common: Common{TimeoutMS: 250, Trace: "t-1"},
		WriteOptions: WriteOptions{
			Context: []byte{9, 8}, W: 2, PW: kv.LevelQuorum, RequestID: id, Fence: 1 << 60,
		},
		Bucket: "b", Key: []byte("as a string"), Value: []byte("as bytes"), TTLMS: 7,
		ReturnSiblings: true,
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}
