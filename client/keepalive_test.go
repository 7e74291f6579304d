// SPDX-License-Identifier: Apache-2.0

package client

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func TestASessionOutlastsTheEndpointThatItWasOpenedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		f.withGroup()
		s, err := f.client(nil, "n1:1").NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		f.nodes[0].kill()
		time.Sleep(5 * time.Minute)
		if s.Err() != nil {
			t.Error(s.Err())
		}
	})
}

// TestASessionSurvivesNodesThatPauseInTurn: at a TTL of 10 s or more, while no pause is
// longer than half of it. A node that pauses may have led the group.
func TestASessionSurvivesNodesThatPauseInTurn(t *testing.T) {
	seeds := uint64(500)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 4))
			ttl := 10*time.Second + time.Duration(rng.Int64N(int64(20*time.Second)))
			f := newFake(t, 3)
			g := f.withGroup()
			g.gather = min(ttl/10, time.Second)
			var leads atomic.Int64 // until when nobody does
			f.onData(func(_ *fakeNode, call *rpc.Call, s seen) bool {
				wait := time.Until(time.Unix(0, leads.Load()))
				if wait <= 0 || s.method != wire.MethodSessionKeepAlive {
					return false
				}
				call.Park() // until there is a leader
				time.AfterFunc(wait, func() { g.handle(call, &s, false) })
				return true
			})
			s, err := f.client(nil).NewSession(t.Context(), WithTTL(ttl))
			if err != nil {
				t.Fatal(err)
			}
			for i := range 60 {
				n := f.nodes[i%3]
				f.cutOff(n)
				if rng.IntN(3) == 0 {
					leads.Store(time.Now().Add(2 * time.Second).UnixNano())
				}
				time.Sleep(ttl/4 + time.Duration(rng.Int64N(int64(ttl/4))))
				f.mend(n)
			}
			if s.Err() != nil {
				t.Errorf("seed %d, ttl %v: %v", seed, ttl, s.Err())
			}
		})
	}
}

func TestASilentNodeDoesNotEndASessionWhateverTheAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 3)
		f.withGroup()
		c := f.client(func(c *Config) { c.Retry.Attempts = 1 })
		s, err := c.NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.onData(func(n *fakeNode, _ *rpc.Call, _ seen) bool { return n.name == "n2" })
		time.Sleep(10 * time.Minute)
		if s.Err() != nil {
			t.Error(s.Err())
		}
	})
}

// A pause of all nodes is to the client what its own is.
func TestASessionOutlastsAPauseOfItsClient(t *testing.T) {
	for _, ttl := range []time.Duration{10 * time.Second, 15 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			f, g, _, s := open(t, 3, WithTTL(ttl))
			g.gathers(ttl/6, true)
			for range 50 {
				// The worst moment: a renewal is about to be sent.
				time.Sleep(time.Until(s.Renewed().Add(ttl/4 - time.Millisecond)))
				f.cutOff(f.nodes...)
				time.Sleep(ttl / 2)
				f.mend(f.nodes...)
				time.Sleep(ttl / 2)
			}
			if s.Err() != nil {
				t.Errorf("ttl %v: %v", ttl, s.Err())
			}
		})
	}
}

// A node that answers late may be the only one that knows the next leader.
func TestANodeThatAnswersLateIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, g, _, s := open(t, 3, WithTTL(10*time.Second))
		g.gathers(4*time.Second, false)
		time.Sleep(5 * time.Minute)
		if s.Err() != nil {
			t.Error(s.Err())
		}
	})
}

// While one node is asked the others are left alone, and none is asked twice at once.
func TestARenewalThatIsAnsweredInTimeIsOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g, _, s := open(t, 3, WithTTL(12*time.Second))
		g.gathers(2*time.Second, true)
		f.forget()
		time.Sleep(10 * time.Minute)
		asked := len(f.requests(wire.MethodSessionKeepAlive))
		if most := 10*60/3 + 1; asked > most || s.Err() != nil {
			t.Errorf("%d requests, want %d at most: %v", asked, most, s.Err())
		}
	})
}
