// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

func TestEqualReplicasCostOneQuestionAndNoRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, nil)
		for i := range 1000 {
			s.a.set(1, keyOf(i), version(nodeA, uint64(i+1), "v"))
			s.b.set(1, keyOf(i), version(nodeA, uint64(i+1), "v"))
		}
		if outcome, err := s.once(0, nodeB); outcome != InSync || err != nil {
			t.Errorf("%v, %v", outcome, err)
		}
		if n := s.peers.sent; n != 1 {
			t.Errorf("%d questions were asked", n)
		}
		if s.budget.bytes != 0 || s.a.made(wire.MethodRead) != 0 {
			t.Error("something was read, or paid for")
		}
	})
}

// Whatever either side lacks, and where both hold siblings of each other.
func TestWhatEitherSideLacksIsBroughtTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, nil)
		for i := range 3000 {
			o := version(nodeA, uint64(i+1), "v")
			other := version(nodeB, uint64(i+1), "w")
			if i%10 > 0 {
				s.a.set(kv.BucketID(1+i%3), keyOf(i), o)
			}
			switch {
			case i%10 == 1:
			case i%10 == 2: // siblings
				s.b.set(kv.BucketID(1+i%3), keyOf(i), other)
			case i%10 == 3: // newer
				s.b.set(kv.BucketID(1+i%3), keyOf(i), kv.Merge(o, other))
			default:
				s.b.set(kv.BucketID(1+i%3), keyOf(i), o)
			}
		}
		s.both(nodeB)
		s.equal(s.a, s.b)
		if n := s.Counters().Repaired(); n != 1200 {
			t.Errorf("%d keys were repaired, want 1200", n)
		}
		if n := s.a.made(wire.MethodStore) + s.b.made(wire.MethodStore); n != 1500 {
			t.Errorf("%d copies were stored, want one where one side was behind, two for siblings", n)
		}
		s.peers.sent = 0
		s.both(nodeB)
		if s.peers.sent != testPartitions {
			t.Errorf("%d questions to find that nothing differs any more", s.peers.sent)
		}
	})
}

// An exchange gets at whatever is behind leaves that can not be repaired.
func TestAnEmptyReplicaIsFilled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, nil)
		for i := range 5000 {
			s.b.set(1, keyOf(i), version(nodeB, uint64(i+1), "v"))
		}
		s.both(nodeB)
		s.equal(s.a, s.b)
		if s.a.listed > antientropy.MaxLeaves || s.b.listed > antientropy.MaxLeaves {
			t.Errorf("%d and %d leaves were listed at once", s.a.listed, s.b.listed)
		}
		if s.budget.bytes == 0 {
			t.Error("nothing was paid for")
		}
	})
}

// Goal: differences that writes under way seem to make are not repaired (TRAPS M3).
// Method: a write reaches A and B up to 100 ms apart, 200 of them a second, to few enough
// keys that every leaf is busy; nothing is ever lost, so whatever is repaired need not be.
func TestTrapM3ConstantLoadRepairsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, func(cfg *Config) { cfg.Period = 2 * time.Second })
		s.run()
		rng := rand.New(rand.NewPCG(3, 4))
		const writes = 20_000
		for i := range writes {
			key := keyOf(rng.IntN(300))
			o := version(nodeB, uint64(i+1), fmt.Sprint(i))
			o.Versions = o.Versions[:1]
			first, second := s.a, s.b
			if rng.IntN(2) == 0 {
				first, second = second, first
			}
			// As an owner's mint: over all that it holds, to the others as a whole.
			first.mu.Lock()
			held := first.object(1, key)
			first.mu.Unlock()
			whole := kv.Object{Context: held.Context.Join(o.Context), Versions: o.Versions}
			first.merge(1, key, whole)
			time.AfterFunc(time.Duration(rng.IntN(100))*time.Millisecond, func() {
				second.merge(1, key, whole)
			})
			s.c.merge(1, key, whole)
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		s.equal(s.a, s.b)
		compared := s.Counters().Exchanges(InSync) + s.Counters().Exchanges(Unfinished)
		if n := s.Counters().Repaired(); n > writes/10_000 || compared < 50 {
			t.Errorf("%d keys were repaired in %d exchanges, %d seemed to differ",
				n, compared, s.Counters().Moving())
		}
	})
}

// A key that is written between the list and the repair is left to its writer, even where
// the side that is behind is behind still.
func TestAKeyThatIsBeingWrittenIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, nil)
		for _, f := range []*fakeReplica{s.a, s.b} {
			f.set(1, keyOf(1), version(nodeC, 1, "old"))
		}
		s.b.merge(1, keyOf(1), version(nodeB, 1, "v"))
		s.a.before = func(method string) {
			if method == wire.MethodRead {
				s.a.merge(1, keyOf(1), version(nodeC, 2, "newer"))
			}
		}
		unfinished := 0
		for p := range uint16(testPartitions) {
			if outcome, _ := s.once(p, nodeB); outcome == Unfinished {
				unfinished++
			}
		}
		stores := s.a.made(wire.MethodStore) + s.b.made(wire.MethodStore)
		if stores > 0 || unfinished != 1 || s.Counters().Moving() != 1 {
			t.Errorf("%d copies were stored, %d partitions are unfinished, %d keys seem to move",
				stores, unfinished, s.Counters().Moving())
		}
		s.a.before = nil
		s.both(nodeB)
		s.equal(s.a, s.b)
	})
}

// Sides that have nothing to compare, or must not, are not compared: not even asked
// for a list (TRAPS M4).
func TestTrapM4WhoCanNotBeComparedIsLeftAlone(t *testing.T) {
	for name, spoil := range map[string]func(*fakeReplica){
		"being built":   func(f *fakeReplica) { f.building = true },
		"not confirmed": func(f *fakeReplica) { f.standing.Confirmed = false },
		"not ready":     func(f *fakeReplica) { f.standing.Role = kv.RoleNotReady },
		"a fallback":    func(f *fakeReplica) { f.standing.Role = kv.RoleFallback },
		"no owner":      func(f *fakeReplica) { f.standing.Role = kv.RoleNotOwner },
		"refilled":      func(f *fakeReplica) { f.standing.Instance = 99 },
		"purged":        func(f *fakeReplica) { f.standing.Epoch++ },
	} {
		for _, far := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, far %t", name, far), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := newStage(t, nil)
					s.b.set(1, keyOf(1), version(nodeB, 1, "v"))
					if far {
						spoil(s.b)
					} else {
						spoil(s.a)
					}
					for p := range uint16(testPartitions) {
						outcome, err := s.once(p, nodeB)
						if outcome != NotComparable || !errors.Is(err, errNotComparable) {
							t.Errorf("%v, %v", outcome, err)
						}
					}
					lists := s.a.made(wire.MethodTreeList) + s.b.made(wire.MethodTreeList)
					if lists > 0 || len(s.a.holds()) > 0 {
						t.Errorf("%d lists were made, %d keys copied", lists, len(s.a.holds()))
					}
				})
			})
		}
	}
}

// Both sides of a pair are repaired directly, whatever a quorum of others would say; nobody
// else is asked (TRAPS M5).
func TestTrapM5ExactlyTheComparedPairIsRepaired(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, nil)
		for i := range 20 {
			s.a.set(1, keyOf(i), version(nodeA, uint64(i+1), "v"))
			s.c.set(1, keyOf(i), version(nodeA, uint64(i+1), "v"))
		}
		s.both(nodeB)
		s.equal(s.a, s.b)
		for _, method := range []string{
			wire.MethodTreeSums, wire.MethodTreeList, wire.MethodRead, wire.MethodStore,
		} {
			if n := s.c.made(method); n > 0 {
				t.Errorf("the third owner got %d calls of %s", n, method)
			}
		}
	})
}

// Trees of another placement version, or another shape, say nothing about each other
// (TRAPS M7), also where the one that is asked does not mind.
func TestTrapM7TreesOfAnotherPlacementAreNotCompared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for i := range 4 {
			far, careless := i%2 == 1, i/2 == 1
			s := newStage(t, nil)
			s.b.set(1, keyOf(1), version(nodeB, 1, "v"))
			of := s.a
			if far {
				of = s.b
			}
			of.careless = careless
			of.state(func(st *wire.Standing) { st.Placement++ })
			for p := range uint16(testPartitions) {
				if outcome, err := s.once(p, nodeB); outcome != NotComparable {
					t.Errorf("far %t: %v, %v", far, outcome, err)
				}
			}
			if len(s.a.holds()) > 0 {
				t.Error("a key was copied")
			}
		}
	})
}

// Goal: a repair that stood still while a key was deleted and purged brings nothing back
// (TRAPS S11). Method: between the read of the old value and its store the key is purged
// everywhere, and the epoch rises.
func TestTrapS11ARepairPausedOverAPurgeIsRefusedAndReadAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, nil)
		key, other := keyOf(1), keyOf(2)
		s.b.set(1, key, version(nodeB, 1, "zombie"))
		s.b.set(1, other, version(nodeB, 2, "lives"))
		purged := false
		s.a.before = func(method string) {
			if method != wire.MethodStore || purged {
				return
			}
			purged = true
			for _, f := range []*fakeReplica{s.a, s.b} {
				f.set(1, key, kv.Object{})
				f.state(func(st *wire.Standing) { st.Epoch = 2 })
			}
		}
		for p := range uint16(testPartitions) {
			if outcome, err := s.once(p, nodeB); !outcome.settled() {
				t.Errorf("%v, %v", outcome, err) // it was to be read again, there and then
			}
		}
		s.equal(s.a, s.b)
		s.a.mu.Lock()
		defer s.a.mu.Unlock()
		if !s.a.object(1, key).IsZero() {
			t.Error("a purged key is back")
		}
		if s.a.object(1, other).IsZero() || !purged {
			t.Error("what was not purged is not there, or nothing was purged")
		}
	})
}

// Data of an epoch before the other side's is never sent with the newer epoch.
func TestWhatIsSentCarriesTheEpochOfItsRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, nil)
		s.b.set(1, keyOf(1), version(nodeB, 1, "v"))
		reads := 0
		s.b.before = func(method string) {
			if method == wire.MethodRead {
				if reads++; reads == 2 { // the whole copy; A has purged since it was asked last
					s.a.state(func(st *wire.Standing) { st.Epoch = 2 })
				}
			}
		}
		for p := range uint16(testPartitions) {
			if outcome, err := s.once(p, nodeB); outcome == Repaired {
				t.Errorf("%v, %v", outcome, err)
			}
		}
		if len(s.a.holds()) > 0 {
			t.Error("data of an older epoch was stored")
		}
	})
}
