// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// TestTrapK2ExpireDeletesWhatHasExpiredAndNothingElse: what was written beside it, where
// nobody could know, stays, and is shown, in buckets of both kinds.
func TestTrapK2ExpireDeletesWhatHasExpiredAndNothingElse(t *testing.T) {
	for _, lww := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			c := newCluster(t, 6)
			b := lwwBucket()
			b.LWW, b.W = lww, kv.LevelOne
			put := func(node kv.NodeID, value string, ttl int64) {
				t.Helper()
				_, err := c.hosts[node].coord.Put(within(t), &PutRequest{
					Bucket: b, Key: []byte("k"), Kind: kv.KindValue, Value: []byte(value), TTL: ttl,
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			read := func() kv.Object {
				t.Helper()
				o, err := c.hosts[nodeC].coord.Get(within(t), &GetRequest{
					Bucket: b, Key: []byte("k"), R: kv.LevelAll,
				})
				if err != nil {
					t.Fatal(err)
				}
				return o
			}
			put(nodeA, "brief", 1000)
			time.Sleep(2 * time.Second)
			expired := read()
			c.isolate(nodeA)
			put(nodeB, "new", 0)
			time.Sleep(time.Second)
			if err := c.hosts[nodeA].coord.Expire(within(t), b, []byte("k"), expired); err != nil {
				t.Fatal(err)
			}
			c.isolate()
			_ = read() // and repair
			time.Sleep(time.Second)
			o := read()
			if _, there := o.Find(expired.Versions[0].Dot); there {
				t.Errorf("lww %t: what has expired is there still", lww)
			}
			shown := b.Shown(o, c.hosts[nodeC].now().UnixMilli())
			if len(shown) != 1 || string(shown[0].Value) != "new" {
				t.Errorf("lww %t: %d versions are shown of %v", lww, len(shown), o)
			}
		})
	}
}

// TestTrapK5AClockThatStepsBackBringsNothingBack: what has been deleted since it had expired
// is no older for a clock that steps back an hour behind that, on whichever node; and what is
// written then wins over what was there.
func TestTrapK5AClockThatStepsBackBringsNothingBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 7)
		brief := &PutRequest{
			Bucket: lwwBucket(), Key: []byte("k"), Kind: kv.KindValue, Value: []byte("brief"),
			TTL: 1000, W: kv.LevelAll,
		}
		if _, err := c.hosts[nodeA].coord.Put(within(t), brief); err != nil {
			t.Fatal(err)
		}
		c.everywhere("brief")
		time.Sleep(2 * time.Second)
		c.everywhere("")
		expired, err := c.hosts[nodeA].coord.Get(within(t), &GetRequest{
			Bucket: lwwBucket(), Key: []byte("k"), R: kv.LevelAll,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.hosts[nodeB].coord.Expire(within(t), lwwBucket(), []byte("k"), expired); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // the sends beyond the quorum
		for _, h := range c.hosts {
			h.skew.Store(-int64(time.Hour))
		}
		c.everywhere("")
		c.put(nodeC, "after the step", 3, nil)
		if n := c.everywhere("after the step"); n != 1 {
			t.Errorf("%d versions are kept", n)
		}
	})
}
