// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func lwwBucket() kv.Bucket {
	b := bucket()
	b.ID, b.Name, b.LWW = 9, "newest", true
	return b
}

// read is what a client has been shown: a value or nothing, and what its next write is
// based on.
type read struct {
	value string
	seen  vclock.Context
	stamp kv.Stamp
	// versions is how many the store keeps.
	versions int
}

// isolate cuts nodes off; all others are in reach again.
func (c *cluster) isolate(nodes ...kv.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.cut)
	for _, node := range nodes {
		c.cut[node] = true
	}
}

// shown reads the key at a node, from so many replicas.
func (c *cluster) shown(node kv.NodeID, r int) read {
	c.t.Helper()
	level, _ := kv.LevelOf(r)
	o, err := c.hosts[node].coord.Get(within(c.t), &GetRequest{
		Bucket: lwwBucket(), Key: []byte("k"), R: level,
	})
	if err != nil {
		c.t.Fatalf("read at %d: %v", node, err)
	}
	got := read{seen: o.Context, stamp: o.LatestStamp(), versions: len(o.Versions)}
	live := lwwBucket().Shown(o, c.hosts[node].now().UnixMilli())
	if len(live) > 1 {
		c.t.Fatalf("%d versions are shown", len(live))
	}
	for _, v := range live {
		got.value = string(v.Value)
	}
	return got
}

// put writes at a node, over what was read where that is not nil.
func (c *cluster) put(node kv.NodeID, value string, w int, over *read) PutResult {
	c.t.Helper()
	level, _ := kv.LevelOf(w)
	req := &PutRequest{
		Bucket: lwwBucket(), Key: []byte("k"), Kind: kv.KindValue, Value: []byte(value), W: level,
	}
	if over != nil {
		req.Seen, req.After, req.Informed = over.seen, over.stamp, true
	}
	done, err := c.hosts[node].coord.Put(within(c.t), req)
	if err != nil {
		c.t.Fatalf("put %s at %d: %v", value, node, err)
	}
	return done
}

func (c *cluster) delete(node kv.NodeID, w int, over *read) {
	c.t.Helper()
	level, _ := kv.LevelOf(w)
	req := &PutRequest{Bucket: lwwBucket(), Key: []byte("k"), W: level}
	if over != nil {
		req.Seen, req.After, req.Informed = over.seen, over.stamp, true
	}
	if _, err := c.hosts[node].coord.Delete(within(c.t), req); err != nil {
		c.t.Fatalf("delete at %d: %v", node, err)
	}
}

// everywhere reads at every node from all, and expects one answer; it returns how many
// versions are kept.
func (c *cluster) everywhere(want string) int {
	c.t.Helper()
	var last read
	for node, h := range c.hosts {
		last = c.shown(node, 3)
		if last.value != want {
			c.t.Errorf("node %d shows %q, want %q", node, last.value, want)
		}
		if err := h.coord.Drain(context.Background()); err != nil { // the repairs
			c.t.Error(err)
		}
	}
	return last.versions
}

// digests are those of the copies that the nodes hold.
func (c *cluster) digests() map[uint64]int {
	found := make(map[uint64]int)
	for node := range c.hosts {
		level, _ := kv.LevelOf(1)
		c.isolate(nodeA, nodeB, nodeC) // each answers by its own copy
		o, err := c.hosts[node].coord.Get(within(c.t), &GetRequest{
			Bucket: lwwBucket(), Key: []byte("k"), R: level,
		})
		if err != nil {
			c.t.Fatal(err)
		}
		found[o.Digest()]++
	}
	c.isolate()
	return found
}

// A node whose clock is an hour ahead does not win for an hour: whoever writes or deletes
// after it, at an owner that has its write, wins (TRAPS K1).
func TestTrapK1AClockAnHourAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		c.hosts[nodeB].skew.Store(int64(time.Hour))
		c.put(nodeB, "fast", 3, nil)
		c.everywhere("fast")
		c.put(nodeA, "later, blind", 3, nil)
		c.everywhere("later, blind")
		c.put(nodeB, "fast again", 3, nil)
		c.delete(nodeC, 3, nil)
		c.everywhere("")
		c.put(nodeA, "created anew", 3, nil)
		if n := c.everywhere("created anew"); n != 1 {
			t.Errorf("%d versions are kept", n)
		}
	})
}

// What is written over what was read wins over everything that the read won over,
// wherever it is minted (TRAPS K1): the stamp travels with the context.
func TestTrapK1ACausalSuccessorAlwaysWins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 2)
		c.hosts[nodeB].skew.Store(int64(time.Hour))
		c.hosts[nodeC].skew.Store(int64(time.Hour / 2))
		c.isolate(nodeA, nodeB, nodeC)
		c.put(nodeB, "an hour ahead", 1, nil)
		c.put(nodeC, "half an hour ahead", 1, nil)
		got := c.shown(nodeB, 1)
		if got.value != "an hour ahead" {
			t.Fatalf("read %q", got.value)
		}
		c.put(nodeA, "over what was read", 1, &got) // A has neither
		c.isolate()
		if n := c.everywhere("over what was read"); n != 2 {
			t.Errorf("%d versions are kept, want the loser as well", n)
		}
		got = c.shown(nodeC, 2)
		c.put(nodeC, "last", 3, &got)
		if n := c.everywhere("last"); n != 1 {
			t.Errorf("%d versions are kept after a write that covers them", n)
		}
	})
}

// A delete that has not seen the write of a faster clock loses to it, and one that has
// wins: tombstones compete like values (TRAPS K1).
func TestTrapK1ADeleteAgainstAFasterClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.put(nodeA, "old", 3, nil)
		c.hosts[nodeB].skew.Store(int64(time.Hour))
		c.isolate(nodeB)
		c.put(nodeB, "fast", 1, nil)
		c.delete(nodeA, 2, nil)
		if got := c.shown(nodeA, 2); got.value != "" {
			t.Fatalf("%q after the delete", got.value)
		}
		c.isolate()
		if n := c.everywhere("fast"); n != 2 {
			t.Errorf("%d versions, want the tombstone kept", n)
		}
		got := c.shown(nodeC, 2)
		c.isolate(nodeC) // which deletes what B's clock has stamped, by its own
		c.delete(nodeC, 1, &got)
		c.isolate()
		c.everywhere("")
		c.put(nodeC, "anew", 3, nil)
		if n := c.everywhere("anew"); n != 1 {
			t.Errorf("%d versions are kept", n)
		}
	})
}

// A delete without context is minted above what its read found, also where its owner has
// not got that.
func TestTrapK1ABlindDeleteIsAboveWhatItRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 6)
		c.hosts[nodeB].skew.Store(int64(time.Hour))
		c.hosts[nodeC].skew.Store(int64(time.Hour / 2))
		c.isolate(nodeA, nodeB, nodeC)
		c.put(nodeB, "an hour ahead", 1, nil)
		c.put(nodeC, "half an hour ahead", 1, nil)
		c.isolate(nodeC)
		c.delete(nodeA, 2, nil)
		c.isolate()
		c.everywhere("")
	})
}

func TestAScanOfAnLWWBucketShowsWinnersOnly(t *testing.T) {
	lost, won := version(nodeB, 1, "lost"), tombstone(nodeC, 1)
	won.Versions[0].Stamp++
	kept := version(nodeB, 2, "kept")
	pages := []wire.ScanReply{
		{Entries: []wire.ScanEntry{{Key: []byte("a"), Object: lost}, {Key: []byte("b"), Object: kept}}},
		{Entries: []wire.ScanEntry{{Key: []byte("a"), Object: won}}},
	}
	page := mergePages(lwwBucket(), pages, 10, time.Now().UnixMilli())
	if len(page.entries) != 1 || string(page.entries[0].Key) != "b" {
		t.Errorf("it shows %v", page.entries)
	}
	if page = mergePages(bucket(), pages, 10, time.Now().UnixMilli()); len(page.entries) != 2 {
		t.Errorf("a bucket of siblings shows %v", page.entries)
	}
}

// Replicas that wrote apart pick one winner when they meet, keep what lost until a write
// covers it, and hold the same: nothing is left for repair to go on with (TRAPS C12).
func TestTrapC12ReplicasAgreeOnTheWinner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 4)
		c.isolate(nodeA, nodeB, nodeC)
		for _, node := range []kv.NodeID{nodeC, nodeA, nodeB} {
			c.put(node, fmt.Sprint("by ", node), 1, nil)
			time.Sleep(10 * time.Millisecond)
		}
		c.isolate()
		if n := c.everywhere("by 2"); n != 3 {
			t.Errorf("%d versions are kept, want all", n)
		}
		if found := c.digests(); len(found) != 1 {
			t.Errorf("the replicas hold %d different objects", len(found))
		}
		c.put(nodeA, "next", 3, nil) // blind, over what its owner holds
		if n := c.everywhere("next"); n != 1 {
			t.Errorf("%d versions are kept", n)
		}
	})
}

// A winner that has expired is gone, and what it won over stays overwritten.
func TestAnExpiredWinnerBringsNothingBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 5)
		c.isolate(nodeA, nodeB)
		c.put(nodeA, "stays for ever", 1, nil)
		time.Sleep(10 * time.Millisecond)
		brief := &PutRequest{
			Bucket: lwwBucket(), Key: []byte("k"), Kind: kv.KindValue, Value: []byte("brief"),
			W: kv.LevelOne, TTL: 1000,
		}
		if _, err := c.hosts[nodeB].coord.Put(within(t), brief); err != nil {
			t.Fatal(err)
		}
		c.isolate()
		c.everywhere("brief")
		time.Sleep(2 * time.Second)
		if n := c.everywhere(""); n != 2 {
			t.Errorf("%d versions are kept", n)
		}
		c.delete(nodeC, 3, nil) // finds nothing, and writes nothing
		if n := c.everywhere(""); n != 2 {
			t.Errorf("%d versions after a delete that found nothing", n)
		}
	})
}

// write is one that the schedule below made.
type write struct {
	dot   vclock.Dot
	stamp kv.Stamp
	over  vclock.Context
	value string
}

// TestAnyScheduleOfAnLWWBucketKeepsItsOrder lets clients with and without contexts write
// through nodes whose clocks are wrong and that come and go. Whoever wrote over what was
// read has a higher stamp, all replicas end with one answer, and it is none that somebody
// has overwritten.
func TestAnyScheduleOfAnLWWBucketKeepsItsOrder(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { playLWW(t, seed) })
		})
	}
}

func playLWW(t *testing.T, seed uint64) {
	c, rng := newCluster(t, seed), rand.New(rand.NewPCG(seed, 77))
	nodes := []kv.NodeID{nodeA, nodeB, nodeC}
	for _, h := range c.hosts {
		h.skew.Store(int64(time.Duration(rng.IntN(240)-120) * time.Minute))
	}
	var clients [3]read
	var writes []write
	for i := range 40 {
		var apart []kv.NodeID
		for _, node := range nodes {
			if rng.IntN(3) == 0 {
				apart = append(apart, node)
			}
		}
		c.isolate(apart...)
		client, node := &clients[rng.IntN(len(clients))], nodes[rng.IntN(3)]
		time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
		switch rng.IntN(4) {
		case 0:
			*client = c.shown(node, 1)
		case 1:
			c.put(node, fmt.Sprint("blind ", i), 1, nil)
		default:
			value := fmt.Sprint("value ", i)
			done := c.put(node, value, 1, client)
			v, _ := done.Object.Find(done.Dot)
			writes = append(writes, write{done.Dot, v.Stamp, client.seen, value})
			client.seen, client.stamp = done.Context, done.Stamp
		}
	}
	c.isolate()
	last := c.shown(nodeA, 3)
	c.everywhere(last.value)
	for i, w := range writes {
		for _, over := range writes[i+1:] {
			if !over.over.Contains(w.dot) {
				continue
			}
			if over.stamp <= w.stamp {
				t.Errorf("%q has stamp %d, over %q with %d", over.value, over.stamp, w.value, w.stamp)
			}
			if w.value == last.value {
				t.Errorf("%q is shown, which %q has overwritten", w.value, over.value)
			}
		}
	}
	if found := c.digests(); len(found) != 1 {
		t.Errorf("the replicas hold %d different objects", len(found))
	}
}
