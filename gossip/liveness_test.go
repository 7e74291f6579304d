// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

// script drives a Liveness by a clock of its own.
type script struct {
	*Liveness
	t      testing.TB
	gossip bool
	now    time.Time
}

func newScript(t testing.TB) *script {
	s := &script{t: t, gossip: true, now: time.Unix(1_000_000, 0)}
	l, err := NewLiveness(DefaultLivenessConfig(), func(kv.NodeID) bool { return s.gossip })
	if err != nil {
		t.Fatal(err)
	}
	s.Liveness = l
	return s
}

func (s *script) after(d time.Duration) { s.now = s.now.Add(d) }

func (s *script) want(alive bool, why string) {
	s.t.Helper()
	if got := s.Alive(1, s.now); got != alive {
		s.t.Errorf("alive: %v, want %v: %s", got, alive, why)
	}
}

func TestWithoutEvidenceGossipDecides(t *testing.T) {
	s := newScript(t)
	s.want(true, "gossip says so")
	s.gossip = false
	s.want(false, "gossip says so")
}

func TestFailuresInARowOverruleGossipForAShortTime(t *testing.T) {
	s := newScript(t)
	s.Failed(1, s.now)
	s.want(true, "one failure is not enough")
	s.Failed(1, s.now)
	s.want(false, "two are")
	if !s.Alive(2, s.now) {
		t.Error("another node suffers for it")
	}
	s.after(99 * time.Millisecond)
	s.want(false, "100 ms are not over")
	s.after(time.Millisecond)
	s.want(true, "it is worth another try")
}

func TestEachFurtherFailureDoublesTheTimeUpToItsBound(t *testing.T) {
	s := newScript(t)
	s.Failed(1, s.now)
	for _, down := range []time.Duration{100, 200, 400, 800, 1600, 2000, 2000, 2000} {
		s.Failed(1, s.now)
		s.after(down*time.Millisecond - 1)
		s.want(false, (down * time.Millisecond).String())
		s.after(1)
		s.want(true, (down * time.Millisecond).String())
	}
}

func TestFailuresWhileDownSayNothingNew(t *testing.T) {
	s := newScript(t)
	for range 100 { // all under way when the node died
		s.Failed(1, s.now)
		s.after(time.Microsecond)
	}
	s.after(100 * time.Millisecond)
	s.want(true, "a burst counts as one")
}

func TestAnswerOverrulesGossipAndEndsTheDownTime(t *testing.T) {
	s := newScript(t)
	s.gossip = false
	s.Failed(1, s.now)
	s.Failed(1, s.now)
	s.Succeeded(1, s.now)
	s.want(true, "it has just answered")
	s.after(5 * time.Second)
	s.want(true, "that is 5 s ago")
	s.after(1)
	s.want(false, "the answer is too old, gossip decides")
	s.Succeeded(1, s.now)
	s.Failed(1, s.now)
	s.want(false, "the last request failed, gossip decides")
}

func TestAnswerForgetsEarlierFailures(t *testing.T) {
	s := newScript(t)
	for range 10 {
		s.Failed(1, s.now)
		s.Succeeded(1, s.now)
	}
	s.Failed(1, s.now)
	s.want(true, "never two in a row")
}

func TestOldFailuresAndLateNewsDoNotCount(t *testing.T) {
	s := newScript(t)
	s.Failed(1, s.now)
	s.after(31 * time.Second)
	s.Failed(1, s.now)
	s.want(true, "the first one is forgotten")
	s.Succeeded(1, s.now)
	s.Failed(1, s.now.Add(-time.Second))
	s.Failed(1, s.now.Add(-time.Second))
	s.want(true, "it has answered since")
}

func TestClockThatWentBackKeepsNoNodeDown(t *testing.T) {
	s := newScript(t)
	s.Failed(1, s.now)
	s.Failed(1, s.now)
	s.after(-time.Hour)
	s.want(true, "down times are at most 2 s")
}

func TestEvidenceIsBounded(t *testing.T) {
	s := newScript(t)
	for id := range kv.NodeID(maxEvidence) {
		s.Failed(id+1, s.now)
	}
	s.Failed(60000, s.now)
	if n := len(s.nodes); n != maxEvidence {
		t.Fatalf("%d entries, at most %d", n, maxEvidence)
	}
	s.after(time.Minute)
	s.Failed(60000, s.now)
	if n := len(s.nodes); n != 1 {
		t.Errorf("%d entries, want the one that still matters", n)
	}
}

// Whatever happens, a node that gossip calls alive is asked again within MaxDown, and
// one that has just answered is alive.
func TestNoNodeIsShutOutForLong(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newScript(t)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			s.after(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms")) * time.Millisecond)
			if rapid.Bool().Draw(rt, "failed") {
				s.Failed(1, s.now)
			} else {
				s.Succeeded(1, s.now)
				s.gossip = rapid.Bool().Draw(rt, "gossip")
				if !s.Alive(1, s.now) {
					rt.Fatal("down in the moment of its answer")
				}
				s.gossip = true
			}
			if !s.Alive(1, s.now.Add(2*time.Second)) {
				rt.Fatal("still down after 2 s")
			}
		}
	})
}

func TestLivenessConfigTellsEveryFault(t *testing.T) {
	if _, err := NewLiveness(LivenessConfig{}, nil); err == nil {
		t.Error("an empty configuration was accepted")
	}
	c := DefaultLivenessConfig()
	c.MaxDown = c.BaseDown - 1
	if c.Validate() == nil {
		t.Error("a bound below the base was accepted")
	}
}
