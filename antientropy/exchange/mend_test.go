// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// damagedStage is a stage on which A can not read a key; B and C hold one version of it
// each.
func damagedStage(t *testing.T, change func(*Config)) *stage {
	t.Helper()
	s := newStage(t, change)
	s.a.set(1, keyOf(1), version(nodeA, 1, "lost"))
	s.b.set(1, keyOf(1), version(nodeB, 1, "of b"))
	s.c.set(1, keyOf(1), version(nodeC, 1, "of c"))
	s.a.damage(1, keyOf(1))
	return s
}

// mended is what A holds of the damaged key; false where it can not be read.
func (s *stage) mended() (kv.Object, bool) {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	return s.a.object(1, keyOf(1)), !s.a.damaged[placeText(1, keyOf(1))]
}

// An exchange finds the damage, and what all other owners hold takes the record's place
// once the quarantine is over, not before.
func TestADamagedRecordIsMendedFromAllOtherOwners(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := damagedStage(t, nil)
		s.run()
		time.Sleep(s.cfg.Quarantine)
		if _, readable := s.mended(); readable {
			t.Fatal("mended while writes may have been on their way")
		}
		time.Sleep(s.cfg.Quarantine + 3*time.Minute)
		o, readable := s.mended()
		if !readable || len(o.Versions) != 2 {
			t.Errorf("readable %t: %d versions, want those of both others", readable, len(o.Versions))
		}
		s.equal(s.a, s.b)
		s.equal(s.a, s.c)
		if got := s.Status(0).Scrub; got.Mended != 1 || got.Damaged != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// Whoever is left out may be the one that acknowledged a write together with this node.
func TestADamagedRecordIsNotMendedWithoutAllOtherOwners(t *testing.T) {
	for name, spoil := range map[string]func(*stage){
		"one is down":            func(s *stage) { s.peers.dead[nodeC] = true },
		"one can not read it":    func(s *stage) { s.c.damage(1, keyOf(1)) },
		"one is not confirmed":   func(s *stage) { s.c.standing.Confirmed = false },
		"one is not ready":       func(s *stage) { s.c.standing.Role = kv.RoleNotReady },
		"one was refilled":       func(s *stage) { s.c.standing.Instance = 99 },
		"one is elsewhere":       func(s *stage) { s.c.standing.Placement++ },
		"one has purged":         func(s *stage) { s.c.standing.Epoch++ },
		"this one has purged":    func(s *stage) { s.a.standing.Epoch++ },
		"this one is refused":    func(s *stage) { s.a.standing.Role = kv.RoleNotReady },
		"the other one has gone": func(s *stage) { s.peers.dead[nodeB] = true },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := damagedStage(t, nil)
				spoil(s)
				s.run()
				s.Damaged(s.partitionOf(1), 1, keyOf(1))
				time.Sleep(time.Hour)
				if _, readable := s.mended(); readable {
					t.Error("mended")
				}
			})
		})
	}
}

func (s *stage) partitionOf(i int) uint16 {
	for p := range uint16(testPartitions) {
		if _, found := s.a.objects[p][placeText(1, keyOf(i))]; found {
			return p
		}
	}
	s.t.Fatalf("there is no key %d", i)
	return 0
}

// What no read and no exchange meets the scrub finds, in its time.
func TestTheScrubFindsDamageAndRebuildsTrees(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, func(cfg *Config) { cfg.Scrub = 24 * time.Hour })
		for _, f := range []*fakeReplica{s.a, s.b, s.c} {
			f.set(1, keyOf(1), version(nodeB, 1, "v"))
		}
		// Behind the tree's back, as a disk does it.
		s.a.damaged[placeText(1, keyOf(1))] = true
		s.run()
		time.Sleep(5 * time.Minute)
		if _, readable := s.mended(); readable {
			t.Fatal("found already")
		}
		time.Sleep(49 * time.Hour)
		if _, readable := s.mended(); !readable {
			t.Error("a damaged record was not found in two rounds of the scrub")
		}
		got := s.Status(0).Scrub
		if got.Rounds < 1 || got.Rounds > 2 || got.Keys < 1 || got.Partitions != testPartitions {
			t.Errorf("%+v", got)
		}
		if n := s.a.made("rebuild"); n < 3 || n > 4 {
			t.Errorf("%d trees were rebuilt", n)
		}
	})
}

func TestThePlacesOfDamageAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, nil)
		for i := range 2 * maxDamaged {
			s.Damaged(0, 1, keyOf(i/2))
			s.Damaged(0, 1, keyOf(i))
		}
		if got := s.Status(0).Scrub.Damaged; got != maxDamaged {
			t.Errorf("%d are known", got)
		}
	})
}

func TestADamagedKeyThatNobodyHoldsIsRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := damagedStage(t, nil)
		s.b.set(1, keyOf(1), kv.Object{})
		s.c.set(1, keyOf(1), kv.Object{})
		s.Damaged(s.partitionOf(1), 1, keyOf(1))
		s.run()
		time.Sleep(10 * time.Minute)
		if o, readable := s.mended(); !readable || !o.IsZero() {
			t.Errorf("readable %t, %d versions", readable, len(o.Versions))
		}
		s.equal(s.a, s.b)
	})
}
