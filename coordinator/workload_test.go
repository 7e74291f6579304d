// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// history is what the clients of a cluster were told.
type history struct {
	mu    sync.Mutex
	acked map[string][]vclock.Dot // by key
	count map[string]int
}

func (h *history) snapshot(key string) []vclock.Dot {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]vclock.Dot(nil), h.acked[key]...)
}

func (h *history) happened(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count[what]++
}

// client reads and writes a few keys strictly (pw + pr > n) through any coordinator.
type client struct {
	c    *cluster
	h    *history
	rng  *rand.Rand
	id   int
	seen map[string]vclock.Context
}

const workKeys = 3

func (k *client) run(t *testing.T, requests int, atomic bool) {
	for n := range requests {
		at := k.c.hosts[kv.NodeID(k.rng.IntN(3)+1)].coord
		key := fmt.Sprintf("key-%d", k.rng.IntN(workKeys))
		switch k.rng.IntN(10) {
		case 0, 1, 2, 3:
			k.read(t, at, key, atomic)
		case 4:
			k.remove(at, key)
		default:
			k.write(at, key, fmt.Sprintf("%d-%d", k.id, n))
		}
		time.Sleep(time.Duration(k.rng.IntN(5)) * time.Millisecond)
	}
}

func (k *client) within() (context.Context, context.CancelFunc) {
	if k.rng.IntN(20) == 0 { // a client that leaves early
		return context.WithTimeout(context.Background(), time.Duration(k.rng.IntN(5))*time.Millisecond)
	}
	return context.WithTimeout(context.Background(), time.Second)
}

func (k *client) write(at *Coordinator, key, value string) {
	ctx, cancel := k.within()
	defer cancel()
	req := &PutRequest{
		Bucket: bucket(), Key: []byte(key), Kind: kv.KindValue, Value: []byte(value),
		PW: kv.LevelQuorum,
	}
	if k.rng.IntN(4) > 0 {
		req.Seen = k.seen[key]
	}
	done, err := at.Put(ctx, req)
	if err != nil {
		k.h.happened("write " + string(codeIn(err)))
		return
	}
	k.seen[key] = done.Context
	for _, v := range done.Object.Versions {
		if string(v.Value) == value {
			k.acknowledge(key, v.Dot)
		}
	}
	k.h.happened("written")
}

func (k *client) acknowledge(key string, d vclock.Dot) {
	k.h.mu.Lock()
	defer k.h.mu.Unlock()
	k.h.acked[key] = append(k.h.acked[key], d)
}

func (k *client) remove(at *Coordinator, key string) {
	ctx, cancel := k.within()
	defer cancel()
	_, err := at.Delete(ctx, &PutRequest{Bucket: bucket(), Key: []byte(key), PW: kv.LevelQuorum})
	if err == nil {
		k.h.happened("deleted")
	}
}

// read checks that everything acknowledged before it began is there or was overwritten.
func (k *client) read(t *testing.T, at *Coordinator, key string, atomic bool) {
	acked := k.h.snapshot(key)
	ctx, cancel := k.within()
	defer cancel()
	o, err := at.Get(ctx, &GetRequest{
		Bucket: bucket(), Key: []byte(key), PR: kv.LevelQuorum, Atomic: atomic,
	})
	if err != nil {
		k.h.happened("read " + string(codeIn(err)))
		return
	}
	k.seen[key] = o.Context
	k.h.happened("read")
	for _, d := range acked {
		if _, there := o.Find(d); !there && !k.c.overwritten(o, d) {
			t.Errorf("client %d: %s was acknowledged, and a later strict read has %v in %v",
				k.id, d, o.Versions, o.Context)
		}
	}
	if atomic {
		// What an atomic read returned, later ones do not go back behind.
		for _, v := range o.Versions {
			k.acknowledge(key, v.Dot)
		}
	}
}

// TestStrictReadsSeeEveryAcknowledgedWrite runs clients on three real replicas while
// messages are late and lost and one node at a time loses its power.
func TestStrictReadsSeeEveryAcknowledgedWrite(t *testing.T) {
	overSeeds(t, 16, 4, strictly,
		"written", "read", "deleted", "crashed", "write QUORUM", "write TIMEOUT", "read TIMEOUT")
}

// overSeeds plays so many seeds, or a few with -short, each of which counts what came about,
// and demands that each of these things did.
func overSeeds(
	t *testing.T, seeds, few uint64, play func(*testing.T, uint64) map[string]int, happen ...string,
) {
	t.Helper()
	if testing.Short() {
		seeds = few
	}
	total := make(map[string]int)
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for what, n := range play(t, seed) {
					total[what] += n
				}
			})
		})
	}
	for _, what := range happen {
		if total[what] == 0 {
			t.Errorf("it never came to %q: %v", what, total)
		}
	}
}

func strictly(t *testing.T, seed uint64) map[string]int {
	c := newCluster(t, seed)
	c.fate = weather
	h := &history{acked: make(map[string][]vclock.Dot), count: make(map[string]int)}
	var clients, power sync.WaitGroup
	for id := range 4 {
		k := &client{
			c: c, h: h, id: id, rng: rand.New(rand.NewPCG(seed, uint64(100+id))),
			seen: make(map[string]vclock.Context),
		}
		clients.Go(func() { k.run(t, 120, seed%2 == 1) })
	}
	over := make(chan struct{})
	power.Go(func() {
		rng := rand.New(rand.NewPCG(seed, 99))
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Duration(200+rng.IntN(800)) * time.Millisecond):
			}
			c.hosts[kv.NodeID(rng.IntN(3)+1)].crash(time.Duration(rng.IntN(200)) * time.Millisecond)
			h.happened("crashed")
		}
	})
	clients.Wait()
	close(over)
	power.Wait()
	converge(t, c, h)
	c.healthy()
	return h.count
}

// converge reads everything at all replicas when the weather is over, twice: the first
// time repairs, and afterwards all copies must be the same and lack nothing.
func converge(t *testing.T, c *cluster, h *history) {
	t.Helper()
	c.mu.Lock()
	c.fate = func(*rand.Rand) fate { return fate{} }
	c.mu.Unlock()
	time.Sleep(5 * time.Second) // sends that are still under way
	for n := range workKeys {
		key := fmt.Sprintf("key-%d", n)
		req := &GetRequest{Bucket: bucket(), Key: []byte(key), R: kv.LevelAll}
		if _, err := c.hosts[nodeA].coord.Get(within(t), req); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		time.Sleep(time.Second)
		got, err := c.hosts[nodeB].coord.read(within(t), req)
		if err != nil || !got.agreed {
			t.Errorf("%s: the copies differ after a repair: %v", key, err)
		}
		for _, d := range h.acked[key] {
			if _, there := got.object.Find(d); !there && !c.overwritten(got.object, d) {
				t.Errorf("%s: the acknowledged write %s is lost", key, d)
			}
		}
	}
}

// TestASequentialClientMeetsNoSiblings: one client that writes with what it was handed,
// and tries again with the same request id at the same coordinator until it is told of
// success, never meets a sibling of its own (TRAPS C9, C10).
func TestASequentialClientMeetsNoSiblings(t *testing.T) {
	tries := 0
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, seed)
				c.fate = func(rng *rand.Rand) fate {
					f := weather(rng)
					f.answerLost = f.answerLost || rng.IntN(3) == 0
					return f
				}
				rng := rand.New(rand.NewPCG(seed, 50))
				var seen vclock.Context
				for n := range 40 {
					req := &PutRequest{
						Bucket: bucket(), Key: []byte("k"), Kind: kv.KindValue, Value: fmt.Append(nil, n),
						Seen: seen, PW: kv.LevelQuorum, Request: kv.RequestID{byte(n + 1)},
					}
					at := c.hosts[kv.NodeID(rng.IntN(3)+1)].coord
					done, err := at.Put(within(t), req)
					for ; err != nil; tries++ {
						done, err = at.Put(within(t), req)
					}
					seen = done.Context
					get := &GetRequest{Bucket: bucket(), Key: []byte("k"), PR: kv.LevelQuorum}
					o, err := c.hosts[kv.NodeID(rng.IntN(3)+1)].coord.Get(within(t), get)
					if err == nil && (len(o.Versions) != 1 || string(o.Versions[0].Value) != fmt.Sprint(n)) {
						t.Errorf("after write %d the key holds %q", n, values(o))
					}
				}
				c.healthy()
			})
		})
	}
	if tries == 0 {
		t.Error("nothing ever had to be tried again")
	}
}

// Two clients in turns, each reading before it writes, never have more than two versions
// (TRAPS C9); a blind writer meets the limit, and the key still takes a write that saw it.
func TestTrapC9SiblingsAreNeverSpurious(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		for n := range 200 {
			at := c.hosts[kv.NodeID(n%3+1)].coord
			o, err := at.Get(within(t), &GetRequest{Bucket: bucket(), Key: []byte("k"), PR: kv.LevelQuorum})
			if err != nil || len(o.Versions) > 2 {
				t.Fatalf("turn %d: %d versions, %v", n, len(o.Versions), err)
			}
			req := putting(fmt.Sprint(n))
			req.Seen = o.Context
			if _, err := at.Put(within(t), req); err != nil {
				t.Fatal(err)
			}
		}
		at := c.hosts[nodeA].coord
		var err error
		for n := 0; err == nil && n < 2*kv.MaxVersions; n++ {
			req := putting(fmt.Sprint("blind ", n))
			req.W = kv.LevelAll
			_, err = at.Put(within(t), req)
		}
		if codeIn(err) != "TOO_MANY_SIBLINGS" {
			t.Fatalf("the blind writer hears %v", err)
		}
		o, err := at.Get(within(t), getting())
		if err != nil || len(o.Versions) != kv.MaxVersions {
			t.Fatalf("%d versions, %v", len(o.Versions), err)
		}
		req := putting("last")
		req.Seen = o.Context
		done, err := at.Put(within(t), req)
		if err != nil || len(done.Object.Versions) != 1 {
			t.Errorf("the key is bricked: %v", err)
		}
	})
}
