// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/antientropy/exchange"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

var _ exchange.PurgeGroup = (*groupInMemory)(nil)

// BeginPurge implements exchange.PurgeGroup as package meta/state does.
func (g *groupInMemory) BeginPurge(
	ctx context.Context, p uint16, _ kv.PlacementVersion, after kv.PurgeEpoch,
) (kv.PurgeEpoch, error) {
	if err := g.reach(ctx); err != nil {
		return 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.purged[p] != after {
		return 0, errPurge
	}
	g.began[p]++
	return g.began[p], nil
}

// CommitPurge implements exchange.PurgeGroup.
func (g *groupInMemory) CommitPurge(ctx context.Context, r antientropy.Round) error {
	if err := g.reach(ctx); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.began[r.Partition] != r.Epoch {
		return errPurge
	}
	g.purged[r.Partition] = r.Epoch
	return nil
}

// Purged implements exchange.PurgeGroup.
func (g *groupInMemory) Purged(p uint16) kv.PurgeEpoch {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.purged[p]
}

// Registered implements exchange.PurgeGroup.
func (g *groupInMemory) Registered(ctx context.Context) (nodes []kv.NodeID, err error) {
	for _, m := range g.ring.Members() {
		nodes = append(nodes, m.ID)
	}
	return nodes, g.reach(ctx)
}

func (s *session) remove(q wire.DeleteRequest) error {
	_, err := s.Call(context.Background(), wire.MethodDelete, func(dst []byte) []byte {
		return wire.AppendDeleteRequest(dst, &q)
	})
	return err
}

// A member is down while everything is deleted, for longer than any timer. Nothing is
// purged until it is back; then everything is, everywhere, and nothing comes back: not to a
// member that is killed after that either (TRAPS G1, G2, G3).
func TestWhatIsDeletedWhileAMemberIsDownIsPurgedWhenItIsBack(t *testing.T) {
	for _, members := range []int{3, 4} {
		t.Run(fmt.Sprint(members), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, members, 3)
				r.tune = func(c *Config) { c.PurgeGrace = 0 }
				r.startAll()
				down, s := r.members[1], r.members[0].client()
				const keys = 60
				key := func(i int) []byte { return fmt.Appendf(nil, "k-%03d", i) }
				for i := range keys {
					must(t, s.put(wire.PutRequest{Key: key(i), Value: []byte("v")}))
				}
				time.Sleep(10 * time.Second)
				down.kill(true)
				time.Sleep(10 * time.Second)
				for i := range keys {
					must(t, s.remove(wire.DeleteRequest{Key: key(i)}))
				}
				time.Sleep(time.Hour)
				held := 0
				for i, m := range r.members {
					if i != 1 {
						held += m.holds("k-")
					}
				}
				if held < 2*keys {
					t.Errorf("%d tombstones are left while a member is down, of %d keys", held, keys)
				}
				if p, led := r.purges(); p.Purged != 0 || led.Done != 0 || led.HeldUp == 0 {
					t.Errorf("while a member is down: %+v, led %+v", p, led)
				}
				down.start()
				r.awaitReady()
				r.awaitPurged()
				// Markers and hints bring each owner what it has missed before it can confirm.
				p, led := r.purges()
				if p.Purged != 3*keys || p.Missed != 0 || p.Epoch == 0 || led.Done == 0 {
					t.Errorf("after all is purged: %+v, led %+v", p, led)
				}
				for i := range keys {
					got, err := s.get(wire.GetRequest{Key: key(i)})
					if err != nil || got.Found {
						t.Fatalf("%s: %+v, %v", key(i), got, err)
					}
				}
				last := r.members[members-1]
				last.kill(true)
				last.start()
				r.awaitReady()
				time.Sleep(10 * time.Minute) // and all are compared with one another
				r.awaitPurged()
				must(t, s.put(wire.PutRequest{Key: key(0), Value: []byte("new")}))
				if got, err := s.get(wire.GetRequest{Key: key(0)}); err != nil || !got.Found {
					t.Errorf("a key that is written again: %+v, %v", got, err)
				}
			})
		})
	}
}

// purges are the counts of all members that run, together.
func (r *rig) purges() (sum replica.PurgeStats, led exchange.PurgeCounts) {
	for _, m := range r.members {
		if m.life == nil {
			continue
		}
		d := m.life.node.data.Load()
		own, counts := d.replica.PurgeStats(), d.purger.Counts()
		sum.Purged += own.Purged
		sum.Missed += own.Missed
		sum.Epoch = max(sum.Epoch, own.Epoch)
		led.Done += counts.Done
		led.HeldUp += counts.HeldUp
		led.Expired += counts.Expired
	}
	return sum, led
}

// awaitPurged waits until nobody holds anything any more.
func (r *rig) awaitPurged() {
	r.t.Helper()
	eventually(r.t, time.Hour, "all is purged", func() bool {
		for _, m := range r.members {
			if m.holds("k-") != 0 {
				time.Sleep(time.Second)
				return false
			}
		}
		return true
	})
}

// TestTrapK2WhatHasExpiredGoesByATombstoneOnAllNodes: and not by the clock of a node that is
// an hour ahead, while others still show it. Then the tombstones are purged.
func TestTrapK2WhatHasExpiredGoesByATombstoneOnAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.tune = func(c *Config) {
			c.PurgeGrace = 0
			if c.Name == "n1" {
				c.Now = func() time.Time { return time.Now().Add(time.Hour) }
			}
		}
		r.startAll()
		s := r.members[1].client()
		const keys, lives = 20, 90 * time.Minute
		key := func(i int) []byte { return fmt.Appendf(nil, "k-%03d", i) }
		shown := func() (n int) {
			for i := range keys {
				got, err := s.get(wire.GetRequest{Key: key(i)})
				if must(t, err); got.Found {
					n++
				}
			}
			return n
		}
		for i := range keys {
			q := wire.PutRequest{Key: key(i), Value: []byte("v")}
			q.TTLMS = lives.Milliseconds()
			must(t, s.put(q))
		}
		time.Sleep(45 * time.Minute) // by the fast clock they are over
		if n := shown(); n != keys {
			t.Errorf("before their time is over %d of %d are shown", n, keys)
		}
		time.Sleep(time.Hour)
		if n := shown(); n != 0 {
			t.Errorf("after their time %d are shown", n)
		}
		time.Sleep(4 * time.Hour)
		r.awaitPurged()
		if _, led := r.purges(); led.Expired != keys {
			t.Errorf("%d expired keys are counted, of %d", led.Expired, keys)
		}
	})
}
