// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// mutable is a gossip transport that can lose all that it is given.
type mutable struct {
	gossip.Transport
	mute *atomic.Bool
}

func (m mutable) WriteTo(b []byte, addr string) (time.Time, error) {
	if m.mute.Load() {
		return time.Now(), nil
	}
	return m.Transport.WriteTo(b, addr)
}

func (m mutable) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	if m.mute.Load() {
		return nil, errDead
	}
	return m.Transport.DialTimeout(addr, timeout)
}

func TestTrapN2MembersThatOnlyGossipHasLostAreUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		var mute atomic.Bool
		r.tune = func(cfg *Config) {
			open := cfg.GossipTransport
			cfg.GossipTransport = func(addr string) (gossip.Transport, error) {
				carrier, err := open(addr)
				return mutable{carrier, &mute}, err
			}
		}
		r.startAll()
		one := r.members[0]
		s := one.client()
		must(t, s.put(strict("k", "v")))
		mute.Store(true)
		eventually(t, 5*time.Minute, "n1 hears of nobody", func() bool {
			g := one.life.node.data.Load().gossip
			return !g.Alive(2) && !g.Alive(3)
		})
		time.Sleep(time.Minute) // nobody asks for anything, so nobody is seen to answer
		for range 10 {
			must(t, s.put(wire.PutRequest{Key: []byte("k2"), Value: []byte("v")}))
			if got, err := s.get(strictly("k")); err != nil || len(got.Siblings) != 1 {
				t.Fatalf("a strict read: %+v, %v", got, err)
			}
			time.Sleep(7 * time.Second)
		}
		status, err := s.status()
		must(t, err)
		for _, m := range status.Members {
			if m.State != wire.StateUp {
				t.Errorf("%s is shown as %s", m.Name, m.State)
			}
		}
		mute.Store(false)
		r.awaitReady()
	})
}

func TestMemberOfWhichOnlyGossipHearsIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		three := r.members[2]
		r.tune = func(cfg *Config) {
			dial := cfg.Dial
			cfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
				if addr == three.Peer {
					return nil, errDead
				}
				return dial(ctx, addr)
			}
		}
		for _, m := range r.members {
			m.start()
		}
		one := r.members[0]
		eventually(t, time.Minute, "n1 knows n2, and n3 by gossip only", func() bool {
			n := one.life.node
			return n.Status().Confirmed && n.data.Load().peers.up(2) && n.data.Load().gossip.Alive(3)
		})
		s := one.client()
		began := time.Now()
		must(t, s.put(strict("k", "v")))
		err := s.put(wire.PutRequest{
			Key: []byte("k"), Value: []byte("v"), WriteOptions: wire.WriteOptions{W: kv.LevelAll},
		})
		if codeOf(err) != wire.CodeUnavailable {
			t.Errorf("w=all without n3: %v, want UNAVAILABLE", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it was waited for: %v", took)
		}
	})
}

// A request whose client gives it a millisecond says nothing of the members that could
// not answer within that.
func TestHastyClientDoesNotMakeMembersSeemDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		s := r.members[0].client()
		must(t, s.put(strict("k", "v")))
		hasty := wire.GetRequest{Key: []byte("k")}
		hasty.TimeoutMS = 1
		for range 30 {
			if _, err := s.get(hasty); codeOf(err) == "" {
				t.Fatalf("a read without time: %v", err)
			}
			must(t, s.put(wire.PutRequest{Key: []byte("k2"), Value: []byte("v"),
				WriteOptions: wire.WriteOptions{W: kv.LevelAll}}))
			time.Sleep(30 * time.Millisecond)
		}
		for range 30 {
			_, _ = s.get(hasty) // in a row: no answer comes in between
		}
		if _, err := s.get(strictly("k")); err != nil {
			t.Errorf("a read with time, after hasty ones: %v", err)
		}
	})
}
