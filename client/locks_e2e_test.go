// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/client"
)

// A counter under a lock loses nothing while the nodes stop and start one after another,
// the leader of the group among them, and no session is lost.
func TestALockExcludesWhileNodesStopAndStart(t *testing.T) {
	dc := cluster(t)
	c := connectTo(t, dc, 1, 2, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	const workers = 4
	var inside, grants atomic.Int32
	var last atomic.Uint64
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			s, err := c.NewSession(ctx, client.WithTimeout(30*time.Second))
			if err != nil {
				t.Error(err)
				return
			}
			for {
				select {
				case <-stop:
					if err := s.Close(ctx); err != nil {
						t.Error(err)
					}
					return
				default:
				}
				held, err := s.Mutex("counter").Lock(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d hold it", n)
				}
				if before := last.Swap(held.Fence()); before >= held.Fence() {
					t.Errorf("fence %d after %d", held.Fence(), before)
				}
				grants.Add(1)
				time.Sleep(5 * time.Millisecond)
				inside.Add(-1)
				// Where its answer is lost the client goes on telling.
				if err := held.Unlock(ctx); errors.Is(err, client.ErrSessionLost) {
					t.Error(err)
				}
			}
		})
	}
	for i, name := range []string{"n1", "n2", "n3"} {
		time.Sleep(200 * time.Millisecond)
		other := client.WithEndpoint(dc.Members()[(i+1)%3].Client)
		if err := c.NodeStop(ctx, name, other); err != nil {
			t.Error(err)
		}
		before := grants.Load()
		for ctx.Err() == nil && grants.Load() < before+3 {
			time.Sleep(20 * time.Millisecond) // with two of three voters it goes on
		}
		if err := c.NodeStart(ctx, name, other, client.WithTimeout(20*time.Second)); err != nil {
			t.Error(err)
		}
		awaitReady(ctx, t, c, name, other)
	}
	close(stop)
	all.Wait()
	for l, err := range c.Locks(ctx, "") {
		t.Errorf("left: %+v, %v", l, err)
	}
	for s, err := range c.Sessions(ctx, "") {
		t.Errorf("left: %+v, %v", s, err)
	}
}

func TestBucketsAreKnownToEveryNode(t *testing.T) {
	dc := cluster(t)
	c := connectTo(t, dc, 1, 2, 3)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	made, err := c.CreateBucket(ctx, client.BucketSpec{Name: "carts", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range dc.Members() {
		at := client.WithEndpoint(m.Client)
		if _, err := c.Bucket("carts").Put(ctx, []byte{byte(i + 1)}, nil, at); err != nil {
			t.Errorf("%s: %v", m.Client, err)
		}
	}
	changed, err := c.UpdateBucket(ctx, "carts", client.BucketChange{W: client.All})
	if err != nil || changed.ID != made.ID || changed.W != client.All || changed.TTL != made.TTL {
		t.Errorf("%+v, %v", changed, err)
	}
	if _, err := c.CreateBucket(ctx, client.BucketSpec{Name: "carts"}); !errors.Is(err, client.ErrExists) {
		t.Errorf("again: %v", err)
	}
	if err := c.DeleteBucket(ctx, "carts"); err != nil {
		t.Fatal(err)
	}
	list, err := c.Buckets(ctx)
	if err != nil || slices.ContainsFunc(list, func(b client.BucketInfo) bool { return b.Name == "carts" }) {
		t.Errorf("%+v, %v", list, err)
	}
	again, err := c.CreateBucket(ctx, client.BucketSpec{Name: "carts"})
	if err != nil || again.ID <= made.ID {
		t.Errorf("id %d after %d, %v", again.ID, made.ID, err)
	}
}

func TestTheGroupTellsOfLocksAndItself(t *testing.T) {
	c := connectTo(t, cluster(t), 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := c.NewSession(ctx, client.WithSessionName("job"))
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.RWMutex("m").RLock(ctx, client.WithLockValue([]byte("me")))
	if err != nil {
		t.Fatal(err)
	}
	l, err := c.Lock(ctx, "m")
	if err != nil || l.Kind != client.LockShared || len(l.Holders) != 1 ||
		string(l.Holders[0].Value) != "me" || uint64(l.Holders[0].Fence) != held.Fence() ||
		client.SessionID(l.Holders[0].Session) != s.ID() {
		t.Errorf("%+v, %v", l, err)
	}
	n := 0
	for info, err := range c.Sessions(ctx, "jo") {
		if n++; err != nil || info.Name != "job" || client.SessionID(info.Session) != s.ID() {
			t.Errorf("%+v, %v", info, err)
		}
	}
	status, err := c.MetaStatus(ctx)
	if err != nil || n != 1 || status.Leader == "" || status.Locks != 1 || status.Sessions != 1 {
		t.Errorf("%d sessions, %+v, %v", n, status, err)
	}
	if released, err := c.ForceRelease(ctx, "m", held.Fence(), "test"); err != nil || !released {
		t.Errorf("%t, %v", released, err)
	}
	if err := held.Unlock(ctx); !errors.Is(err, client.ErrLockLost) {
		t.Errorf("unlock: %v", err)
	}
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}
