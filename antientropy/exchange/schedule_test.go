// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// planned is the schedule of a stage's ring, begun at the returned time.
func planned(t *testing.T) (*schedule, time.Time) {
	t.Helper()
	s := newSchedule(time.Minute, 2*time.Second, rand.New(rand.NewPCG(5, 6)))
	now := time.Unix(1000, 0)
	s.follow(newStage(t, nil).cfg.Ring(), nodeA, now)
	if len(s.pairs) != 2*testPartitions {
		t.Fatalf("%d pairs", len(s.pairs))
	}
	return s, now
}

// run lets a schedule go on for a while; each exchange ends at once, as end says.
func (s *schedule) run(from time.Time, d time.Duration, end func(*appointment, time.Time) Outcome) {
	for now := from; now.Before(from.Add(d)); {
		a, wait := s.next(now)
		if a == nil {
			now = now.Add(max(wait, time.Millisecond))
			continue
		}
		s.ended(a, end(a, now), "why", now)
	}
}

func TestEachPairIsComparedOnceAPeriod(t *testing.T) {
	t.Parallel()
	s, now := planned(t)
	count, last := map[pair]int{}, map[pair]time.Time{}
	s.run(now, time.Hour, func(a *appointment, at time.Time) Outcome {
		count[a.pair]++
		if before, known := last[a.pair]; known {
			if gap := at.Sub(before); gap < 50*time.Second || gap > 70*time.Second {
				t.Errorf("%v is compared %v after the last time", a.pair, gap)
			}
		} else if at.Sub(now) > time.Minute {
			t.Errorf("%v is compared first after %v", a.pair, at.Sub(now))
		}
		last[a.pair] = at
		return InSync
	})
	for at := range s.pairs {
		if n := count[at]; n < 54 || n > 66 {
			t.Errorf("%v was compared %d times in an hour", at, n)
		}
	}
}

func TestAPairThatCanNotBeComparedIsTriedEverMoreSeldom(t *testing.T) {
	t.Parallel()
	s, now := planned(t)
	var gaps []time.Duration
	var last time.Time
	broken := pair{0, nodeB}
	s.run(now, 20*time.Minute, func(a *appointment, at time.Time) Outcome {
		if a.pair != broken {
			return InSync
		}
		if !last.IsZero() {
			gaps = append(gaps, at.Sub(last))
		}
		last = at
		return Failed
	})
	if len(gaps) < 15 || len(gaps) > 40 {
		t.Fatalf("tried %d times in 20 minutes: %v", len(gaps), gaps)
	}
	if gaps[0] > 3*time.Second || gaps[len(gaps)-1] < 20*time.Second {
		t.Errorf("the pauses are %v to %v", gaps[0], gaps[len(gaps)-1])
	}
	behind := s.behind(0, 10)
	if len(behind) != 1 || behind[0].pair != broken || !s.oldest().IsZero() {
		t.Errorf("%d pairs are behind, the oldest as of %v", len(behind), s.oldest())
	}
}

func TestWhatIsLeftIsComparedSoon(t *testing.T) {
	t.Parallel()
	s, now := planned(t)
	times := 0
	s.run(now, 2*time.Minute, func(a *appointment, _ time.Time) Outcome {
		if a.pair != (pair{0, nodeB}) {
			return InSync
		}
		times++
		return Unfinished
	})
	if times < 25 {
		t.Errorf("compared %d times in two minutes", times)
	}
}

// A pair counts in a round only if its exchange began after the round.
func TestARoundIsDoneOnceEachPairWasComparedAnew(t *testing.T) {
	t.Parallel()
	s, now := planned(t)
	now = now.Add(time.Minute)
	early, _ := s.next(now)
	round := s.begin(now)
	s.ended(early, InSync, "", now)
	if settled, all := s.progress(round); settled != 0 || all != 4 {
		t.Fatalf("%d of %d are settled in a round that has just begun", settled, all)
	}
	s.run(now, 3*time.Second, func(a *appointment, _ time.Time) Outcome {
		if a.node == nodeC {
			return Unfinished
		}
		return Repaired
	})
	if settled, _ := s.progress(round); settled != 2 {
		t.Errorf("%d are settled, want those of node 2", settled)
	}
	s.run(now.Add(3*time.Second), 2*time.Minute, func(*appointment, time.Time) Outcome { return InSync })
	if settled, all := s.progress(round); settled != all {
		t.Errorf("%d of %d are settled", settled, all)
	}
	if settled, _ := s.progress(round + 1); settled != 0 {
		t.Errorf("%d are settled in a round that nobody began", settled)
	}
}

// ringWithout is a stage's ring with two replicas, none of them on a node.
func ringWithout(t *testing.T, gone kv.NodeID) *ring.Ring {
	t.Helper()
	state := newStage(t, nil).cfg.Ring().State()
	state.Replicas = 2
	for p := range state.Placements {
		slots := state.Placements[p].Slots
		state.Placements[p].Slots = slices.DeleteFunc(slots, func(s kv.Slot) bool { return s.Has(gone) })
	}
	r, err := ring.New(state)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPairsFollowTheRing(t *testing.T) {
	t.Parallel()
	s, now := planned(t)
	taken, _ := s.next(now.Add(time.Minute))
	s.version = 0
	s.follow(ringWithout(t, nodeC), nodeA, now)
	for at := range s.pairs {
		if at.node == nodeC {
			t.Errorf("%v is compared still", at)
		}
	}
	if len(s.pairs) != testPartitions {
		t.Errorf("%d pairs", len(s.pairs))
	}
	before := len(s.queue)
	taken.node = nodeC // of a node that is gone meanwhile
	s.ended(taken, InSync, "", now)
	if len(s.queue) != before {
		t.Error("a pair that the ring has no more is compared again")
	}
	s.version = 0
	s.follow(ringWithout(t, nodeC), nodeC, now)
	if len(s.pairs) != 0 || len(s.queue) != 0 {
		t.Errorf("who owns nothing compares %d pairs", len(s.pairs))
	}
}
