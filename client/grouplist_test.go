// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func TestListsComePageByPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		var cursors []string
		f.onData(func(_ *fakeNode, call *rpc.Call, s seen) bool {
			var q wire.PrefixRequest
			if err := wire.DecodePrefixRequest(call.Params, &q); err != nil {
				t.Error(err)
			}
			cursors = append(cursors, string(q.Cursor))
			if q.Prefix != "jobs/" || q.Limit != 2 || !q.Stale {
				t.Errorf("asked for %+v", q)
			}
			next := []byte(strings.Repeat("x", len(cursors)))
			if len(cursors) == 3 {
				next = nil
			}
			if s.method == wire.MethodSessionList {
				page := wire.SessionListResult{Cursor: next}
				page.Sessions = []wire.SessionInfo{{Session: [16]byte{byte(len(cursors))}}}
				call.Reply(func(dst []byte) []byte { return wire.AppendSessionListResult(dst, &page) })
				return true
			}
			page := wire.LockListResult{Cursor: next}
			page.Locks = []wire.LockInfo{{
				Name: fmt.Sprintf("jobs/%d", len(cursors)), Kind: wire.LockExclusive,
				Holders: []wire.LockHolder{{Fence: 7, Value: []byte("v")}}, HolderCount: 1,
			}}
			call.Reply(func(dst []byte) []byte { return wire.AppendLockListResult(dst, &page) })
			return true
		})
		c, opts := f.client(nil), []Option{WithLimit(2), WithStale()}
		var names []string
		for l, err := range c.Locks(t.Context(), "jobs/", opts...) {
			if err != nil || len(l.Holders) != 1 || string(l.Holders[0].Value) != "v" {
				t.Errorf("%+v, %v", l, err)
			}
			names = append(names, l.Name)
		}
		if got := strings.Join(names, " "); got != "jobs/1 jobs/2 jobs/3" {
			t.Errorf("listed %s", got)
		}
		if got := strings.Join(cursors, ","); got != ",x,xx" {
			t.Errorf("cursors %q", got)
		}
		cursors = nil
		for s, err := range c.Sessions(t.Context(), "jobs/", opts...) {
			if err != nil || s.Session[0] != 1 {
				t.Errorf("%+v, %v", s, err)
			}
			break // a walk that ends early asks no more
		}
		if len(cursors) != 1 {
			t.Errorf("asked %d times", len(cursors))
		}
	})
}

func TestListsEndWithTheirFirstError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.follow("PERMISSION_DENIED")
		c, n := f.client(nil), 0
		for _, err := range c.Locks(t.Context(), "") {
			if n++; !errors.Is(err, ErrPermission) {
				t.Error(err)
			}
		}
		for _, err := range c.Sessions(t.Context(), "", WithR(One)) {
			if n++; !errors.Is(err, ErrInvalid) {
				t.Error(err)
			}
		}
		if n != 2 {
			t.Errorf("%d steps", n)
		}
	})
}

func TestALockIsShownAndReleasedByForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g, c, s := open(t, 3)
		held := mustLock(t, s.Mutex("m"))
		var lost atomic.Bool
		f.suffer(func(s seen) fate {
			if s.method == wire.MethodLockForceRelease && !lost.Swap(true) {
				return unheard // the second attempt finds nothing to release any more
			}
			return fated
		})
		released, err := c.ForceRelease(t.Context(), "m", held.Fence(), "stuck")
		if !released || err != nil {
			t.Errorf("%t, %v", released, err)
		}
		g.isFree(t, "m")
		released, err = c.ForceRelease(t.Context(), "m", held.Fence(), "stuck")
		if released || err != nil {
			t.Errorf("again: %t, %v", released, err)
		}
		for _, bad := range []error{
			second(c.ForceRelease(t.Context(), "m", 0, "")),
			second(c.ForceRelease(t.Context(), "", 1, "")),
			second(c.ForceRelease(t.Context(), "m", 1, strings.Repeat("x", 256))),
			second(c.Lock(t.Context(), "")),
		} {
			if !errors.Is(bad, ErrInvalid) {
				t.Error(bad)
			}
		}
		f.onData(func(_ *fakeNode, call *rpc.Call, _ seen) bool {
			got := wire.LockGetResult{LockInfo: wire.LockInfo{Name: "m", Kind: wire.LockShared}}
			call.Reply(func(dst []byte) []byte { return wire.AppendLockGetResult(dst, &got) })
			return true
		})
		if l, err := c.Lock(t.Context(), "m"); err != nil || l.Name != "m" || l.Kind != LockShared {
			t.Errorf("%+v, %v", l, err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// TestABucketIsCreatedOnce: all attempts carry one request id.
func TestABucketIsCreatedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		var ids []kv.RequestID
		f.onData(func(n *fakeNode, call *rpc.Call, s seen) bool {
			var q wire.BucketCreateRequest
			if err := wire.DecodeBucketCreateRequest(call.Params, &q); err != nil {
				t.Error(err)
			}
			if ids = append(ids, q.RequestID); len(ids) < 3 {
				f.hangUp(n)
				return true
			}
			if q.Name != "orders" || q.W != All || !q.Strict || !q.LWW || q.TTLMS != 1001 {
				t.Errorf("asked for %+v", q)
			}
			b := kv.Bucket{ID: 2, Name: q.Name, N: 3, W: q.W, LWW: true, TTL: q.TTLMS}
			call.Reply(func(dst []byte) []byte { return wire.AppendBucket(dst, &b) })
			return true
		})
		b, err := f.client(nil).CreateBucket(t.Context(), BucketSpec{
			Name: "orders", W: All, Strict: true, LWW: true, TTL: time.Second + time.Microsecond,
		})
		if err != nil || b.ID != 2 || b.TTL != 1001 || len(ids) != 3 {
			t.Fatalf("%+v, %v, %d attempts", b, err, len(ids))
		}
		for _, id := range ids {
			if id.IsZero() || id != ids[0] {
				t.Errorf("ids %x", ids)
			}
		}
	})
}

func TestABucketIsChangedAndDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.onData(func(_ *fakeNode, call *rpc.Call, s seen) bool {
			if s.method != wire.MethodBucketUpdate {
				return false
			}
			var q wire.BucketUpdateRequest
			err := wire.DecodeBucketUpdateRequest(call.Params, &q)
			if err != nil || q.Name != "orders" || q.R != One || q.W != 0 || q.Sloppy == nil ||
				*q.Sloppy || q.TTLMS == nil || *q.TTLMS != 0 {
				t.Errorf("%+v, %v", q, err)
			}
			b := kv.Bucket{ID: 2, Name: q.Name, N: 3, R: q.R}
			call.Reply(func(dst []byte) []byte { return wire.AppendBucket(dst, &b) })
			return true
		})
		c := f.client(nil)
		b, err := c.UpdateBucket(t.Context(), "orders", BucketChange{
			R: One, Sloppy: new(false), TTL: new(time.Duration(0)),
		})
		if err != nil || b.R != One {
			t.Errorf("%+v, %v", b, err)
		}
		if err := c.DeleteBucket(t.Context(), "orders"); err != nil {
			t.Error(err)
		}
		// It was deleted by an attempt that nobody heard of.
		f.follow(hangs, "NO_SUCH_BUCKET")
		if err := c.DeleteBucket(t.Context(), "orders"); err != nil {
			t.Error(err)
		}
		f.follow("NO_SUCH_BUCKET")
		if err := c.DeleteBucket(t.Context(), "orders"); !errors.Is(err, ErrNoSuchBucket) {
			t.Error(err)
		}
	})
}

func TestWrongBucketsAreNotAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		c, ctx := f.client(nil), t.Context()
		long := string(bytes.Repeat([]byte("x"), 256))
		for i, err := range []error{
			second(c.CreateBucket(ctx, BucketSpec{})),
			second(c.CreateBucket(ctx, BucketSpec{Name: long})),
			second(c.CreateBucket(ctx, BucketSpec{Name: "b", N: 17})),
			second(c.CreateBucket(ctx, BucketSpec{Name: "b", R: Replicas(17)})),
			second(c.CreateBucket(ctx, BucketSpec{Name: "b", W: Replicas(0)})),
			second(c.CreateBucket(ctx, BucketSpec{Name: "b", TTL: -1})),
			second(c.CreateBucket(ctx, BucketSpec{Name: "b"}, WithR(One))),
			second(c.UpdateBucket(ctx, "", BucketChange{})),
			second(c.UpdateBucket(ctx, "b", BucketChange{PR: Replicas(99)})),
			second(c.UpdateBucket(ctx, "b", BucketChange{TTL: new(time.Duration(-1))})),
			c.DeleteBucket(ctx, ""),
		} {
			if !errors.Is(err, ErrInvalid) || OutcomeOf(err) != OutcomeNone {
				t.Errorf("case %d: %v", i, err)
			}
		}
	})
}

func TestTheGroupIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 2)
		f.onData(func(n *fakeNode, call *rpc.Call, s seen) bool {
			members := []wire.GroupMember{{Seat: wire.SeatVoter, Raft: 9}}
			members[0].Name = n.name
			if s.method == wire.MethodMetaStatus {
				got := wire.MetaStatusResult{Node: n.name, Leader: "n1", Term: 3, Members: members}
				call.Reply(func(dst []byte) []byte { return wire.AppendMetaStatusResult(dst, &got) })
				return true
			}
			got := wire.MetaMembersResult{Members: members, Index: 5}
			call.Reply(func(dst []byte) []byte { return wire.AppendMetaMembersResult(dst, &got) })
			return true
		})
		c := f.client(nil)
		if s, err := c.MetaStatus(t.Context(), WithEndpoint("n2:1")); err != nil || s.Node != "n2" ||
			s.Leader != "n1" || s.Term != 3 {
			t.Errorf("%+v, %v", s, err)
		}
		if m, err := c.MetaMembers(t.Context()); err != nil || m.Index != 5 || len(m.Members) != 1 ||
			m.Members[0].Seat != SeatVoter {
			t.Errorf("%+v, %v", m, err)
		}
	})
}
