// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

func TestParamsThatSayNothingMeanAllDefaults(t *testing.T) {
	t.Parallel()
	want := KeyScanRequest{
		Common: Common{TimeoutMS: 5000}, Bucket: "default", Limit: DefaultScanLimit,
	}
	for name, b := range map[string][]byte{
		"no bytes": nil, "nil": {0xc0}, "empty array": {0x90}, "array of nil": {0x91, 0xc0},
		"empty map": {0x91, 0x80}, "array32 of a map32": {0xdd, 0, 0, 0, 1, 0xdf, 0, 0, 0, 0},
		"keys with nil": params(t, map[string]any{
			"bucket": nil, "limit": nil, "timeout_ms": nil, "prefix": nil, "keys_only": nil,
		}),
	} {
		var got KeyScanRequest
		if err := DecodeKeyScanRequest(b, &got); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestParamsOfAnotherShapeAreRefused(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]any{
		"a map":            map[string]any{"name": "default"},
		"two maps":         []any{map[string]any{"name": "a"}, map[string]any{}},
		"a string":         []any{"default"},
		"an array":         []any{[]any{"name", "default"}},
		"a number":         7,
		"key not a string": []any{map[any]any{7: "default"}},
	} {
		var q NameRequest
		err := DecodeNameRequest(libraryEncodes(t, v), &q)
		var refused *DecodeError
		if !errors.As(err, &refused) || refused.Code != CodeInvalid || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestUnknownKeyIsRefusedByName(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		key  string
		in   func([]byte) error
	}{
		{"of no method", "colour", decodeTo(DecodePutRequest)},
		{"of another method", "keys_only", decodeTo(DecodePutRequest)},
		{"of results", "found", decodeTo(DecodeGetRequest)},
		{"value in a delete", "value", decodeTo(DecodeDeleteRequest)},
		{"ttl_ms in a delete", "ttl_ms", decodeTo(DecodeDeleteRequest)},
		{"name in a ping", "name", decodeTo(DecodeEmptyRequest)},
		{"close to x-", "xmine", decodeTo(DecodeEmptyRequest)},
		{"in capitals", "Key", decodeTo(DecodeGetRequest)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.in(params(t, map[string]any{c.key: "v"}))
			var refused *DecodeError
			if !errors.As(err, &refused) || refused.Code != CodeInvalid {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(refused.Text(), `"`+c.key+`"`) {
				t.Errorf("the text does not name the key: %s", refused.Text())
			}
		})
	}
	err := decodeTo(DecodeEmptyRequest)(params(t, map[string]any{strings.Repeat("k", 9000): 1}))
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("a long key is shown whole: %d bytes", len(err.Error()))
	}
}

func decodeTo[T any](decode func([]byte, *T) error) func([]byte) error {
	return func(b []byte) error {
		var v T
		return decode(b, &v)
	}
}

func TestKeyThatOccursTwiceIsRefused(t *testing.T) {
	t.Parallel()
	b := []byte("\x91\x82\xa4name\xa1a\xa4name\xa1b")
	err := decodeTo(DecodeNameRequest)(b)
	if err == nil || !strings.Contains(err.Error(), "name: occurs twice") {
		t.Errorf("got %v", err)
	}
}

func TestOptionsOfWrongTypeOrValueAreRefusedByName(t *testing.T) {
	t.Parallel()
	put := func(field string, v any) ([]byte, func([]byte) error) {
		m := map[string]any{"key": "k", "value": "v"}
		m[field] = v
		return params(t, m), decodeTo(DecodePutRequest)
	}
	long := func(n int) []byte { return make([]byte, n) }
	cases := []struct {
		name, field string
		value       any
		code        Code
	}{
		{"key is a number", "key", 7, CodeInvalid},
		{"key is missing", "key", nil, CodeInvalid},
		{"key is empty", "key", "", CodeInvalid},
		{"key is too long", "key", long(kv.MaxKey + 1), CodeTooLarge},
		{"value is missing", "value", nil, CodeInvalid},
		{"value is a map", "value", map[string]any{}, CodeInvalid},
		{"value is too large", "value", long(kv.MaxValue + 1), CodeTooLarge},
		{"bucket is empty", "bucket", "", CodeInvalid},
		{"bucket is no text", "bucket", []byte{0xff}, CodeInvalid},
		{"bucket is too long", "bucket", strings.Repeat("b", MaxBucketName+1), CodeTooLarge},
		{"context is a number", "context", 1, CodeInvalid},
		{"context is too large", "context", long(MaxToken + 1), CodeTooLarge},
		{"w is 0", "w", 0, CodeInvalid},
		{"w is negative", "w", -1, CodeInvalid},
		{"w is beyond any bucket", "w", kv.MaxLevel + 1, CodeInvalid},
		{"w is an unknown word", "w", "most", CodeInvalid},
		{"w is a float", "w", 2.0, CodeInvalid},
		{"pw is a boolean", "pw", true, CodeInvalid},
		{"ttl_ms is 0", "ttl_ms", 0, CodeInvalid},
		{"ttl_ms is beyond a century", "ttl_ms", int64(MaxTTLMS) + 1, CodeInvalid},
		{"request_id is short", "request_id", long(15), CodeInvalid},
		{"request_id is long", "request_id", long(17), CodeInvalid},
		{"fence is negative", "fence", -1, CodeInvalid},
		{"return_siblings is a number", "return_siblings", 1, CodeInvalid},
		{"timeout_ms is 0", "timeout_ms", 0, CodeInvalid},
		{"timeout_ms is too long", "timeout_ms", int64(1) << 32, CodeInvalid},
		{"trace is too long", "trace", strings.Repeat("t", MaxTrace+1), CodeTooLarge},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, decode := put(c.field, c.value)
			var refused *DecodeError
			if err := decode(b); !errors.As(err, &refused) {
				t.Fatalf("got %v", err)
			}
			if refused.Code != c.code || refused.Field != c.field {
				t.Errorf("got %s for %q (%s), want %s for %q",
					refused.Code, refused.Field, refused.Why, c.code, c.field)
			}
		})
	}
	keys := make([]string, MaxList+1)
	for i := range keys {
		keys[i] = "k"
	}
	var many GetManyRequest
	var refused *DecodeError
	err := DecodeGetManyRequest(params(t, map[string]any{"keys": keys}), &many)
	if !errors.As(err, &refused) || refused.Code != CodeTooLarge || refused.Field != "keys" {
		t.Errorf("too many keys: got %v", err)
	}
	err = DecodeGetManyRequest(params(t, map[string]any{"keys": keys[1:]}), &many)
	if err != nil || len(many.Keys) != MaxList {
		t.Errorf("just as many keys as may be: got %d, %v", len(many.Keys), err)
	}
}

func TestLimitsAreWhatTheyLimit(t *testing.T) {
	t.Parallel()
	at := map[string]any{
		"key": make([]byte, kv.MaxKey), "value": make([]byte, kv.MaxValue),
		"bucket": strings.Repeat("b", MaxBucketName), "context": make([]byte, MaxToken),
		"trace": strings.Repeat("t", MaxTrace), "w": kv.MaxLevel, "pw": 0,
		"ttl_ms": int64(MaxTTLMS), "timeout_ms": uint32(1<<32 - 1), "fence": uint64(1<<64 - 1),
	}
	var got PutRequest
	if err := DecodePutRequest(params(t, at), &got); err != nil {
		t.Error(err)
	}
	if got.PW != kv.LevelZero {
		t.Errorf("an explicit 0 is read as %q", got.PW)
	}
	sealed := vclock.TokenSize(vclock.Context{}) - vclock.Context{}.EncodedSize()
	if MaxToken != kv.MaxRequestContext+sealed {
		t.Errorf("a sealed context of %d bytes has %d, requests may carry %d",
			kv.MaxRequestContext, kv.MaxRequestContext+sealed, MaxToken)
	}
}

// Every client message, decoded by the library into maps and encoded again by it, in
// another order and with other integer encodings, says the same.
func TestOtherEncodingsOfEveryClientMessageSayTheSame(t *testing.T) {
	t.Parallel()
	vectors := append(goldenKV(), goldenClusterMessages()...)
	vectors = append(append(vectors, goldenLocks()...), goldenGroupMessages()...)
	vectors = append(append(vectors, goldenRepairs()...), goldenHints()...)
	for _, g := range vectors {
		d := msgpack.NewDecoder(bytes.NewReader(g.bytes))
		v, err := d.DecodeInterface()
		if err != nil {
			t.Fatalf("%s: the library can not read it: %v", g.name, err)
		}
		for range 5 { // the library writes maps in Go's random order
			if diff := g.check(libraryEncodes(t, v)); diff != "" {
				t.Errorf("%s: %s", g.name, diff)
			}
		}
	}
}

// The library's shortest encoding of each peer message is what this package writes.
func TestPeerMessagesAreWhatTheLibraryWrites(t *testing.T) {
	t.Parallel()
	for _, g := range slices.Concat(goldenPeer(), goldenTrees(), goldenPurges(), goldenHandoff(), goldenMeta()) {
		if g.name == "peer.chunk.params" { // its bin has a head of fixed size
			continue
		}
		v, err := msgpack.NewDecoder(bytes.NewReader(g.bytes)).DecodeInterface()
		if err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		var b bytes.Buffer
		e := msgpack.NewEncoder(&b)
		e.UseCompactInts(true)
		if err := e.Encode(v); err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		if diff := cmp.Diff(b.Bytes(), g.bytes); diff != "" {
			t.Errorf("%s: %s", g.name, diff)
		}
	}
}

func TestResultsOfLaterReleasesAreRead(t *testing.T) {
	t.Parallel()
	later := map[string]any{"new": []any{1, map[string]any{"deep": "er"}}, "colour": "red"}
	sibling := map[string]any{"value": []byte("v"), "timestamp_ms": 7, "new": later}
	result := map[string]any{
		"found": true, "siblings": []any{sibling}, "context": []byte("c"), "ring_version": 3,
		"new": later, "limits": 7, "skip": nil,
	}
	want := GetResult{
		Found: true, Siblings: []Sibling{{Value: []byte("v"), TimestampMS: 7}},
		Context: []byte("c"), RingVersion: 3,
	}
	var got GetResult
	if err := DecodeGetResult(libraryEncodes(t, result), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if err := DecodeEmptyResult(libraryEncodes(t, later)); err != nil {
		t.Error(err)
	}
}

func TestSiblingWithEmptyValueIsNeitherBareNorDeleted(t *testing.T) {
	t.Parallel()
	a := PutResult{Siblings: []Sibling{{}, {Value: []byte{}}, {Bare: true}, {Deleted: true}}}
	var got PutResult
	if err := DecodePutResult(AppendPutResult(nil, &a), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestEveryKeyIsFoundByItsName(t *testing.T) {
	t.Parallel()
	for f := fieldNone + 1; f < fieldCount; f++ {
		if f.String() == "" || fieldOf([]byte(f.String())) != f {
			t.Errorf("field %d, %q, is found as %q", f, f, fieldOf([]byte(f.String())))
		}
	}
	// Requests tell repeated keys apart by a bit each.
	if lastRequestField >= 64 {
		t.Errorf("the last key of requests has number %d", lastRequestField)
	}
}
