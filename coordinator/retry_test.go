// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
)

// outsider is a node that owns nothing of a key, and the nodes that own it.
func (c *cluster) outsider(key string) (outside *host, owners []*host) {
	for id := range len(c.hosts) {
		h := c.hosts[kv.NodeID(id+1)]
		p := c.ring.PartitionOf(sloppy().ID, []byte(key))
		if _, member := c.ring.SlotOf(p, h.node); member {
			owners = append(owners, h)
		} else {
			outside = h
		}
	}
	return outside, owners
}

// A write that a fallback took, and that its client tries again at an owner that has not
// heard of it, is one write when both meet: one version, under both dots (TRAPS C10). A retry
// at the fallback finds its dot.
func TestTrapC10ARetryThroughAnotherCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterOn(t, 1, newWideRing(t))
		req := standingIn("v")
		req.Request = kv.RequestID{9}
		outside, owners := c.outsider("k")
		c.sever(c.ownersOf("k"), true)
		first, stoodIn, err := outside.write(within(t), req)
		if err != nil || !stoodIn {
			t.Fatalf("stood in: %v, %v", stoodIn, err)
		}
		again, stoodIn, err := outside.write(within(t), req)
		if err != nil || !stoodIn || !again.Repeat || again.Dot != first.Dot {
			t.Errorf("a retry at the same fallback: %+v, %v", again, err)
		}
		c.sever(c.ownersOf("k"), false)
		second, _, err := owners[0].write(within(t), req)
		if err != nil || second.Dot == first.Dot {
			t.Errorf("a retry at an owner that has not heard of it: %+v, %v", second, err)
		}
		time.Sleep(10 * time.Second) // all sends have ended
		for id := range len(c.hosts) {
			c.hosts[kv.NodeID(id+1)].deliver()
		}
		get := &GetRequest{Bucket: sloppy(), Key: []byte("k"), R: kv.LevelAll}
		o, err := owners[1].coord.Get(within(t), get)
		if err != nil || !cmp.Equal(values(o), []string{"v"}) ||
			!o.Context.Contains(first.Dot) || !o.Context.Contains(second.Dot) {
			t.Errorf("%q in %v, %v", values(o), o.Context, err)
		}
		third, _, err := owners[2].write(within(t), req)
		if err != nil || !third.Repeat {
			t.Errorf("a retry where its version is: %+v, %v", third, err)
		}
	})
}
