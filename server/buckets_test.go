// SPDX-License-Identifier: Apache-2.0

package server

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func create(c *rpc.Client, q wire.BucketCreateRequest) (kv.Bucket, error) {
	return asked(c, wire.MethodBucketCreate, q, wire.AppendBucketCreateRequest, wire.DecodeBucket)
}

func TestBucketsAreMadeChangedAndDeleted(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		q := wire.BucketCreateRequest{RequestID: kv.RequestID{1}, Name: "users", Strict: true, TTLMS: 9}
		made, err := create(c, q)
		if err != nil || made.Name != "users" || made.N != 1 || made.Sloppy || made.TTL != 9 ||
			made.ID == 0 || made.R != kv.LevelQuorum {
			t.Fatalf("made %+v, %v", made, err)
		}
		if again, err := create(c, q); err != nil || again != made {
			t.Errorf("a retry made %+v, %v", again, err)
		}
		q.RequestID = kv.RequestID{}
		_, err = create(c, q)
		wantCode(t, "the same name", err, wire.CodeExists)
		_, err = create(c, wire.BucketCreateRequest{Name: "x", N: 2})
		wantCode(t, "other replicas than the cluster's", err, wire.CodeInvalid)
		_, err = create(c, wire.BucketCreateRequest{Name: "x", Fenced: true})
		wantCode(t, "fenced", err, wire.CodeInvalid)

		sloppy, forever := true, int64(0)
		update := wire.BucketUpdateRequest{Name: "users", W: kv.LevelAll}
		now, err := asked(c, wire.MethodBucketUpdate, update,
			wire.AppendBucketUpdateRequest, wire.DecodeBucket)
		if err != nil || now.W != kv.LevelAll || now.Sloppy || now.TTL != 9 || now.ID != made.ID {
			t.Errorf("updated to %+v, %v", now, err)
		}
		update.Sloppy, update.TTLMS = &sloppy, &forever
		now, err = asked(c, wire.MethodBucketUpdate, update,
			wire.AppendBucketUpdateRequest, wire.DecodeBucket)
		if err != nil || !now.Sloppy || now.TTL != 0 {
			t.Errorf("updated to %+v, %v", now, err)
		}

		drop := wire.BucketDeleteRequest{Name: "users", RequestID: kv.RequestID{2}}
		for range 2 {
			_, err = asked(c, wire.MethodBucketDelete, drop, wire.AppendBucketDeleteRequest, done)
			wantCode(t, "delete", err, "")
		}
		drop.RequestID = kv.RequestID{}
		_, err = asked(c, wire.MethodBucketDelete, drop, wire.AppendBucketDeleteRequest, done)
		wantCode(t, "delete of what is gone", err, wire.CodeNoSuchBucket)
		drop.Name = "default"
		_, err = asked(c, wire.MethodBucketDelete, drop, wire.AppendBucketDeleteRequest, done)
		wantCode(t, "delete of the built-in bucket", err, wire.CodeInvalid)
	})
}

// A bucket that was made elsewhere is there for whoever knows that it was, though this
// node has heard nothing of it.
func TestUnknownBucketIsAskedForOnce(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		_, err := get(c, wire.GetRequest{Key: []byte("k"), Bucket: "new"})
		wantCode(t, "before it is made", err, wire.CodeNoSuchBucket)
		if f.group.barriers != 1 {
			t.Errorf("the group was asked %d times", f.group.barriers)
		}
		f.group.carryOut(t, state.BucketCreate{
			Request: kv.RequestID{1}, Bucket: kv.Bucket{Name: "new"},
		})
		_, err = put(c, wire.PutRequest{Key: []byte("k"), Value: []byte("v"), Bucket: "new"})
		must(t, err)
		got, err := get(c, wire.GetRequest{Key: []byte("k"), Bucket: "new"})
		if err != nil || !got.Found {
			t.Errorf("got %+v, %v", got, err)
		}
		shown, err := asked(c, wire.MethodBucketGet, wire.NameRequest{Name: "new"},
			wire.AppendNameRequest, wire.DecodeBucket)
		if err != nil || shown.Name != "new" {
			t.Errorf("shown %+v, %v", shown, err)
		}
		_, err = call(c, wire.MethodKeyScan,
			wire.AppendKeyScanRequest(nil, &wire.KeyScanRequest{Bucket: "new"}))
		must(t, err)
		asked := f.group.barriers
		_, err = get(c, wire.GetRequest{Key: []byte("k")})
		must(t, err)
		if f.group.barriers != asked {
			t.Error("the group is asked for a bucket that is known here")
		}
	})
}

func TestManyWhoMissABucketAskTogether(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		f.group.set(func(g *soleGroup) { g.slow = time.Second })
		var all sync.WaitGroup
		miss := func(want wire.Code) {
			for range 50 {
				all.Go(func() {
					_, err := get(c, wire.GetRequest{Key: []byte("k"), Bucket: "new"})
					wantCode(t, "a get", err, want)
				})
			}
			synctest.Wait()
		}
		miss(wire.CodeNoSuchBucket)
		// Those who come after the question was put must not get its answer.
		f.group.carryOut(t, state.BucketCreate{
			Request: kv.RequestID{1}, Bucket: kv.Bucket{Name: "other"},
		})
		began := time.Now()
		for range 50 {
			all.Go(func() {
				_, err := get(c, wire.GetRequest{Key: []byte("k"), Bucket: "other"})
				wantCode(t, "a get of what was made since", err, "")
			})
		}
		synctest.Wait()
		all.Wait()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("answered after %v", took)
		}
		if f.group.barriers != 2 {
			t.Errorf("the group was asked %d times", f.group.barriers)
		}
	})
}

func TestUnknownBucketWithoutALeaderIsNotSaidToBeMissing(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		f.group.set(func(g *soleGroup) { g.err = meta.ErrNoLeader })
		_, err := get(c, wire.GetRequest{Key: []byte("k"), Bucket: "new"})
		wantCode(t, "no leader", err, wire.CodeNoLeader)
		f.group.set(func(g *soleGroup) { g.err, g.slow = nil, time.Hour })
		for _, test := range []struct {
			timeout uint32
			want    time.Duration
		}{{500, 500 * time.Millisecond}, {0, 2 * askPatience}} { // the second comes behind the first
			began := time.Now()
			_, err = put(c, wire.PutRequest{
				Common: wire.Common{TimeoutMS: test.timeout}, Key: []byte("k"), Value: []byte("v"),
				Bucket: "new",
			})
			wantCode(t, "a leader that does not answer", err, wire.CodeNoLeader)
			if took := time.Since(began); took > test.want {
				t.Errorf("answered after %v", took)
			}
		}
		_, err = put(c, wire.PutRequest{Key: []byte("k"), Value: []byte("v")})
		must(t, err)
	})
}
