// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// A cluster that starts while its group is out of reach serves what needs no group, and
// all of it once the group is back.
func TestStoreServesWithoutItsGroupButNotStrictly(t *testing.T) {
	moods := map[string]groupMood{"which fails": groupFails, "which does not answer": groupHangs}
	for name, mood := range moods {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 3, 3)
				r.startAll()
				must(t, r.members[0].client().put(strict("k", "v")))
				for _, m := range r.members {
					must(t, m.stop())
				}
				r.group.become(mood)
				for _, m := range r.members {
					m.start()
				}
				s := r.members[0].client()
				loose := wire.GetRequest{Key: []byte("k")}
				eventually(t, 5*time.Second, "it serves", func() bool {
					got, err := s.get(loose)
					return err == nil && len(got.Siblings) == 1
				})
				must(t, s.put(wire.PutRequest{Key: []byte("k2"), Value: []byte("v")}))
				if _, err := s.get(strictly("k")); codeOf(err) != wire.CodeQuorum {
					t.Errorf("a strict read without a group: %v, want QUORUM", err)
				}
				if err := s.put(strict("k3", "v")); codeOf(err) != wire.CodeQuorum {
					t.Errorf("a strict write without a group: %v, want QUORUM", err)
				}
				eventually(t, 5*time.Second, "others see that it is not confirmed", func() bool {
					status, err := s.status()
					return err == nil && status.Members[1].Ready && !status.Members[1].Confirmed
				})
				r.group.become(groupAnswers)
				r.awaitReady()
				if got, err := s.get(strictly("k2")); err != nil || len(got.Siblings) != 1 {
					t.Errorf("a strict read with the group: %+v, %v", got, err)
				}
				eventually(t, 5*time.Second, "others see that it is confirmed", func() bool {
					status, err := s.status()
					return err == nil && status.Members[1].Ready && status.Members[1].Confirmed
				})
			})
		})
	}
}

// Whichever of store and group has written the opening down when the process dies, the
// next one is accepted, also after several such ends and in any order.
func TestProcessThatDiesBetweenStoreAndGroupIsAcceptedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		must(t, r.members[0].client().put(strict("k", "value of k")))
		m := r.members[2]
		for i, mood := range []groupMood{
			groupFails, groupMute, groupMute, groupFails, groupFails, groupMute, groupFails,
		} {
			m.kill(i%2 == 0)
			r.group.become(mood)
			m.start()
			time.Sleep(2500 * time.Millisecond) // it asks a few times
			if s := m.life.node.Status(); s.Confirmed || s.Refused {
				t.Fatalf("after end %d: %+v", i, s)
			}
		}
		m.kill(false)
		r.group.become(groupAnswers)
		m.start()
		r.awaitReady()
		r.demand([]string{"k"})
	})
}

// The same where the directory is new: it may have been accepted by a group whose answer
// never came.
func TestNewStoreThatDiesBeforeItHearsOfItsConfirmationIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mood := range []groupMood{groupFails, groupMute} {
			r := newRig(t, 1, 1)
			r.group.become(mood)
			m := r.members[0]
			for range 3 {
				m.start()
				time.Sleep(2500 * time.Millisecond)
				m.kill(true)
			}
			r.group.become(groupAnswers)
			m.start()
			r.awaitReady()
			must(t, m.client().put(strict("k", "v")))
			must(t, m.stop())
		}
		time.Sleep(time.Minute)
	})
}

func TestEmptyStoreServesNothingBeforeTheGroupHasBeenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.group.become(groupFails)
		for _, m := range r.members {
			m.start()
		}
		time.Sleep(10 * time.Second)
		s := r.members[0].client()
		err := s.put(wire.PutRequest{Key: []byte("k"), Value: []byte("v")})
		if code := codeOf(err); code.Outcome(wire.OpWrite) != wire.OutcomeNone {
			t.Errorf("a write: %v, want an outcome of none", err)
		}
		if _, err := s.get(wire.GetRequest{Key: []byte("k")}); codeOf(err) != wire.CodeQuorum {
			t.Errorf("a read: %v, want QUORUM", err)
		}
		for _, m := range r.members {
			if records := m.controlRecords(); len(records) > 0 {
				t.Errorf("%s wrote into its directory before it was accepted", m.Name)
			}
		}
		r.group.become(groupAnswers)
		r.awaitReady()
		must(t, s.put(strict("k", "v")))
	})
}

func TestWipedStoreIsRefusedAndTheOthersSeeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		must(t, r.members[0].client().put(strict("k", "v")))
		wiped := r.members[0]
		must(t, wiped.stop())
		wiped.data, wiped.ctrl = storage.NewMemory(), storage.NewMemory()
		wiped.start()
		eventually(t, 5*time.Second, "it is refused", func() bool {
			return wiped.life.node.Status().Refused
		})
		eventually(t, 5*time.Second, "the others see it", func() bool {
			status, err := r.members[1].client().status()
			return err == nil && status.Members[0].State == wire.StateUp &&
				!status.Members[0].Ready && status.Members[0].Reason != ""
		})
		// What it lacks is never told as not found; through it the others are reached.
		got, err := wiped.client().get(wire.GetRequest{Key: []byte("k")})
		if err != nil || len(got.Siblings) != 1 {
			t.Errorf("a read through it: %+v, %v", got, err)
		}
		must(t, wiped.client().put(wire.PutRequest{Key: []byte("k2"), Value: []byte("v")}))
		_, err = wiped.client().get(wire.GetRequest{
			Key: []byte("k"), ReadOptions: wire.ReadOptions{R: kv.LevelAll},
		})
		if codeOf(err) != wire.CodeQuorum {
			t.Errorf("r=all: %v, want QUORUM", err)
		}
	})
}

// The incarnations that a clean mark keeps must not go on without what they wrote: a blind
// write would cover what the others still have.
func TestStoreWhoseDataAloneIsGoneIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		m := r.members[0]
		must(t, m.client().put(strict("k", "value of k")))
		must(t, m.stop())
		m.data = storage.NewMemory()
		for range 3 { // each time anew
			m.start()
			eventually(t, 5*time.Second, "it is refused", func() bool {
				return m.life.node.Status().Refused
			})
			s := m.client()
			eventually(t, 5*time.Second, "the others are read through it", func() bool {
				got, err := s.get(strictly("k"))
				return err == nil && len(got.Siblings) == 1
			})
			must(t, m.stop())
		}
	})
}

// A group that was recovered from an older copy accepts what it has refused before.
func TestARefusedStoreStaysRefusedWhateverTheGroupRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		m := r.members[0]
		must(t, m.stop())
		control := storage.OpenControl(m.ctrl, zap.NewNop())
		record, _, err := control.Get(wire.KeyOpens)
		must(t, err)
		opens, err := wire.DecodeOpensRecord(record)
		must(t, err)
		opens.Refused = true
		must(t, control.Put(wire.KeyOpens, wire.AppendOpensRecord(nil, &opens)))
		for range 2 {
			m.start()
			time.Sleep(5 * time.Second)
			if s := m.life.node.Status(); !s.Refused || s.Confirmed {
				t.Errorf("%+v", s)
			}
			must(t, m.stop())
		}
	})
}

func TestWriteThroughANodeThatOwnsNothingOfItIsForwardedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5, 3)
		r.startAll()
		for _, m := range r.members {
			s := m.client()
			for _, key := range []string{"a", "b", "c", "d"} {
				key = m.Name + "/" + key
				must(t, s.put(strict(key, "value of "+key)))
			}
		}
		var all []string
		for _, m := range r.members {
			for _, key := range []string{"a", "b", "c", "d"} {
				all = append(all, m.Name+"/"+key)
			}
		}
		r.demand(all)
	})
}

func TestNodeThatDrainsFinishesItsWorkAndIsSeenToLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		m := r.members[0]
		m.data.SetSyncTime(300 * time.Millisecond)
		s := m.client()
		written := make(chan error, 1)
		go func() {
			written <- s.put(wire.PutRequest{
				Key: []byte("k"), Value: []byte("value of k"),
				WriteOptions: wire.WriteOptions{W: kv.LevelAll, PW: kv.LevelAll},
			})
		}()
		time.Sleep(50 * time.Millisecond)
		stopped := make(chan error, 1)
		go func() { stopped <- m.stop() }()
		eventually(t, time.Second, "the others see it drain", func() bool {
			status, err := r.members[1].client().status()
			return err == nil && status.Members[0].Reason == "draining"
		})
		if err := <-written; err != nil {
			t.Errorf("the write that was under way: %v", err)
		}
		must(t, <-stopped)
		if !m.hasCleanMark() {
			t.Error("it left no clean mark")
		}
		m.start()
		r.awaitReady()
		r.demand([]string{"k"})
	})
}
