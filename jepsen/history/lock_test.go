// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// locks is a history with an operation of each kind.
func locks() *History {
	return &History{
		Header: Header{Version: Version, N: 3},
		Ops: []Op{
			{
				Kind: SessionOpen, Key: "s1", Completed: 5, Outcome: OK, TTL: 15e9,
				Lock: Lock{Session: "s1"},
			},
			{
				Kind: Acquire, Key: "jobs", Invoked: 6, Completed: 9, Outcome: OK,
				Lock: Lock{Session: "s1", Holder: 1, Wait: 2e9, Fence: 1<<48 | 7},
			},
			{
				Process: 1, Kind: Acquire, Key: "jobs", Invoked: 6, Completed: 9, Outcome: OK,
				Lock: Lock{Session: "s1", Holder: 2, Shared: true},
			},
			{
				Kind: Release, Key: "jobs", Invoked: 10, Completed: 12, Outcome: OK, Again: true,
				Lock: Lock{Session: "s1", Holder: 1, Fence: 1<<48 | 7, Released: true},
			},
			{
				Kind: Cancel, Key: "jobs", Invoked: 13, Completed: 14, Outcome: Info,
				Lock: Lock{Session: "s1", Holder: 3, Lost: true},
			},
			{
				Kind: Acquire, Key: "jobs", Invoked: 15, Completed: 16, Outcome: Fail,
				Lock: Lock{Session: "s1", Holder: 4, Expired: true},
			},
			{
				Kind: ForceRelease, Key: "jobs", Invoked: 17, Completed: 18, Outcome: OK,
				Lock: Lock{Fence: 1<<48 | 7},
			},
			{Kind: SessionClose, Key: "s1", Completed: 20, Outcome: Info, Lock: Lock{Session: "s1"}},
			{Kind: SessionLeave, Key: "s2", Completed: 20, Outcome: OK, Lock: Lock{Session: "s2"}},
			{
				Kind: SessionLost, Key: "s3", Invoked: 20, Completed: 20, Outcome: OK,
				Lock: Lock{Session: "s3", Renewed: 19},
			},
		},
	}
}

func TestLockOperationsSurviveEncoding(t *testing.T) {
	got, err := ReadAll(bytes.NewReader(encode(t, locks())), 100)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(locks(), got); diff != "" {
		t.Error(diff)
	}
}

// TestHistoriesWithoutLocksLookAsTheyDid: what was written before there were locks is read,
// and a history without locks is written as it was.
func TestHistoriesWithoutLocksLookAsTheyDid(t *testing.T) {
	const old = `{"header":{"version":1,"n":3}}
{"op":{"p":4,"kind":"put","key":"k1","from":1000,"to":2500,"outcome":"ok","value":"1.1","w":2}}
{"end":{"ops":1,"events":0}}
`
	h, err := ReadAll(strings.NewReader(old), 10)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(encode(t, h)); got != old {
		t.Errorf("got  %s\nwant %s", got, old)
	}
}

func TestLockOperationsThatCanNotBeAreRefused(t *testing.T) {
	cases := []struct {
		name  string
		of    int // which of locks() is spoiled
		spoil func(o *Op)
		want  string
	}{
		{"a get with a session", 1, func(o *Op) { o.Kind = Get }, "only operations on locks"},
		{"no session", 1, func(o *Op) { o.Lock.Session = "" }, "needs its session"},
		{"a session's key is another", 7, func(o *Op) { o.Key = "jobs" }, "is the session"},
		{"opened for no time", 0, func(o *Op) { o.TTL = 0 }, "time to live"},
		{"a lock that lives for a time", 1, func(o *Op) { o.TTL = 1 }, "time to live"},
		{"ok and expired", 1, func(o *Op) { o.Lock.Expired = true }, "is over"},
		{"a wait below zero", 1, func(o *Op) { o.Lock.Wait = -1 }, "wait or renewal"},
		{"renewed after its end", 9, func(o *Op) { o.Lock.Renewed = 21 }, "wait or renewal"},
		{"no holder", 1, func(o *Op) { o.Lock.Holder = 0 }, "have a holder"},
		{"a session with a holder", 0, func(o *Op) { o.Lock.Holder = 1 }, "have a holder"},
		{"a shared release", 3, func(o *Op) { o.Lock.Shared = true }, "is shared"},
		{"a release of no grant", 3, func(o *Op) { o.Lock.Fence = 0 }, "needs the fence"},
		{"a fence without a grant", 1, func(o *Op) { o.Outcome = Info }, "have a fence"},
		{"a cancel with a fence", 4, func(o *Op) { o.Lock.Fence = 1 }, "have a fence"},
		{"released, perhaps", 3, func(o *Op) { o.Outcome = Info }, "has released"},
		{"an acquire that released", 1, func(o *Op) { o.Lock.Released = true }, "has released"},
		{"a lock that was renewed", 1, func(o *Op) { o.Lock.Renewed = 1 }, "tells of renewals"},
		{"lost, perhaps", 9, func(o *Op) { o.Outcome = Info }, "itself"},
		{"a value", 1, func(o *Op) { o.Value = Value{1, 1} }, "only a write"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			op := locks().Ops[c.of]
			c.spoil(&op)
			if err := op.Check(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestALockOperationIsToldInOneLine(t *testing.T) {
	for i, want := range []string{
		`process 0 session-open "s1": ok`,
		`process 0 acquire "jobs" of session s1 as holder 1 within 2s = fence 281474976710663: ok`,
		`process 1 acquire "jobs" of session s1 as holder 2 shared = held: ok`,
		`of session s1 as holder 1 = fence 281474976710663, released true: ok`,
		`process 0 cancel "jobs" of session s1 as holder 3: info`,
		`of session s1 as holder 4, the session is over: fail`,
		`force-release "jobs" of nobody = fence 281474976710663, released false: ok`,
		`session-close "s1": info`,
		`session-leave "s2": ok`,
		`session-lost "s3", renewed 0.000000 s: ok`,
	} {
		if got := locks().Ops[i].String(); !strings.Contains(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
