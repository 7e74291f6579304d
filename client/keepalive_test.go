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
	for seed := range uint64(40) {
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
