// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// leaf is the leaf of a key of bucket 1.
func (l *life) leaf(key string) uint16 {
	t := l.target(key)
	shape := l.shape(t.Partition)
	return shape.Leaf(ring.Hash(shape.Seed, t.Bucket, t.Key))
}

// list is all that ListTree says of some leaves.
func (l *life) list(p uint16, leaves ...uint16) []antientropy.Item {
	l.t.Helper()
	var set antientropy.LeafSet
	for _, leaf := range leaves {
		set.Add(leaf)
	}
	page, err := l.ListTree(context.Background(), p, &set, 0, nil, listKeys)
	if err != nil {
		l.t.Fatal(err)
	}
	return page.Items
}

// All pages together are all keys of the leaves, in order, without those of deleted
// buckets; also what was not durable yet when the list began.
func TestListsAreTheKeysOfTheirLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, group := withDeletions(t)
		l.rebuild()
		const p = 1
		var keys [][]byte
		var leaves antientropy.LeafSet
		shape := l.shape(p)
		for n := 0; len(keys) < 40; n++ {
			key := fmt.Sprintf("key-%03d", n)
			if l.in(1, key).Partition == p {
				l.putIn(1, key, "v")
				if keys = append(keys, []byte(key)); len(keys) <= 20 {
					leaves.Add(l.leaf(key))
				}
			}
			if l.in(2, key).Partition == p {
				l.putIn(2, key, "v")
				leaves.Add(shape.Leaf(ring.Hash(shape.Seed, 2, []byte(key))))
			}
		}
		group.add(2)
		l.engine.SetSyncTime(time.Second)
		req := l.putting(string(keys[0]), "newer", vclock.Context{})
		applied, durable := make(chan kv.Object, 1), make(chan MintReply, 1)
		req.Minted = func(m MintReply) { applied <- m.Object }
		req.Done = func(m MintReply) { durable <- m }
		l.Mint(req)
		newest := map[string]kv.Object{string(keys[0]): <-applied}
		for _, key := range keys[1:] {
			newest[string(key)] = l.object(string(key))
		}
		for _, limit := range []int{1, 3, 7, 1000} {
			var items []antientropy.Item
			var page TreeList
			for more := true; more; more = page.More {
				var err error
				page, err = l.ListTree(context.Background(), p, &leaves, page.Bucket, page.Key, limit)
				if err != nil {
					t.Fatal(err)
				}
				if len(page.Items) > limit {
					t.Errorf("a page has %d items, at most %d were asked for", len(page.Items), limit)
				}
				items = append(items, page.Items...)
			}
			if !antientropy.InOrder(items) {
				t.Errorf("pages of %d: out of order", limit)
			}
			var want [][]byte
			for _, key := range keys {
				if leaves.Has(l.leaf(string(key))) {
					want = append(want, key)
				}
			}
			same := slices.EqualFunc(items, want, func(i antientropy.Item, key []byte) bool {
				o := newest[string(key)]
				return i.Bucket == 1 && bytes.Equal(i.Key, key) &&
					i.Entry == antientropy.Of(shape.Seed, 1, key, &o)
			})
			if !same {
				t.Errorf("pages of %d: %d items, want %d keys", limit, len(items), len(want))
			}
		}
		if m := <-durable; m.Code != wire.ReplicaOK {
			t.Errorf("code %d", m.Code)
		}
		synctest.Wait()
		l.checkTree(p)
	})
}

// One page reads a bounded part of a partition, also where it finds nothing.
func TestPageOfAListReadsABoundedPart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const p, keys = 1, 2*listScan + 10
		engine := storage.NewMemory()
		o := foreign(1, "v", kv.Object{}, vclock.Context{})
		var writes []storage.Write
		for n := range keys {
			record := wire.AppendObjectKey(nil, p, 1, fmt.Appendf(nil, "%06d", n))
			writes = append(writes, storage.Write{
				Key: record, Value: wire.AppendObjectRecord(nil, record, &o),
			})
		}
		if err := engine.Commit(1, writes); err != nil {
			t.Fatal(err)
		}
		l := begin(t, setup{engine: engine, verdict: kv.VerdictConfirmed})
		l.rebuild()
		scanned, pages := 0, 0
		var page TreeList
		for more := true; more; more = page.More {
			var err error
			page, err = l.ListTree(context.Background(), p, &antientropy.LeafSet{},
				page.Bucket, page.Key, 10)
			if err != nil || len(page.Items) > 0 || page.Scanned > listScan {
				t.Fatalf("page %d: %d items, %d read, %v", pages, len(page.Items), page.Scanned, err)
			}
			scanned += page.Scanned
			pages++
		}
		if scanned != keys || pages != 3 {
			t.Errorf("%d keys were read in %d pages, want %d in 3", scanned, pages, keys)
		}
	})
}
