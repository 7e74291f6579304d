// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

const wideKeys = 6

// sloppyClient reads and writes a few keys of a sloppy bucket at any node.
type sloppyClient struct {
	client
	t *testing.T
}

func (k *sloppyClient) run(requests int) {
	for n := range requests {
		at := k.c.hosts[kv.NodeID(k.rng.IntN(len(k.c.hosts))+1)]
		key := fmt.Sprintf("key-%d", k.rng.IntN(wideKeys))
		if k.rng.IntN(10) < 3 {
			k.look(at, key)
		} else {
			k.put(at, key, n)
		}
		time.Sleep(time.Duration(k.rng.IntN(10)) * time.Millisecond)
	}
}

func (k *sloppyClient) look(at *host, key string) {
	ctx, cancel := k.within()
	defer cancel()
	o, err := at.coord.Get(ctx, &GetRequest{Bucket: sloppy(), Key: []byte(key)})
	if err != nil {
		k.h.happened("read " + string(codeIn(err)))
		return
	}
	k.seen[key] = o.Context
	k.h.happened("read")
}

// put tries a write a few times, at this node or another, as clients do.
func (k *sloppyClient) put(at *host, key string, n int) {
	req := &PutRequest{
		Bucket: sloppy(), Key: []byte(key), Kind: kv.KindValue,
		Value: fmt.Appendf(nil, "%d-%d", k.id, n), Request: kv.RequestID{byte(k.id + 1), byte(n + 1)},
	}
	if k.rng.IntN(3) > 0 {
		req.Seen = k.seen[key]
	}
	for try := range 3 {
		ctx, cancel := k.within()
		done, stoodIn, err := at.write(ctx, req)
		cancel()
		if err == nil {
			k.stored(key, &done, stoodIn, try)
			return
		}
		k.h.happened("write " + string(codeIn(err)))
		if k.rng.IntN(2) == 0 {
			at = k.c.hosts[kv.NodeID(k.rng.IntN(len(k.c.hosts))+1)]
		}
	}
}

// stored checks what an acknowledgement says: w distinct nodes have the write durably. Of
// one that is down nobody knows now.
func (k *sloppyClient) stored(key string, done *PutResult, stoodIn bool, try int) {
	k.seen[key] = done.Context
	k.acknowledge(key, done.Dot)
	holders, down := 0, 0
	for _, h := range k.c.hosts {
		switch o, up := h.holds(key); {
		case !up:
			down++
		case o.Context.Contains(done.Dot):
			holders++
		}
	}
	if holders+down < 2 {
		k.t.Errorf("%s of %s was acknowledged, and %d nodes have it", done.Dot, key, holders)
	}
	k.h.happened("written")
	if stoodIn {
		k.h.happened("stood in")
	}
	if done.Repeat {
		k.h.happened("repeated")
	}
	if try > 0 {
		k.h.happened("written again")
	}
}

// holds is what a node has of a key, as an owner or as a fallback.
func (h *host) holds(key string) (o kv.Object, up bool) {
	life := h.present()
	if life == nil {
		return kv.Object{}, false
	}
	p := h.ring.PartitionOf(sloppy().ID, []byte(key))
	reply := life.Read(&wire.ReadRequest{
		Target: wire.Target{
			Bucket: sloppy().ID, Partition: p, Key: []byte(key),
			Placement: h.ring.Placement(p).Version, Instance: instanceOf(h.node), RemainingMS: 1000,
		},
		Mode: wire.ReadBare,
	})
	return reply.Object, reply.Code == wire.ReplicaOK
}

// TestSloppyBucketsLoseNothing runs clients at five real replicas while messages are late
// and lost, nodes lose their power or are cut off, three of them at a time as well, and
// hints are delivered now and then. Nothing that was acknowledged may be lost once all of
// them are delivered, and no dot may ever be issued twice (TRAPS S1, S12, C10, C14).
func TestSloppyBucketsLoseNothing(t *testing.T) {
	overSeeds(t, 24, 8, sloppily,
		"written", "read", "stood in", "repeated", "written again", "crashed", "cut", "delivered",
		"write QUORUM", "write TIMEOUT")
}

func sloppily(t *testing.T, seed uint64) map[string]int {
	c := newClusterOn(t, seed, newWideRing(t))
	c.fate, c.blind = weather, seed%3 == 0
	h := &history{acked: make(map[string][]vclock.Dot), count: make(map[string]int)}
	var clients, around sync.WaitGroup
	for id := range 4 {
		k := &sloppyClient{t: t, client: client{
			c: c, h: h, id: id, rng: rand.New(rand.NewPCG(seed, uint64(100+id))),
			seen: make(map[string]vclock.Context),
		}}
		clients.Go(func() { k.run(100) })
	}
	over := make(chan struct{})
	around.Go(func() { c.trouble(rand.New(rand.NewPCG(seed, 99)), h, over) })
	around.Go(func() {
		rng := rand.New(rand.NewPCG(seed, 98))
		for pause(over, time.Duration(rng.IntN(600))*time.Millisecond) {
			for range c.hosts[kv.NodeID(rng.IntN(5)+1)].deliver() {
				h.happened("delivered")
			}
		}
	})
	clients.Wait()
	close(over)
	around.Wait()
	c.calm(t)
	c.complete(t, h)
	c.healthy()
	return h.count
}

// pause waits, and reports whether it was not over before.
func pause(over <-chan struct{}, d time.Duration) bool {
	select {
	case <-over:
		return false
	case <-time.After(d):
		return true
	}
}

// trouble lets nodes lose their power, or their network, until it is over.
func (c *cluster) trouble(rng *rand.Rand, h *history, over <-chan struct{}) {
	for pause(over, time.Duration(100+rng.IntN(400))*time.Millisecond) {
		nodes := rng.Perm(len(c.hosts))[:1+rng.IntN(3)]
		if rng.IntN(2) == 0 {
			c.hosts[kv.NodeID(nodes[0]+1)].crash(time.Duration(rng.IntN(300)) * time.Millisecond)
			h.happened("crashed")
			continue
		}
		if rng.IntN(2) == 0 {
			nodes = c.ownersOf(fmt.Sprintf("key-%d", rng.IntN(wideKeys)))
		}
		c.sever(nodes, true)
		h.happened("cut")
		time.Sleep(time.Duration(rng.IntN(800)) * time.Millisecond)
		c.sever(nodes, false)
	}
}

// ownersOf are the owners of a key, counted from 0.
func (c *cluster) ownersOf(key string) (nodes []int) {
	p := c.ring.PartitionOf(sloppy().ID, []byte(key))
	for _, slot := range c.ring.Placement(p).Slots {
		nodes = append(nodes, int(slot.Owner)-1)
	}
	return nodes
}

func (c *cluster) sever(nodes []int, cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range nodes {
		c.cut[kv.NodeID(n+1)] = cut
	}
}

// calm ends the weather, and delivers all hints.
func (c *cluster) calm(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	c.fate = func(*rand.Rand) fate { return fate{} }
	c.mu.Unlock()
	for _, node := range slices.Sorted(maps.Keys(c.hosts)) {
		if err := c.hosts[node].coord.Drain(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range slices.Sorted(maps.Keys(c.hosts)) {
		c.hosts[node].deliver()
		if left := c.hosts[node].present().HintStatus(); len(left.Cells) > 0 {
			t.Errorf("node %d still keeps %+v", node, left)
		}
	}
}

// complete compares what the owners of each key hold together with what was acknowledged.
func (c *cluster) complete(t *testing.T, h *history) {
	t.Helper()
	for n := range wideKeys {
		key := fmt.Sprintf("key-%d", n)
		var all kv.Object
		p := c.ring.PartitionOf(sloppy().ID, []byte(key))
		for _, slot := range c.ring.Placement(p).Slots {
			o, _ := c.hosts[slot.Owner].holds(key)
			all = kv.Merge(all, o)
		}
		for _, d := range h.acked[key] {
			if c.lost(all, d) {
				t.Errorf("%s: the acknowledged write %s is lost", key, d)
			}
		}
	}
}
