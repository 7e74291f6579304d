// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// groupRequests has a good request for each method that asks the group.
func groupRequests() map[string][]byte {
	session, name := sessionID(1), "jobs/compact"
	about := wire.AppendSessionRequest(nil, &wire.SessionRequest{Session: session})
	list := wire.AppendPrefixRequest(nil, &wire.PrefixRequest{})
	return map[string][]byte{
		wire.MethodSessionOpen: wire.AppendSessionOpenRequest(nil,
			&wire.SessionOpenRequest{Session: session}),
		wire.MethodSessionKeepAlive: about, wire.MethodSessionClose: about,
		wire.MethodSessionList: list, wire.MethodLockList: list,
		wire.MethodLockAcquire: wire.AppendLockAcquireRequest(nil,
			&wire.LockAcquireRequest{Session: session, Holder: 1, Name: name}),
		wire.MethodLockRelease: wire.AppendLockReleaseRequest(nil,
			&wire.LockReleaseRequest{Session: session, Holder: 1, Name: name, Fence: 1}),
		wire.MethodLockCancel: wire.AppendLockCancelRequest(nil,
			&wire.LockCancelRequest{Session: session, Holder: 1, Name: name}),
		wire.MethodLockGet: wire.AppendLockGetRequest(nil, &wire.LockGetRequest{Name: name}),
		wire.MethodLockForceRelease: wire.AppendLockForceReleaseRequest(nil,
			&wire.LockForceReleaseRequest{Name: name, Fence: 1}),
		wire.MethodBucketCreate: wire.AppendBucketCreateRequest(nil,
			&wire.BucketCreateRequest{Name: "b"}),
		wire.MethodBucketUpdate: wire.AppendBucketUpdateRequest(nil,
			&wire.BucketUpdateRequest{Name: "default"}),
		wire.MethodBucketDelete: wire.AppendBucketDeleteRequest(nil,
			&wire.BucketDeleteRequest{Name: "b"}),
		wire.MethodClusterJoin: wire.AppendJoinRequest(nil, &wire.JoinRequest{
			Name: "n2", Addresses: wire.Addresses{Peer: "n2:2"},
		}),
		wire.MethodMetaStatus: {0x90}, wire.MethodMetaMembers: {0x90},
		wire.MethodStateSnapshot: {0x90},
	}
}

// asksGroup are the methods that call the group, and not only look at what is here.
func asksGroup() []string {
	local := []string{wire.MethodMetaStatus, wire.MethodMetaMembers}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(groupRequests())) {
		if !slices.Contains(local, name) {
			list = append(list, name)
		}
	}
	return list
}

func TestEveryMethodOfTheGroupHasARequestInTheTests(t *testing.T) {
	f := newFixture(t, shape{grouped: true})
	for _, m := range f.server.groupMethods() {
		if groupRequests()[m.name] == nil {
			t.Errorf("%s has none", m.name)
		}
		if m.gate == nil || m.gate == f.server.requests || m.quick {
			t.Errorf("%s passes no gate of the group's requests", m.name)
		}
	}
}

func TestNodeWithoutAGroupKnowsNoneOfItsMethods(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		c, p := f.client(), f.peer(f.hello())
		for name, params := range groupRequests() {
			_, err := call(c, name, params)
			wantCode(t, name, err, wire.CodeUnknownMethod)
		}
		_, err := call(p, wire.MethodMetaStep, []byte{0x90})
		wantCode(t, wire.MethodMetaStep, err, wire.CodeUnknownMethod)
		checkFeatures(t, c, nil)
	})
}

func checkFeatures(t *testing.T, c *rpc.Client, want []string) {
	t.Helper()
	hello, err := asked(c, wire.MethodHello, wire.HelloRequest{},
		wire.AppendHelloRequest, wire.DecodeHelloResult)
	if err != nil || !slices.Equal(hello.Features, want) {
		t.Errorf("features %q, %v, want %q", hello.Features, err, want)
	}
}

func TestNodeThatHasNoPartInTheGroupYetSaysSo(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		f.server.part.Store(nil)
		c, p := f.client(), f.peer(f.hello())
		for name, params := range groupRequests() {
			_, err := call(c, name, params)
			wantCode(t, name, err, wire.CodeNotReady)
		}
		_, err := call(p, wire.MethodMetaStep, []byte{0x90})
		wantCode(t, wire.MethodMetaStep, err, wire.CodeNotReady)
		checkFeatures(t, c, []string{wire.FeatureLocks, wire.FeatureBuckets})
		_, err = get(c, wire.GetRequest{Key: []byte("k"), Bucket: "new"})
		wantCode(t, "a key of an unknown bucket", err, wire.CodeNoSuchBucket)

		f.server.ServeGroup(f.group)
		f.group.set(func(g *soleGroup) { g.blind = true })
		for _, name := range []string{
			wire.MethodLockGet, wire.MethodLockList, wire.MethodSessionList, wire.MethodMetaStatus,
			wire.MethodMetaMembers, wire.MethodClusterJoin,
		} {
			_, err := call(c, name, groupRequests()[name])
			wantCode(t, name+" of one that knows no state", err, wire.CodeNotReady)
		}
		if len(f.group.decided) > 0 {
			t.Errorf("it registered %v", f.group.decided)
		}
	})
}

func TestEveryFailureOfTheGroupHasItsCode(t *testing.T) {
	garbled := wire.DecodeMetaViewReply([]byte{0xc1}, new(wire.MetaViewReply)) // of a member
	cases := []struct {
		err  error
		code wire.Code
	}{
		{meta.ErrNoLeader, wire.CodeNoLeader},
		{fmt.Errorf("%w: %w", meta.ErrNoLeader, context.DeadlineExceeded), wire.CodeNoLeader},
		{fmt.Errorf("%w: %w", meta.ErrUnknown, context.DeadlineExceeded), wire.CodeTimeout},
		{fmt.Errorf("%w: %w", meta.ErrUnknown, meta.ErrNoLeader), wire.CodeTimeout},
		{fmt.Errorf("%w: %w", meta.ErrUnknown, garbled), wire.CodeTimeout},
		{fmt.Errorf("%w: %w", meta.ErrNoLeader, garbled), wire.CodeNoLeader},
		{meta.ErrOverloaded, wire.CodeOverloaded},
		{fmt.Errorf("renew: %w", meta.ErrSessionExpired), wire.CodeSessionExpired},
		{context.DeadlineExceeded, wire.CodeTimeout},
		{context.Canceled, wire.CodeTimeout},
		{meta.ErrHalted, wire.CodeInternal},
	}
	for _, test := range cases {
		inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
			f.group.set(func(g *soleGroup) { g.err = test.err })
			c := f.client()
			for _, name := range asksGroup() {
				_, err := call(c, name, groupRequests()[name])
				wantCode(t, fmt.Sprintf("%s after %v", name, test.err), err, test.code)
			}
			faults := f.logs.FilterMessage("request failed").Len()
			if internal := test.code == wire.CodeInternal; internal != (faults > 0) {
				t.Errorf("%v: %d faults are logged", test.err, faults)
			}
		})
	}
}

func TestEveryRefusalOfTheStateHasItsCode(t *testing.T) {
	want := map[state.Code]wire.Code{
		state.CodeOK: "", state.CodeInvalid: wire.CodeInvalid, state.CodeExists: wire.CodeExists,
		state.CodeNotFound: wire.CodeNoSuchBucket, state.CodeNotReady: wire.CodeNotReady,
		state.CodeNotSupported: wire.CodeInvalid, state.CodeRefused: wire.CodeInvalid,
		state.CodeExhausted: wire.CodeTooLarge, state.CodeExhausted + 1: wire.CodeInternal,
		0: wire.CodeInternal,
	}
	f := newFixture(t, shape{grouped: true})
	for code := state.Code(0); code <= state.CodeExhausted+1; code++ {
		err := refusal(state.Result{Code: code, Detail: "the very reason"})
		checkRefusal(t, f, fmt.Sprint(code), "the very reason", err, want[code])
	}
}

// What a locked-up data path, or a crowd that waits, leaves of the group: everything.
func TestDataDoesNotStandInTheGroupsWay(t *testing.T) {
	full := func(cfg *Config) { cfg.MaxRequests, cfg.MaxPeerRequests = 1, 1 }
	inBubble(t, shape{grouped: true, change: full}, func(t *testing.T, f *fixture) {
		c, p := f.client(), f.peer(f.hello())
		f.keys.stick()
		stuck := begin(c, "k", 1)
		synctest.Wait()
		must(t, f.server.peers.enter(1))
		_, err := put(c, wire.PutRequest{Key: []byte("k2"), Value: []byte("v")})
		wantCode(t, "a put", err, wire.CodeOverloaded)
		openSession(t, c, 1)
		_, err = acquire(c, wire.LockAcquireRequest{Session: sessionID(1), Holder: 1, Name: "l"})
		must(t, err)
		for _, method := range []string{wire.MethodMetaStep, wire.MethodMetaTail} {
			_, err := call(p, method, []byte{0x90})
			must(t, err)
		}
		want := []string{wire.MethodMetaStep, wire.MethodMetaTail}
		if !slices.Equal(f.group.peers, want) {
			t.Errorf("the group was handed %q", f.group.peers)
		}
		f.server.peers.leave(1)
		f.keys.release()
		must(t, <-stuck)
	})
}

func TestStrangersDoNotReachTheGroup(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		_, err := call(f.peer(nil), wire.MethodMetaStep, []byte{0x90})
		wantCode(t, "before any hello", err, wire.CodeInvalid)
		if len(f.group.peers) > 0 {
			t.Errorf("the group was handed %q", f.group.peers)
		}
	})
}

func TestRequestToTheGroupWhoseTimeIsOverDoesNothing(t *testing.T) {
	f := newFixture(t, shape{grouped: true})
	for _, name := range asksGroup() {
		req := &request{
			method: name, params: groupRequests()[name], arrived: time.Now().Add(-time.Hour),
		}
		_, err := f.server.methods[name].handle(t.Context(), req)
		if err == nil {
			t.Errorf("%s was carried out", name)
			continue
		}
		if code, _ := wire.ParseError(f.server.errorText(req, err)); code != wire.CodeOverloaded {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(f.group.decided) > 0 || f.group.barriers > 0 {
		t.Errorf("%d commands, %d barriers", len(f.group.decided), f.group.barriers)
	}
}
