// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func TestAKeyIsAskedOfItsFirstOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 5)
		b := f.client(nil, "n3:1").Bucket("default")
		for i := range f.nodes {
			key, want := f.keyOf(i), f.nodes[i].name
			for method, do := range operations() {
				if served, err := do(t.Context(), b, key); err != nil || served.Node != want {
					t.Errorf("%s of a key of %s: answered by %s, %v", method, want, served.Node, err)
				}
			}
		}
		if n := len(f.requests(wire.MethodClusterInfo)); n != 1 {
			t.Errorf("the ring was asked for %d times", n)
		}
	})
}

func TestWhileAnOwnerIsDownTheNextOneIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 5)
		b := f.client(nil, "n3:1").Bucket("default")
		key := f.keyOf(0)
		if _, err := b.Put(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
		f.nodes[0].kill()
		for range 10 {
			r, err := b.Get(t.Context(), key)
			if err != nil || r.Node != "n2" {
				t.Fatalf("answered by %s, %v", r.Node, err)
			}
		}
		f.nodes[1].kill()
		f.nodes[2].kill()
		// No owner is left; a fallback answers.
		r, err := b.Get(t.Context(), key)
		if err != nil || r.Node != "n4" && r.Node != "n5" {
			t.Fatalf("answered by %s, %v", r.Node, err)
		}
		f.nodes[0].start()
		f.nodes[1].start()
		f.nodes[2].start()
		time.Sleep(10 * time.Second)
		if r, err = b.Get(t.Context(), key); err != nil || r.Node != "n1" {
			t.Fatalf("when all are back: answered by %s, %v", r.Node, err)
		}
	})
}

func TestWithoutRingAnyEndpointIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		f.noRing = true
		b := f.client(nil).Bucket("default")
		nodes := make(map[string]bool)
		for range 6 {
			r, err := b.Put(t.Context(), f.keyOf(0), nil)
			if err != nil {
				t.Fatal(err)
			}
			nodes[r.Node] = true
		}
		if len(nodes) != 3 {
			t.Errorf("only %v were asked", nodes)
		}
	})
}

func TestANodeThatDoesNotAnswerIsAskedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		b := f.client(nil).Bucket("default")
		key := f.keyOf(0)
		f.onData(func(n *fakeNode, _ *rpc.Call, _ seen) bool { return n.name == "n1" })
		began := time.Now()
		if r, err := b.Get(t.Context(), key); err != nil || r.Node != "n2" {
			t.Fatalf("answered by %s, %v", r.Node, err)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("took %v, want the time of an attempt", took)
		}
		began = time.Now()
		if r, err := b.Get(t.Context(), key); err != nil || r.Node != "n2" {
			t.Fatalf("answered by %s, %v", r.Node, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v while the node is out of favour", took)
		}
		// When its time is over, of many requests one finds out.
		time.Sleep(time.Second)
		f.forget()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := b.Get(t.Context(), key); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		asked := 0
		for _, s := range f.requests(wire.MethodGet) {
			if s.node == "n1" {
				asked++
			}
		}
		if asked != 1 {
			t.Errorf("the node was asked %d times, want 1", asked)
		}
	})
}

func TestANewerRingIsFetchedOnceAndRoutedBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		b := f.client(nil).Bucket("default")
		if _, err := b.Get(t.Context(), f.keyOf(1)); err != nil {
			t.Fatal(err)
		}
		n4 := &fakeNode{f: f, name: "n4", addr: "n4:1"}
		n4.start()
		f.mu.Lock()
		f.nodes = append(f.nodes, n4)
		f.version = 2
		f.mu.Unlock()
		time.Sleep(time.Second)
		f.forget()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := b.Get(t.Context(), f.keyOf(1)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		if n := len(f.requests(wire.MethodClusterInfo)); n != 1 {
			t.Errorf("the ring was fetched %d times", n)
		}
		if r, err := b.Get(t.Context(), f.keyOf(3)); err != nil || r.Node != "n4" {
			t.Errorf("answered by %s, %v", r.Node, err)
		}
	})
}

func TestANodeThatLeftIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 4)
		c := f.client(nil, "n1:1")
		b := c.Bucket("default")
		if r, err := b.Get(t.Context(), f.keyOf(3)); err != nil || r.Node != "n4" {
			t.Fatal(r, err)
		}
		f.mu.Lock()
		gone := f.nodes[3]
		f.nodes = f.nodes[:3]
		f.version++
		f.mu.Unlock()
		t.Cleanup(gone.kill)
		time.Sleep(time.Second)
		if _, err := b.Get(t.Context(), f.keyOf(0)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.nodes["n4:1"] != nil {
			t.Error("the node is still there")
		}
	})
}

func TestARingThatCanNotBeIsNotRoutedBy(t *testing.T) {
	for _, change := range []func(*wire.ClusterInfoResult){
		func(i *wire.ClusterInfoResult) { i.Partitions = 3 },
		func(i *wire.ClusterInfoResult) { i.Partitions = 0 },
		func(i *wire.ClusterInfoResult) { i.Preference = i.Preference[1:] },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, 1)
			info := f.info()
			change(&info)
			c := f.client(nil)
			if _, err := c.newView(&info); !errors.Is(err, errBadRing) {
				t.Errorf("%v for %d partitions, %d lists", err, info.Partitions, len(info.Preference))
			}
		})
	}
}

func TestMembersWithoutAddressAndUnknownOwnersAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		info := f.info()
		info.Members[0].Addresses.Client = ""
		info.Preference[1] = append(info.Preference[1], 77)
		v, err := f.client(nil).newView(&info)
		if err != nil || len(v.members) != 2 {
			t.Fatalf("%+v, %v", v, err)
		}
		for p, owners := range v.owners {
			if len(owners) != 2 {
				t.Errorf("partition %d has %d owners", p, len(owners))
			}
		}
	})
}

func TestABucketMadeLaterIsLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		c := f.client(nil)
		if _, err := c.Bucket("default").Get(t.Context(), []byte("k")); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		f.extra = "carts"
		f.mu.Unlock()
		time.Sleep(time.Second)
		if _, err := c.Bucket("carts").Get(t.Context(), []byte("k")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !c.view.Load().knows("carts") {
			t.Error("the bucket is not known")
		}
	})
}

func TestANodeOfAnotherClusterIsNotSpokenTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 2)
		c := f.client(nil, "n1:1")
		if err := c.Ping(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		f.cluster = "ffffffffffffffffffffffffffffffff"
		f.mu.Unlock()
		err := c.Ping(t.Context(), "n2:1")
		if !errors.Is(err, ErrConnect) || OutcomeOf(err) != OutcomeNone {
			t.Errorf("got %v", err)
		}
		if n := len(f.requests(wire.MethodPing)); n != 1 {
			t.Errorf("%d pings were sent", n)
		}
	})
}

func TestNothingThereIsErrConnect(t *testing.T) {
	for method, do := range operations() {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 2)
				f.nodes[0].kill()
				f.nodes[1].kill()
				b := f.client(nil).Bucket("default")
				began := time.Now()
				_, err := do(t.Context(), b, []byte("k"))
				if !errors.Is(err, ErrConnect) || OutcomeOf(err) != OutcomeNone {
					t.Errorf("got %v", err)
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestANetworkThatSwallowsEverythingIsErrConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.net.Cut("c", "n1")
		began := time.Now()
		_, err := f.client(nil).Bucket("default").Put(t.Context(), []byte("k"), nil)
		if !errors.Is(err, ErrConnect) || OutcomeOf(err) != OutcomeNone {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestAnEndpointIsAskedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		b := f.client(nil).Bucket("default")
		f.follow("SHUTTING_DOWN", "OVERLOADED")
		for method, do := range operations() {
			served, err := do(t.Context(), b, f.keyOf(0), WithEndpoint("n2:1"))
			if err != nil || served.Node != "n2" {
				t.Errorf("%s: answered by %s, %v", method, served.Node, err)
			}
		}
		f.nodes[1].kill()
		synctest.Wait() // so that the client knows: else the first attempt may count as sent
		_, err := b.Get(t.Context(), f.keyOf(0), WithEndpoint("n2:1"))
		if !errors.Is(err, ErrConnect) {
			t.Errorf("the node is down: %v", err)
		}
	})
}

func TestManyRequestsShareAConnectionAndWaitForItsWindow(t *testing.T) {
	for _, conns := range []int{1, 3} {
		t.Run(fmt.Sprint(conns), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 1)
				f.limits.InFlight = 10
				var mu sync.Mutex
				open, most := 0, 0
				f.onData(func(_ *fakeNode, call *rpc.Call, _ seen) bool {
					mu.Lock()
					open++
					most = max(most, open)
					mu.Unlock()
					time.AfterFunc(time.Millisecond, func() {
						mu.Lock()
						open--
						mu.Unlock()
						call.Reply(func(dst []byte) []byte {
							return wire.AppendGetResult(dst, &wire.GetResult{})
						})
					})
					return true
				})
				b := f.client(func(c *Config) { c.ConnsPerNode = conns }).Bucket("default")
				var wg sync.WaitGroup
				for range 300 {
					wg.Go(func() {
						if _, err := b.Get(t.Context(), []byte("k")); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				if most > 10*conns || most < 10 {
					t.Errorf("%d requests at a time over %d connections", most, conns)
				}
				f.mu.Lock()
				defer f.mu.Unlock()
				if f.dials != conns {
					t.Errorf("dialed %d times", f.dials)
				}
			})
		})
	}
}

func TestADeadNodeIsNotDialedByEveryRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.nodes[0].kill()
		b := f.client(nil).Bucket("default")
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() { _, _ = b.Get(t.Context(), []byte("k")) })
		}
		wg.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.dials > 20 {
			t.Errorf("dialed %d times", f.dials)
		}
	})
}
