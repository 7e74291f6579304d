// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// onMany answers kv.get_many with what entry says of each key: of the round-th request,
// from 1 on, in which it is the i-th key.
func (f *fake) onMany(entry func(round, i int, key string) wire.GetManyEntry) func() []int {
	var mu sync.Mutex
	var sizes []int
	f.onData(func(_ *fakeNode, call *rpc.Call, s seen) bool {
		if s.method != wire.MethodGetMany {
			return false
		}
		var q wire.GetManyRequest
		if err := wire.DecodeGetManyRequest(call.Params, &q); err != nil {
			f.t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		sizes = append(sizes, len(q.Keys))
		var r wire.GetManyResult
		for i, key := range q.Keys {
			r.Results = append(r.Results, entry(len(sizes), i, string(key)))
		}
		call.Reply(func(dst []byte) []byte { return wire.AppendGetManyResult(dst, &r) })
		return true
	})
	return func() []int {
		mu.Lock()
		defer mu.Unlock()
		return sizes
	}
}

// echo is the answer that finds the key as its value.
func echo(key string) wire.GetManyEntry {
	return wire.GetManyEntry{GetResult: wire.GetResult{
		Found: true, RingVersion: 1, Siblings: []wire.Sibling{{Value: []byte(key)}},
		Context: []byte("c" + key),
	}}
}

func someKeys(n int) [][]byte {
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key-%d", i)
	}
	return keys
}

func checkEchoes(t *testing.T, keys [][]byte, got []KeyResult, err error) {
	t.Helper()
	if err != nil || len(got) != len(keys) {
		t.Fatalf("%d results, %v", len(got), err)
	}
	for i, r := range got {
		v, verr := r.Value()
		if r.Err != nil || verr != nil || string(v) != string(keys[i]) {
			t.Fatalf("key %d: %q, %v, %v", i, v, r.Err, verr)
		}
	}
}

func TestManyKeysAreReadInRequestsThatAMessageHolds(t *testing.T) {
	long := make([][]byte, 600)
	for i := range long {
		long[i] = append(make([]byte, 4000), fmt.Sprintf("%060d", i)...)
	}
	cases := []struct {
		name     string
		keys     [][]byte
		requests int
	}{
		{"none", nil, 0},
		{"one", someKeys(1), 1},
		{"as many as a list holds", someKeys(1024), 1},
		{"one more", someKeys(1025), 2},
		{"long ones", long, 3},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 2)
				sizes := f.onMany(func(_, _ int, key string) wire.GetManyEntry { return echo(key) })
				got, err := f.client(nil).Bucket("default").GetMany(t.Context(), tc.keys)
				checkEchoes(t, tc.keys, got, err)
				if len(sizes()) != tc.requests {
					t.Errorf("requests of %v keys, want %d of them", sizes(), tc.requests)
				}
			})
		})
	}
}

// Each answer has room for the first two keys only.
func TestKeysThatDidNotFitAreAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		sizes := f.onMany(func(_, i int, key string) wire.GetManyEntry {
			if i >= 2 {
				return wire.GetManyEntry{Error: "TOO_LARGE: ask again"}
			}
			return echo(key)
		})
		keys := someKeys(40)
		began := time.Now()
		got, err := f.client(nil).Bucket("default").GetMany(t.Context(), keys)
		checkEchoes(t, keys, got, err)
		if n := len(sizes()); n != 20 || time.Since(began) != 0 {
			t.Errorf("%d requests in %v, want 20 at once", n, time.Since(began))
		}
	})
}

func TestAKeyThatNeverFitsFailsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		sizes := f.onMany(func(_, _ int, key string) wire.GetManyEntry {
			if key == "key-1" {
				return wire.GetManyEntry{Error: "TOO_LARGE: ask again"}
			}
			return echo(key)
		})
		got, err := f.client(nil).Bucket("default").GetMany(t.Context(), someKeys(3))
		if err != nil || !errors.Is(got[1].Err, ErrTooLarge) || got[0].Err != nil || got[2].Err != nil {
			t.Errorf("%+v, %v", got, err)
		}
		if n := len(sizes()); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
	})
}

func TestANodeThatFitsNothingIsNotAskedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		sizes := f.onMany(func(_, _ int, _ string) wire.GetManyEntry {
			return wire.GetManyEntry{Error: "TOO_LARGE: ask again"}
		})
		got, err := f.client(nil).Bucket("default").GetMany(t.Context(), someKeys(3))
		if err != nil || !errors.Is(got[0].Err, ErrTooLarge) || len(sizes()) > 8 {
			t.Errorf("%v, %v after %d requests", got[0].Err, err, len(sizes()))
		}
	})
}

func TestOneKeyFailsAndTheOthersDoNot(t *testing.T) {
	cases := []struct {
		code     string
		passes   int // after so many answers; 0: never
		requests int
		want     error
	}{
		{"CORRUPT", 0, 1, ErrInternal},
		{"UNAVAILABLE", 3, 4, nil},
		{"QUORUM", 0, 8, ErrQuorum},
		{"SHUTTING_DOWN", 1, 2, nil},
	}
	for _, tc := range cases {
		t.Run(tc.code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 2)
				sizes := f.onMany(func(round, _ int, key string) wire.GetManyEntry {
					if key == "key-1" && (tc.passes == 0 || round <= tc.passes) {
						return wire.GetManyEntry{Error: tc.code + ": scripted"}
					}
					return echo(key)
				})
				got, err := f.client(nil).Bucket("default").GetMany(t.Context(), someKeys(3))
				if err != nil || got[0].Err != nil || got[2].Err != nil {
					t.Fatalf("%+v, %v", got, err)
				}
				if !errors.Is(got[1].Err, tc.want) || (got[1].Err == nil) != got[1].Found {
					t.Errorf("%+v, want %v", got[1], tc.want)
				}
				if n := len(sizes()); n != tc.requests {
					t.Errorf("requests of %v keys, want %d of them", sizes(), tc.requests)
				}
			})
		})
	}
}

func TestAKeyOfSeveralPagesIsReadByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		more := pages(3, func() string { return "v1" })
		f.onMany(func(_, _ int, key string) wire.GetManyEntry {
			entry := echo(key)
			entry.More = key == "key-1"
			entry.Skip = []byte("v1/x")
			return entry
		})
		many := f.script
		f.onData(func(n *fakeNode, call *rpc.Call, s seen) bool {
			return more(n, call, s) || many(n, call, s)
		})
		got, err := f.client(nil).Bucket("default").GetMany(t.Context(), someKeys(3))
		if err != nil || len(got[1].Siblings) != 3 || string(got[1].Context) != "context of v1" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestWhereNoNodeAnswersEveryKeyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.nodes[0].kill()
		got, err := f.client(nil).Bucket("default").GetMany(t.Context(), someKeys(3))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range got {
			if !errors.Is(r.Err, ErrConnect) {
				t.Error(r.Err)
			}
		}
	})
}

func TestAnAnswerForOtherKeysIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.onData(func(_ *fakeNode, call *rpc.Call, _ seen) bool {
			r := wire.GetManyResult{Results: []wire.GetManyEntry{echo("a")}}
			call.Reply(func(dst []byte) []byte { return wire.AppendGetManyResult(dst, &r) })
			return true
		})
		got, err := f.client(nil).Bucket("default").GetMany(t.Context(), someKeys(2))
		if err != nil || codeOf(got[0].Err) != CodeBadAnswer || codeOf(got[1].Err) != CodeBadAnswer {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
