// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
)

// with is a request of the given options, one of them changed.
func with(t *testing.T, base map[string]any, field string, v any) []byte {
	t.Helper()
	m := maps.Clone(base)
	m[field] = v
	return params(t, m)
}

func TestOptionsOfLocksOfWrongValueAreRefusedByName(t *testing.T) {
	t.Parallel()
	session := goldenSession()
	type decode = func([]byte) error
	opening := map[string]any{"name": "n"}
	held := map[string]any{"session": session[:], "holder": 2, "name": "n", "fence": 5}
	attempt := map[string]any{"session": session[:], "holder": 2, "name": "n"}
	taken := map[string]any{"name": "n", "fence": 5}
	open, acquire := decodeTo(DecodeSessionOpenRequest), decodeTo(DecodeLockAcquireRequest)
	release, force := decodeTo(DecodeLockReleaseRequest), decodeTo(DecodeLockForceReleaseRequest)
	list := decodeTo(DecodePrefixRequest)
	long := func(n int) string { return strings.Repeat("n", n) }
	cases := []struct {
		name  string
		in    decode
		base  map[string]any
		field string
		value any
		code  Code
	}{
		{"a session of 15 bytes", open, opening, "session", session[:15], CodeInvalid},
		{"a session of zeros", open, opening, "session", make([]byte, 16), CodeInvalid},
		{"too short a TTL", open, opening, "ttl_ms", MinSessionTTLMS - 1, CodeInvalid},
		{"too long a TTL", open, opening, "ttl_ms", MaxSessionTTLMS + 1, CodeInvalid},
		{"too long a session's name", open, opening, "name", long(MaxLockName + 1), CodeTooLarge},
		{"no session", acquire, attempt, "session", nil, CodeInvalid},
		{"no holder", acquire, attempt, "holder", nil, CodeInvalid},
		{"no name", acquire, attempt, "name", nil, CodeInvalid},
		{"holder 0", acquire, attempt, "holder", 0, CodeInvalid},
		{"too high a holder", acquire, attempt, "holder", uint64(MaxHolder + 1), CodeInvalid},
		{"a holder that is done", acquire, attempt, "done_through", 2, CodeInvalid},
		{"an empty name", acquire, attempt, "name", "", CodeInvalid},
		{"too long a name", acquire, attempt, "name", long(MaxLockName + 1), CodeTooLarge},
		{"a name that is no text", acquire, attempt, "name", []byte{0xff}, CodeInvalid},
		{"a semaphore", acquire, attempt, "kind", "semaphore", CodeInvalid},
		{"an unknown kind", acquire, attempt, "kind", "mine", CodeInvalid},
		{"too large a value", acquire, attempt, "value", make([]byte, MaxLockValue+1), CodeTooLarge},
		{"too long a wait", acquire, attempt, "wait_ms", int64(1) << 32, CodeInvalid},
		{"fence 0", release, held, "fence", 0, CodeInvalid},
		{"no fence", release, held, "fence", nil, CodeInvalid},
		{"no fence to take away", force, taken, "fence", nil, CodeInvalid},
		{"too long a reason", force, taken, "reason", long(MaxReason + 1), CodeTooLarge},
		{"no entries", list, nil, "limit", 0, CodeInvalid},
		{"too many entries", list, nil, "limit", MaxList + 1, CodeInvalid},
		{"too long a cursor", list, nil, "cursor", make([]byte, MaxCursor+1), CodeTooLarge},
		{"stale is a number", list, nil, "stale", 1, CodeInvalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			base := c.base
			if base == nil {
				base = map[string]any{}
			}
			if err := c.in(params(t, base)); err != nil {
				t.Fatalf("unchanged: %v", err)
			}
			var refused *DecodeError
			if err := c.in(with(t, base, c.field, c.value)); !errors.As(err, &refused) {
				t.Fatalf("got %v", err)
			}
			if refused.Code != c.code || refused.Field != c.field {
				t.Errorf("got %s for %q (%s), want %s for %q",
					refused.Code, refused.Field, refused.Why, c.code, c.field)
			}
		})
	}
}

func TestOptionsOfBucketsAndJoinsOfWrongValueAreRefusedByName(t *testing.T) {
	t.Parallel()
	create, update := decodeTo(DecodeBucketCreateRequest), decodeTo(DecodeBucketUpdateRequest)
	join := decodeTo(DecodeJoinRequest)
	bucket := map[string]any{"name": "b"}
	node := map[string]any{"name": "n1", "addresses": map[string]any{"peer": "h:1"}}
	cases := []struct {
		name  string
		in    func([]byte) error
		base  map[string]any
		field string
		value any
		code  Code
	}{
		{"no name", create, bucket, "name", nil, CodeInvalid},
		{"an empty name", create, bucket, "name", "", CodeInvalid},
		{"too long a name", create, bucket, "name", strings.Repeat("b", 256), CodeTooLarge},
		{"too many replicas", create, bucket, "n", kv.MaxLevel + 1, CodeInvalid},
		{"w is 0", create, bucket, "w", 0, CodeInvalid},
		{"resolve is unknown", create, bucket, "resolve", "newest", CodeInvalid},
		{"ttl_ms is beyond a century", create, bucket, "ttl_ms", int64(MaxTTLMS) + 1, CodeInvalid},
		{"request_id is short", create, bucket, "request_id", make([]byte, 15), CodeInvalid},
		{"n can not change", update, bucket, "n", 3, CodeInvalid},
		{"resolve can not change", update, bucket, "resolve", "lww", CodeInvalid},
		{"fenced can not change", update, bucket, "fenced", true, CodeInvalid},
		{"sloppy is a number", update, bucket, "sloppy", 1, CodeInvalid},
		{"no name", join, node, "name", nil, CodeInvalid},
		{"no addresses", join, node, "addresses", nil, CodeInvalid},
		{"weight 0", join, node, "weight", 0, CodeInvalid},
		{"too much weight", join, node, "weight", MaxWeight + 1, CodeInvalid},
		{"too many replicas", join, node, "replicas", kv.MaxLevel + 1, CodeInvalid},
		{"too many members", join, node, "expect", 1 << 16, CodeInvalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.in(params(t, c.base)); err != nil {
				t.Fatalf("unchanged: %v", err)
			}
			var refused *DecodeError
			if err := c.in(with(t, c.base, c.field, c.value)); !errors.As(err, &refused) {
				t.Fatalf("got %v", err)
			}
			if refused.Code != c.code || refused.Field != c.field {
				t.Errorf("got %s for %q (%s), want %s for %q",
					refused.Code, refused.Field, refused.Why, c.code, c.field)
			}
		})
	}
}

func TestAddressesOfAJoinAreAsStrictAsTheRequest(t *testing.T) {
	t.Parallel()
	join := func(addresses any) (JoinRequest, error) {
		var q JoinRequest
		err := DecodeJoinRequest(params(t, map[string]any{
			"name": "n1", "addresses": addresses,
		}), &q)
		return q, err
	}
	got, err := join(map[string]any{"peer": "h:1", "admin": nil, "x-mine": []any{1}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Addresses{Peer: "h:1"}, got.Addresses); diff != "" {
		t.Error(diff)
	}
	if _, err := join(map[string]any{"raft": "h:1"}); err == nil ||
		!strings.Contains(err.Error(), `"raft"`) {
		t.Errorf("an unknown key: %v", err)
	}
	twice := []byte("\x91\x82\xa4name\xa1n\xa9addresses\x82\xa4peer\xa1a\xa4peer\xa1b")
	var q JoinRequest
	if err := DecodeJoinRequest(twice, &q); err == nil ||
		!strings.Contains(err.Error(), "peer: occurs twice") {
		t.Errorf("a key that occurs twice: %v", err)
	}
}

func TestWhatLocksLeaveOutHasItsDefault(t *testing.T) {
	t.Parallel()
	session := goldenSession()
	var acquire LockAcquireRequest
	err := DecodeLockAcquireRequest(params(t, map[string]any{
		"session": session[:], "holder": 1, "name": "n",
	}), &acquire)
	if err != nil || acquire.Kind != LockExclusive || acquire.WaitMS != 0 {
		t.Errorf("got %+v, %v", acquire, err)
	}
	var open SessionOpenRequest
	if err := DecodeSessionOpenRequest(nil, &open); err != nil || open.TTLMS != DefaultSessionTTLMS {
		t.Errorf("got %+v, %v", open, err)
	}
	var update BucketUpdateRequest
	err = DecodeBucketUpdateRequest(params(t, map[string]any{"name": "b"}), &update)
	if err != nil || update.Sloppy != nil || update.TTLMS != nil || update.R != kv.LevelUnset {
		t.Errorf("got %+v, %v", update, err)
	}
	// Options of later releases are refused by those that would not heed them.
	for _, later := range []string{"limit", "permits", "lock_delay"} {
		err := DecodeLockAcquireRequest(params(t, map[string]any{
			"session": session[:], "holder": 1, "name": "n", later: 2,
		}), &acquire)
		if err == nil || !strings.Contains(err.Error(), later) {
			t.Errorf("%s: %v", later, err)
		}
	}
}
