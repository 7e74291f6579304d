// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// deletions is the group's list of deleted buckets, as one node knows it.
type deletions struct{ bucket atomic.Uint32 }

func (d *deletions) has(b kv.BucketID) bool { return uint32(b) == d.bucket.Load() }

func (d *deletions) add(b kv.BucketID) { d.bucket.Store(uint32(b)) }

func withDeletions(t testing.TB) (*life, *deletions) {
	d := &deletions{}
	return begin(t, setup{verdict: kv.VerdictConfirmed, deleted: d.has}), d
}

// in addresses a key of another bucket.
func (l *life) in(bucket kv.BucketID, key string) wire.Target {
	t := l.target(key)
	t.Bucket, t.Partition = bucket, l.ring.Load().PartitionOf(bucket, []byte(key))
	return t
}

func (l *life) putIn(bucket kv.BucketID, key, value string) MintReply {
	l.t.Helper()
	req := l.putting(key, value, vclock.Context{})
	req.Target = l.in(bucket, key)
	return l.mint(req)
}

func TestADeletedBucketIsServedInNoWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, group := withDeletions(t)
		held := l.put("k", "v", vclock.Context{}).Object
		group.add(1)
		m := l.mint(l.putting("k", "w", vclock.Context{}))
		if m.Code != wire.ReplicaNoBucket || !errors.Is(m.Err, ErrNoBucket) || m.Detail == "" {
			t.Errorf("mint: code %d, %v, %q", m.Code, m.Err, m.Detail)
		}
		for _, class := range []kv.Class{kv.ClassClientWrite, kv.ClassReplicated} {
			copying := l.copying("k", held)
			copying.Class = class
			if r := l.merge(copying); r.Code != wire.ReplicaNoBucket || r.Detail == "" {
				t.Errorf("copy of class %v: code %d, %q", class, r.Code, r.Detail)
			}
		}
		if r := l.read("k"); r.Code != wire.ReplicaNoBucket || !r.Object.IsZero() {
			t.Errorf("read: code %d, %v", r.Code, r.Object)
		}
		scan := l.Scan(&wire.ScanRequest{Target: l.target("k"), Limit: 10, Bytes: 1 << 20, Mode: wire.ReadFull})
		if scan.Code != wire.ReplicaNoBucket || len(scan.Entries) != 0 {
			t.Errorf("scan: code %d, %d entries", scan.Code, len(scan.Entries))
		}
		if r := l.read("k"); r.Role != kv.RoleOwner || !r.Confirmed {
			t.Errorf("it states %v", r.Standing)
		}
	})
}

// Whoever refuses at the door may have let something in before: the shard looks again.
func TestADeletionIsHeededByWhatIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, group := withDeletions(t)
		l.engine.SetSyncTime(time.Second)
		first := make(chan MintReply, 1)
		req := l.putting("k", "v", vclock.Context{})
		req.Minted = func(MintReply) { group.add(1) } // after the apply, before the commit
		req.Done = func(m MintReply) { first <- m }
		l.Mint(req)
		if m := <-first; m.Code != wire.ReplicaFailed {
			t.Errorf("a mint that was overtaken by the deletion: code %d", m.Code)
		}
	})
}

func TestABucketThatNobodyHasHeardOfIsServed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, group := withDeletions(t)
		group.add(5)
		if m := l.putIn(1000, "k", "v"); m.Code != wire.ReplicaOK {
			t.Errorf("a higher id: code %d, %s", m.Code, m.Detail)
		}
		if m := l.putIn(5, "k", "v"); m.Code != wire.ReplicaNoBucket {
			t.Errorf("the deleted one: code %d", m.Code)
		}
		plain := fresh(t)
		if m := plain.putIn(5, "k", "v"); m.Code != wire.ReplicaOK {
			t.Errorf("without a group: code %d, %s", m.Code, m.Detail)
		}
	})
}

// filled is a replica with many keys of bucket 2, and some of others.
func filled(t testing.TB, keys int) (*life, *deletions) {
	l, group := withDeletions(t)
	for i := range keys {
		if m := l.putIn(2, fmt.Sprintf("key-%04d", i), "v"); m.Code != wire.ReplicaOK {
			t.Fatal(m.Detail)
		}
	}
	for _, bucket := range []kv.BucketID{1, 3, 1<<32 - 1} {
		for i := range 10 {
			if m := l.putIn(bucket, fmt.Sprintf("key-%04d", i), "stays"); m.Code != wire.ReplicaOK {
				t.Fatal(m.Detail)
			}
		}
	}
	return l, group
}

// held counts the objects of a bucket that the store has.
func (l *life) held(bucket kv.BucketID) (n int) {
	l.t.Helper()
	for p := range uint16(partitions) {
		err := l.store.Fold(p, func(b kv.BucketID, _ []byte, _ storage.Current) bool {
			if b == bucket {
				n++
			}
			return true
		})
		if err != nil {
			l.t.Fatal(err)
		}
	}
	return n
}

func TestWhatIsLeftOfADeletedBucketIsRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const keys = 5 * removePage
		l, group := filled(t, keys)
		if n, err := l.RemoveDeleted(t.Context()); n != 0 || err != nil || l.held(2) != keys {
			t.Fatalf("%d of a bucket that is there were removed, %v; %d left", n, err, l.held(2))
		}
		group.add(2)
		if n, err := l.RemoveDeleted(t.Context()); err != nil || n != keys {
			t.Errorf("removed %d, %v; want %d", n, err, keys)
		}
		if n := l.held(2); n != 0 {
			t.Errorf("%d objects are left", n)
		}
		for _, other := range []kv.BucketID{1, 3, 1<<32 - 1} {
			if n := l.held(other); n != 10 {
				t.Errorf("%d objects of bucket %d are left, want all 10", n, other)
			}
		}
		if n, err := l.RemoveDeleted(t.Context()); err != nil || n != 0 {
			t.Errorf("again: %d, %v", n, err)
		}
	})
}

func TestARemovalGoesOnWhereItWasBrokenOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const keys = 8 * removePage
		l, group := filled(t, keys)
		group.add(2)
		ctx, cancel := context.WithTimeout(t.Context(), 2*removeRest)
		defer cancel()
		first, err := l.RemoveDeleted(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || first == 0 || first == keys {
			t.Fatalf("removed %d, %v", first, err)
		}
		if left := l.held(2); left != keys-first {
			t.Errorf("%d are left of %d less %d", left, keys, first)
		}
		s := l.crashed(nil)
		s.deleted, s.verdict = group.has, kv.VerdictConfirmed
		l = begin(t, s)
		if n, err := l.RemoveDeleted(t.Context()); err != nil || n != keys-first || l.held(2) != 0 {
			t.Errorf("then removed %d, %v; %d are left", n, err, l.held(2))
		}
	})
}

// A removal takes its turns like everybody else, a page at a time.
func TestARemovalLetsRequestsPass(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, group := filled(t, 20*removePage)
		l.engine.SetSyncTime(10 * time.Millisecond)
		group.add(2)
		ended := make(chan error, 1)
		go func() {
			_, err := l.RemoveDeleted(t.Context())
			ended <- err
		}()
		for i := 0; len(ended) == 0; i++ {
			began := time.Now()
			l.put(fmt.Sprint("other-", i), "v", vclock.Context{})
			if took := time.Since(began); took > 60*time.Millisecond {
				t.Errorf("a put took %v beside a removal", took)
			}
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestADamagedObjectIsRemovedToo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, group := filled(t, 3)
		at := l.in(2, "key-0001")
		record := wire.AppendObjectKey(nil, at.Partition, 2, at.Key)
		s := l.stopped()
		s.engine.Damage(record, func(b []byte) []byte { b[len(b)-1] ^= 0xff; return b })
		s.deleted, s.verdict = group.has, kv.VerdictConfirmed
		l = begin(t, s)
		group.add(2)
		if n, err := l.RemoveDeleted(t.Context()); err != nil || n != 3 || l.held(2) != 0 {
			t.Errorf("removed %d, %v; %d are left", n, err, l.held(2))
		}
	})
}
