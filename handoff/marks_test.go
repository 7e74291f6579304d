// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

func holding(cells ...replica.HintCell) (s replica.HintStatus) {
	for _, at := range cells {
		s.Cells = append(s.Cells, replica.HintTally{HintCell: at, Hints: 1})
	}
	return s
}

func TestAMarkIsReachedByCleanPassesThatBeganAfterIt(t *testing.T) {
	a, b, c := replica.HintCell{Partition: 1}, replica.HintCell{Partition: 1, Slot: 2}, replica.HintCell{}
	m := newMarks()
	before := m.set(holding()) // before it is known what there is
	if m.ended() != 0 {
		t.Error("a mark is reached before the hints are counted")
	}
	m.counted(holding(a))
	if m.ended() >= before {
		t.Error("what was found by the count is older than every mark")
	}
	m.clean(a, before)
	if m.ended() != before {
		t.Errorf("ended %d, want %d", m.ended(), before)
	}
	one := m.set(holding(a, b))
	if got := m.cells(holding(c)); !slices.Equal(got, []replica.HintCell{c, a, b}) {
		t.Errorf("to be passed: %v", got)
	}
	m.clean(a, before) // it began before the mark
	m.clean(b, one)
	if m.ended() >= one {
		t.Error("a pass that began before the mark has reached it")
	}
	two := m.set(holding(a, c))
	m.clean(a, one)
	m.clean(c, one)
	if m.ended() != one {
		t.Errorf("ended %d, want the first of two marks", m.ended())
	}
	m.clean(c, two)
	m.clean(a, two)
	m.clean(b, two) // of which nobody waits for anything
	if m.ended() != two || len(m.behind) != 0 {
		t.Errorf("ended %d of %d, %v are waited for", m.ended(), two, m.behind)
	}
}

// A mark does not wait for hints that keep coming, also into a slot that had some.
func TestAMarkIsReachedWhileHintsKeepComing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		f := n.nodes[4]
		var stop atomic.Bool
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for i := 0; !stop.Load(); i++ {
				key, _ := n.keyOf(4, i%50)
				f.hint(key, 1, written(2, "v"))
				time.Sleep(time.Millisecond)
			}
		}()
		d := f.deliver()
		for range 10 {
			mark := d.Mark()
			eventually(t, 10*time.Second, "the mark is reached", func() bool { return d.Ended() >= mark })
		}
		stop.Store(true)
		<-ended
	})
}

// TestAMarkThatWasReachedHasNothingOlderLeft: whatever fails in between.
func TestAMarkThatWasReachedHasNothingOlderLeft(t *testing.T) {
	for seed := range uint64(10) {
		bubble(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 5))
			n := newNet(t)
			f := n.nodes[4]
			n.meeting(func(_ kv.NodeID, _ *wire.StoreRequest, done func(wire.StoreReply, error)) bool {
				if rng.IntN(10) == 0 {
					done(wire.StoreReply{}, errors.New("lost"))
					return true
				}
				return false
			})
			d := f.deliver()
			for range 5 {
				var keys []string
				for i := range 40 {
					key, _ := n.keyOf(4, i)
					f.hint(key, uint8(i%3), written(2, key))
					keys = append(keys, key)
				}
				mark := d.Mark()
				eventually(t, 10*time.Minute, "the mark is reached", func() bool { return d.Ended() >= mark })
				for i, key := range keys {
					_, owners := keyAndOwners(n, key)
					if got := n.nodes[owners[i%3]].values(key); len(got) != 1 {
						t.Fatalf("seed %d: the mark is reached, and an owner of %s holds %q", seed, key, got)
					}
				}
			}
		})
	}
}

func TestPausesDoubleUpToABound(t *testing.T) {
	p := pauses{least: time.Second, most: 10 * time.Second}
	rng := rand.New(rand.NewPCG(1, 1))
	now := time.Unix(1000, 0)
	for i, want := range []time.Duration{1, 2, 4, 8, 10, 10, 10} {
		p.fail(now, rng)
		if left := p.left(now); left > want*time.Second || left < want*time.Second*3/4 {
			t.Errorf("pause %d is %v, want about %d s", i, left, want)
		}
		if p.over(now) || !p.paused() || !p.over(now.Add(want*time.Second)) {
			t.Errorf("pause %d is over too early or too late", i)
		}
	}
	for range 100 {
		p.fail(now, rng) // no shift wraps
	}
	if left := p.left(now); left > p.most || left < p.most*3/4 {
		t.Errorf("after many failures the pause is %v", left)
	}
	if p.reset(); p.paused() || !p.over(now) {
		t.Error("it is paused after a success")
	}
}
