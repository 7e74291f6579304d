// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// cutOff makes the network swallow what goes to the nodes and comes from them.
func (f *fake) cutOff(nodes ...*fakeNode) {
	for _, n := range nodes {
		f.net.Cut("c", n.name)
		f.net.Cut(n.name, "c")
	}
}

func (f *fake) mend(nodes ...*fakeNode) {
	for _, n := range nodes {
		f.net.Mend("c", n.name)
		f.net.Mend(n.name, "c")
	}
}

func (f *fake) dialed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dials
}

// firstWait is what a request waits at most for each node that it never heard of.
const firstWait = 500 * time.Millisecond

func TestSilentNodesCostTheFirstRequestLittleAndLaterOnesNothing(t *testing.T) {
	for method, do := range operations() {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 5)
				f.cutOff(f.nodes[0], f.nodes[1])
				b := f.client(nil, "n4:1").Bucket("default")
				key := f.keyOf(0)
				for i := range 60 {
					began := time.Now()
					served, err := do(t.Context(), b, key)
					if err != nil || served.Node != "n3" {
						t.Fatalf("request %d: answered by %s, %v", i, served.Node, err)
					}
					most := time.Duration(0)
					if i == 0 {
						most = 2 * firstWait
					}
					if took := time.Since(began); took > most {
						t.Fatalf("request %d took %v, want %v at most", i, took, most)
					}
					time.Sleep(500 * time.Millisecond)
				}
			})
		})
	}
}

func TestANodeThatIsBackIsFoundInTheBackground(t *testing.T) {
	for _, idle := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, 5)
			f.cutOff(f.nodes[0])
			cfg := DefaultConfig()
			b := f.client(nil, "n4:1").Bucket("default")
			key := f.keyOf(0)
			if r, err := b.Get(t.Context(), key); err != nil || r.Node != "n2" {
				t.Fatalf("answered by %s, %v", r.Node, err)
			}
			time.Sleep(time.Minute)
			f.mend(f.nodes[0])
			for range 50 {
				time.Sleep((redialMax + cfg.DialTimeout) / 50)
				if idle {
					continue
				}
				began := time.Now()
				if _, err := b.Get(t.Context(), key); err != nil || time.Since(began) != 0 {
					t.Fatalf("%v after %v", err, time.Since(began))
				}
			}
			if r, err := b.Get(t.Context(), key); err != nil || r.Node != "n1" {
				t.Errorf("idle %v: answered by %s, %v", idle, r.Node, err)
			}
		})
	}
}

func TestWhereNobodyElseIsThereRequestsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		b := f.client(nil).Bucket("default")
		f.cutOff(f.nodes...)
		if _, err := b.Get(t.Context(), f.keyOf(0)); !errors.Is(err, ErrConnect) {
			t.Fatalf("got %v", err)
		}
		time.Sleep(20 * time.Second)
		time.AfterFunc(2*time.Second, func() { f.mend(f.nodes[2]) })
		began := time.Now()
		r, err := b.Get(t.Context(), f.keyOf(0))
		if took := time.Since(began); err != nil || r.Node != "n3" || took < 2*time.Second {
			t.Errorf("answered by %s after %v, %v", r.Node, took, err)
		}
	})
}

func TestAClusterThatStartsAgainIsFoundAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		b := f.client(nil).Bucket("default")
		for _, n := range f.nodes {
			n.kill()
		}
		if _, err := b.Get(t.Context(), f.keyOf(0)); !errors.Is(err, ErrConnect) {
			t.Fatalf("got %v", err)
		}
		time.Sleep(time.Minute) // the pause of the background has grown
		for _, n := range f.nodes {
			n.start()
		}
		began := time.Now()
		_, err := b.Get(t.Context(), f.keyOf(0))
		if took := time.Since(began); err != nil || took > 2*redialUrgent {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestTheLastAttemptWaitsForItsNodeAllTheTimeThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		f.cutOff(f.nodes[0])
		b := f.client(func(c *Config) { c.Retry.Attempts = 1 }, "n2:1").Bucket("default")
		time.AfterFunc(1900*time.Millisecond, func() { f.mend(f.nodes[0]) })
		if r, err := b.Get(t.Context(), f.keyOf(0)); err != nil || r.Node != "n1" {
			t.Errorf("answered by %s, %v", r.Node, err)
		}
	})
}

func TestAnEndpointAskedAloneHasTheTimeOfAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		f.cutOff(f.nodes[0])
		c := f.client(nil)
		time.AfterFunc(1900*time.Millisecond, func() { f.mend(f.nodes[0]) })
		if err := c.Ping(t.Context(), "n1:1"); err != nil {
			t.Error(err)
		}
	})
}

func TestOnesThatAnswerAreAskedAgainBeforeOneOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		f.cutOff(f.nodes[0])
		b := f.client(nil, "n2:1", "n3:1").Bucket("default")
		key := f.keyOf(0)
		if _, err := b.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		f.follow("UNAVAILABLE", "OVERLOADED", "NOT_READY", "UNAVAILABLE")
		began := time.Now()
		r, err := b.Get(t.Context(), key)
		if took := time.Since(began); err != nil || r.Attempts != 5 || took >= firstWait {
			t.Errorf("%d attempts in %v, %v", r.Attempts, took, err)
		}
	})
}

func TestAWriteWaitsForItsCoordinatorThatIsConnectedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		b := f.client(nil).Bucket("default")
		key := f.keyOf(0)
		if _, err := b.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * redialMax) // so that the connection has lasted
		lost := false
		f.onData(func(n *fakeNode, _ *rpc.Call, _ seen) bool {
			if lost {
				return false
			}
			lost = true
			f.cutOff(n)
			time.AfterFunc(time.Second, func() { f.mend(n) })
			f.hangUp(n)
			return true
		})
		r, err := b.Put(t.Context(), key, nil)
		if err != nil || r.Node != "n1" || r.Moved {
			t.Errorf("answered by %s, moved: %v, %v", r.Node, r.Moved, err)
		}
		if got := f.requests(wire.MethodPut); len(got) != 2 || got[0].request != got[1].request {
			t.Errorf("put was sent as %v", got)
		}
	})
}

func TestDeadNodesAreDialedAtABoundedPaceUntilTheClientCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		f.nodes[0].kill()
		c := f.client(nil, "n2:1")
		if _, err := c.Bucket("default").Get(t.Context(), f.keyOf(0)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second) // the pause has grown to its longest
		before := f.dialed()
		time.Sleep(time.Minute)
		most := int(time.Minute / (redialMax / 2))
		if n := f.dialed() - before; n < most/2-1 || n > most+1 {
			t.Errorf("dialed %d times in a minute, want %d to %d", n, most/2, most)
		}
		c.Close()
		before = f.dialed()
		time.Sleep(time.Minute)
		if n := f.dialed() - before; n != 0 {
			t.Errorf("dialed %d times after Close", n)
		}
	})
}

func TestNodesThatNoRequestIsRoutedToAreNotDialedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 4)
		c := f.client(nil, "n1:1")
		get := func(node int) {
			t.Helper()
			if _, err := c.Bucket("default").Get(t.Context(), f.keyOf(node)); err != nil {
				t.Fatal(err)
			}
		}
		quiet := func(which string) {
			t.Helper()
			time.Sleep(3 * redialMax)
			before := f.dialed()
			time.Sleep(time.Minute)
			if n := f.dialed() - before; n != 0 {
				t.Errorf("%s: dialed %d times", which, n)
			}
		}
		for i := range 3 {
			get(i)
		}
		if err := c.Ping(t.Context(), "nobody:1"); !errors.Is(err, ErrConnect) {
			t.Fatal(err)
		}
		quiet("a node that a caller named")
		f.nodes[3].kill()
		get(3)
		f.mu.Lock()
		f.nodes = f.nodes[:3]
		f.version++
		f.mu.Unlock()
		time.Sleep(time.Second)
		get(0) // learns of the ring without it
		quiet("a node that left")
	})
}
