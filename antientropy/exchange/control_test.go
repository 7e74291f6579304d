// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// lacking is a stage whose node A lacks some keys that both others have.
func lacking(t *testing.T, change func(*Config)) *stage {
	t.Helper()
	s := newStage(t, change)
	for i := range 200 {
		s.b.set(1, keyOf(i), version(nodeB, uint64(i+1), "v"))
		s.c.set(1, keyOf(i), version(nodeB, uint64(i+1), "v"))
	}
	return s
}

func TestWaitEndsWhenEveryPairIsSettled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := lacking(t, func(cfg *Config) { cfg.Period = time.Hour })
		for _, p := range s.Peers() {
			if p.Pairs != 2 || !p.Newest.IsZero() || !p.Oldest.IsZero() {
				t.Errorf("before anything was compared: %+v", p)
			}
		}
		s.run()
		round := s.Begin()
		began := time.Now()
		got := s.Wait(t.Context(), round)
		if !got.Done() || got.Pairs != 4 || got.Round != round {
			t.Errorf("%+v", got)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("after %v", took)
		}
		s.equal(s.a, s.b)
		s.equal(s.a, s.c)
		if got.Oldest < 0 || got.Oldest > time.Minute {
			t.Errorf("the oldest pair is of %v ago", got.Oldest)
		}
		peers := s.Peers()
		if len(peers) != 2 || peers[0].Node != nodeB || peers[1].Node != nodeC {
			t.Fatalf("the other owners are %+v", peers)
		}
		for _, p := range peers {
			if p.Pairs != 2 || p.Oldest.Before(began) || p.Newest.Before(p.Oldest) {
				t.Errorf("after all were settled since %v: %+v", began, p)
			}
		}
	})
}

// A round goes on without whoever waited for it, until the node that was down is back.
func TestARoundOutlastsWhoWaitsForIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		s := lacking(t, func(cfg *Config) {
			cfg.Alive = func(node kv.NodeID) bool { return node != nodeB || !down.Load() }
		})
		s.run()
		round := s.Begin()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		got := s.Wait(ctx, round)
		if got.Done() || got.Settled != 2 || len(got.Behind) != 2 {
			t.Errorf("with one of three down: %+v", got)
		}
		for _, b := range got.Behind {
			if b.Name != "n2" || b.Outcome != Failed || b.Why == "" {
				t.Errorf("%+v", b)
			}
		}
		down.Store(false)
		time.Sleep(3 * time.Minute)
		if got := s.Status(round); !got.Done() || len(got.Behind) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestNothingIsComparedDuringAPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := lacking(t, nil)
		if err := s.Pause(time.Hour); err != nil {
			t.Fatal(err)
		}
		s.run()
		time.Sleep(59 * time.Minute)
		if n := s.peers.sent; n > 0 {
			t.Errorf("%d questions were asked during a pause", n)
		}
		if got := s.Status(0); got.Paused != time.Minute {
			t.Errorf("paused for %v yet", got.Paused)
		}
		time.Sleep(5 * time.Minute) // it ends by itself
		s.equal(s.a, s.b)
		s.a.set(1, keyOf(0), kv.Object{})
		if err := s.Pause(time.Hour); err != nil {
			t.Fatal(err)
		}
		s.Resume()
		time.Sleep(5 * time.Minute)
		s.equal(s.a, s.b)
		for _, d := range []time.Duration{0, -1, MaxPause + 1} {
			if s.Pause(d) == nil {
				t.Errorf("a pause of %v is accepted", d)
			}
		}
	})
}

// What is under way when a pause begins ends at its next step.
func TestAPauseEndsWhatIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := lacking(t, func(cfg *Config) { cfg.Keys = 1 })
		stored := 0
		s.a.before = func(method string) {
			if method == wire.MethodStore {
				if stored++; stored == 10 {
					_ = s.Pause(time.Hour)
				}
			}
		}
		outcome, err := s.once(0, nodeB)
		if outcome != Stopped || stored != 10 {
			t.Errorf("%v, %v after %d keys", outcome, err, stored)
		}
	})
}

func TestFaultsOfAConfigAreTold(t *testing.T) {
	good := newStage(t, nil).cfg
	for name, spoil := range map[string]func(*Config){
		"no node":         func(c *Config) { c.Node = 0 },
		"no ring":         func(c *Config) { c.Ring = nil },
		"no budget":       func(c *Config) { c.Budget = nil },
		"no pause":        func(c *Config) { c.Pause = 0 },
		"period < retry":  func(c *Config) { c.Period = c.Retry - 1 },
		"nobody at work":  func(c *Config) { c.Keys = 0 },
		"no quarantine":   func(c *Config) { c.Quarantine = 0 },
		"scrub in no way": func(c *Config) { c.Scrub = -1 },
		"longest too short": func(c *Config) {
			c.Longest = c.CallTimeout - 1
		},
	} {
		bad := good
		if spoil(&bad); bad.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A node that is told to stop finishes the keys that it is repairing, and begins no others;
// it does not wait for the pauses of exchanges, nor for longer than it may.
func TestDrainWaitsForTheKeysThatAreBeingRepaired(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := lacking(t, func(cfg *Config) { cfg.Keys = 1 })
		begun, hold := make(chan struct{}, 1000), make(chan struct{})
		s.a.before = func(method string) {
			if method == wire.MethodStore {
				begun <- struct{}{}
				<-hold
			}
		}
		s.run()
		s.Begin()
		<-begun
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Drain(short); err == nil {
			t.Error("it did not wait for a store")
		}
		time.AfterFunc(time.Second, func() { close(hold) })
		began := time.Now()
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < time.Second || took > 1200*time.Millisecond {
			t.Errorf("after %v", took)
		}
		held, moved := len(s.a.holds()), s.Counters().Repaired()
		if held == 0 || held > 2*s.cfg.AtOnce {
			t.Errorf("%d keys were repaired", held)
		}
		time.Sleep(time.Hour)
		if n := len(s.a.holds()); n != held || s.Counters().Repaired() != moved {
			t.Errorf("%d keys were repaired after the drain", n-held)
		}
	})
}

// TestDrainWaitsForARecordThatIsBeingMended: the other owners are asked, and the answer is
// stored.
func TestDrainWaitsForARecordThatIsBeingMended(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, nil)
		if err := s.beginMending(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, s.endMending)
		began := time.Now()
		if err := s.Drain(t.Context()); err != nil || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := s.beginMending(); err == nil {
			t.Error("another one was begun after the drain")
		}
	})
}
