// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// Whichever message is lost, the exchange ends in its time, says that it failed, and the
// next one mends what is left.
func TestAnExchangeSurvivesTheLossOfAnyMessage(t *testing.T) {
	for _, answers := range []bool{false, true} {
		for lost := 1; ; lost++ {
			more := true
			bubble(t, func(t *testing.T) {
				s := newStage(t, nil)
				for i := range 40 {
					s.a.set(1, keyOf(i), version(nodeA, uint64(i+1), "v"))
					s.b.set(1, keyOf(i+20), version(nodeA, uint64(i+21), "v"))
				}
				s.peers.lose = func(n int) (bool, bool) {
					return n == lost && !answers, n == lost && answers
				}
				began := time.Now()
				outcome, err := s.once(0, nodeB)
				if more = s.peers.sent >= lost; more && outcome != Failed {
					t.Errorf("message %d lost: %v, %v", lost, outcome, err)
				}
				if took := time.Since(began); took > (listPatience+2)*s.cfg.CallTimeout {
					t.Errorf("message %d lost: ended after %v", lost, took)
				}
				s.both(nodeB)
				s.equal(s.a, s.b)
				time.Sleep(time.Minute)
			})
			if !more {
				if lost < 10 {
					t.Errorf("only %d messages were lost", lost)
				}
				break
			}
		}
	}
}

// The other side dies after so many calls, and comes back.
func TestThePeerDiesInTheMiddle(t *testing.T) {
	for calls := 1; calls < 40; calls += 3 {
		bubble(t, func(t *testing.T) {
			s := newStage(t, func(cfg *Config) { cfg.Period = 10 * time.Second })
			for i := range 100 {
				s.a.set(1, keyOf(i), version(nodeA, uint64(i+1), "v"))
				s.c.set(1, keyOf(i), version(nodeA, uint64(i+1), "v"))
			}
			s.peers.lose = func(n int) (question, answer bool) {
				if n == calls {
					s.peers.dead[nodeB] = true
					time.AfterFunc(time.Minute, func() { s.peers.revive(nodeB) })
				}
				return false, false
			}
			s.run()
			time.Sleep(3 * time.Minute)
			s.equal(s.a, s.b)
		})
	}
}

func (p *fakePeers) revive(node kv.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead[node] = false
}

// Trees that change under an exchange: nothing is lost, and what both sides end with is the
// same once the writes stop.
func TestTreesMayChangeMeanwhile(t *testing.T) {
	for seed := range uint64(5) {
		bubble(t, func(t *testing.T) {
			s := newStage(t, func(cfg *Config) { cfg.Period, cfg.Pause = 2*time.Second, 50*time.Millisecond })
			rng := rand.New(rand.NewPCG(seed, 9))
			s.run()
			for i := range 3000 {
				key := keyOf(rng.IntN(200))
				o := version([]kv.NodeID{nodeA, nodeB, nodeC}[rng.IntN(3)], uint64(i+1), fmt.Sprint(i))
				for _, f := range []*fakeReplica{s.a, s.b, s.c} {
					if rng.IntN(3) > 0 { // else it misses the write
						f.merge(1, key, o)
					}
				}
				time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
			}
			time.Sleep(time.Minute)
			s.equal(s.a, s.b)
			s.equal(s.a, s.c)
		})
	}
}

// A list that is out of order, or does not go on, is no list.
func TestAListWithoutEndEndsTheExchange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, nil)
		for i := range 1000 {
			s.a.set(1, keyOf(i), version(nodeA, uint64(i+1), "v"))
		}
		s.Exchange.local = stuckList{s.a}
		if outcome, err := s.once(0, nodeB); outcome != Failed {
			t.Errorf("%v, %v", outcome, err)
		}
		if n := s.a.made(wire.MethodTreeList); n > 2 {
			t.Errorf("%d pages were asked for", n)
		}
	})
}

// stuckList shows the same page for ever.
type stuckList struct{ *fakeReplica }

func (l stuckList) TreeEntries(q *wire.TreeListRequest) wire.TreeListReply {
	first := *q
	first.After, first.Limit = wire.TreePlace{}, 1
	return l.fakeReplica.TreeEntries(&first)
}
