// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// load gives both owners keys, most of them the same, and some that only one has.
func (l *lab) load() {
	for n := range 40 {
		key := fmt.Sprintf("k%02d", n)
		l.hold(2, key, uint64(n)+1, "v")
		l.owners[3].objects[key] = l.owners[2].objects[key]
	}
	l.hold(2, "only-2", 100, "x")
	l.hold(3, "only-3", 100, "x")
	l.hold(3, "k00", 101, "sibling")
}

func TestAStoreIsFilledFromAllOwners(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.load()
		f := l.filler()
		full, err := f.Run(t.Context())
		if err != nil || !full || len(l.finished) != 2 || l.fence != l.refill.Since {
			t.Fatalf("%v, %v, sources %v, fence %d", full, err, l.finished, l.fence)
		}
		l.whole()
		if s := f.Status(); s.Phase != phaseFull || s.Why != "" {
			t.Errorf("%+v", s)
		}
		if full, err := l.filler().Run(t.Context()); !full || err != nil {
			t.Errorf("a refill that is over: %v, %v", full, err)
		}
	})
}

func TestARefillWaitsForAnOwnerThatIsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.load()
		l.owners[3].down = true
		f := l.filler()
		ended := make(chan bool, 1)
		go func() { full, _ := f.Run(t.Context()); ended <- full }()
		time.Sleep(time.Minute)
		if s := f.Status(); len(ended) > 0 || !strings.Contains(s.Why, "down") ||
			len(s.Missing) != 1 || s.Missing[0] != 3 || s.Pairs != 2*partitions ||
			s.PairsCopied != partitions || len(s.Sources) != 1 || s.Sources[0].Node != 2 {
			t.Fatalf("%+v", s)
		}
		l.change(func() {
			l.owners[3].down = false
			l.meet = func(node kv.NodeID, q *wire.ScanRequest) {
				if why := f.Status().Why; node == 3 && q.Partition > 0 && why != "" {
					t.Errorf("it goes on, and still says %q", why)
				}
			}
		})
		if !<-ended || len(l.finished) != 2 {
			t.Errorf("sources %v", l.finished)
		}
		l.whole()
	})
}

func TestAnOwnerThatIsGivenUpIsNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.load()
		l.owners[3].down = true
		l.refill = l.refill.Accept([]kv.NodeID{3})
		if full, err := l.filler().Run(t.Context()); !full || err != nil || len(l.finished) != 1 {
			t.Errorf("%v, %v, sources %v", full, err, l.finished)
		}
	})
}

func TestASourceThatIsGivenUpLaterIsNotCompared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.load()
		f := l.filler()
		l.meet = func(kv.NodeID, *wire.ScanRequest) {
			if l.saves == 2*partitions {
				l.owners[3].down = true // it was copied
			}
		}
		time.AfterFunc(time.Minute, func() {
			l.change(func() { l.refill = l.refill.Accept([]kv.NodeID{3}) })
		})
		if full, err := f.Run(t.Context()); !full || err != nil || len(l.finished) != 2 {
			t.Errorf("%v, %v, sources %v", full, err, l.finished)
		}
	})
}

// Goal: I4. What was copied is not copied again by the next process, and is compared.
func TestARefillGoesOnAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.load()
		ctx, stop := context.WithCancel(t.Context())
		l.meet = func(node kv.NodeID, q *wire.ScanRequest) {
			if node == 3 && q.Partition == 2 {
				stop()
			}
		}
		if full, err := l.filler().Run(ctx); full || err != nil {
			t.Fatalf("%v, %v", full, err)
		}
		first := true
		l.meet = func(node kv.NodeID, q *wire.ScanRequest) {
			if first && (node != 3 || q.Partition != 2) {
				t.Errorf("it goes on with partition %d of node %d", q.Partition, node)
			}
			first = false
		}
		if full, err := l.filler().Run(t.Context()); !full || err != nil {
			t.Fatalf("%v, %v", full, err)
		}
		l.whole()
	})
}

func TestTrapsT12ASourceThatWasReplacedIsCopiedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.notes = []wire.RefillSource{{Node: 2, Instance: instance - 1, Copied: []byte{0x0f}}}
		l.load()
		if full, err := l.filler().Run(t.Context()); !full || err != nil || !l.owners[2].fenced {
			t.Fatalf("%v, %v", full, err)
		}
		l.whole()
		if l.notes[0].Instance != instance {
			t.Errorf("noted %+v", l.notes)
		}
	})
}

// Goal: I3. What the copy missed is found by comparing, and a round that found something is
// not one of the two clean ones.
func TestTrapsT13TwoRoundsInARowMustFindNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.load()
		var key string
		for n := 0; key == ""; n++ {
			name := fmt.Sprintf("late%d", n)
			if l.ring.PartitionOf(kv.DefaultBucket, []byte(name)) == 0 {
				key = name
			}
		}
		var modes []wire.ReadMode
		l.meet = func(node kv.NodeID, q *wire.ScanRequest) {
			if node != 2 || q.Partition != 0 || len(q.Key) > 0 {
				return
			}
			modes = append(modes, q.Mode)
			if len(modes) == 3 { // the copy, one clean round, and now
				l.hold(2, key, 900, "x")
			}
		}
		if full, err := l.filler().Run(t.Context()); !full || err != nil {
			t.Fatalf("%v, %v", full, err)
		}
		l.whole()
		if len(modes) != 1+1+1+cleanRounds {
			t.Errorf("partition 0 was listed %d times", len(modes))
		}
	})
}

func TestWhatCanNotBeReadKeepsARefillFromItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.load()
		l.owners[2].damaged = true
		f := l.filler()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if full, err := f.Run(ctx); full || err != nil || len(l.finished) > 0 {
			t.Errorf("%v, %v, sources %v", full, err, l.finished)
		}
		if why := f.Status().Why; !strings.Contains(why, "damaged") {
			t.Errorf("it says %q", why)
		}
	})
}

func TestAFailureOfTheOwnDiskEndsIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.load()
		l.failSave = errors.New("no disk")
		if full, err := l.filler().Run(t.Context()); full || !errors.Is(err, l.failSave) {
			t.Errorf("%v, %v", full, err)
		}
	})
}

func TestAnAnswerThatIsNotOfTheFencedOwnerIsNoCopy(t *testing.T) {
	from, refill := source{2, 7}, ring.Refill{Since: 9}
	good := wire.Standing{Role: kv.RoleOwner, Instance: 7, Placement: 9}
	for why, bend := range map[string]func(*wire.Standing){
		"":                   func(*wire.Standing) {},
		"another life":       func(s *wire.Standing) { s.Instance = 8 },
		"not ready":          func(s *wire.Standing) { s.Role = kv.RoleNotReady },
		"an older placement": func(s *wire.Standing) { s.Placement = 8 },
	} {
		s := good
		bend(&s)
		if err := fit(refill, from, s, wire.ReplicaOK, ""); (err == nil) != (why == "") {
			t.Errorf("%s: %v", why, err)
		}
	}
	if fit(refill, from, good, wire.ReplicaUnreadable, "damaged") == nil {
		t.Error("an answer that refuses is taken")
	}
}

// Goal: a write that is under way is not taken for something that the copy missed.
func TestTrapsM3WhatIsUnderWayIsNoDifference(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.load()
		f := l.filler()
		if full, err := f.Run(t.Context()); !full || err != nil {
			t.Fatalf("%v, %v", full, err)
		}
		l.active = true
		l.hold(2, "k01", 700, "under way")
		go func() {
			time.Sleep(f.cfg.Settle / 2)
			o := l.owners[2].objects["k01"]
			p := l.ring.PartitionOf(kv.DefaultBucket, []byte("k01"))
			entry := wire.ScanReply{Entries: []wire.ScanEntry{{Key: []byte("k01"), Object: o}}}
			if err := f.storeAll(t.Context(), wire.Target{
				Bucket: kv.DefaultBucket, Partition: p,
			}, &entry); err != nil {
				t.Error(err)
			}
		}()
		if lacked, err := f.compare(t.Context(), l.refill); err != nil || lacked != 0 {
			t.Errorf("%d keys lacked, %v", lacked, err)
		}
	})
}

// Goal: T19 and G5. A store that is filled takes nothing that is older than what was purged.
func TestTrapsT19PurgeEpochsAreTakenBeforeTheData(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.load()
		l.epoch, l.owners[2].epoch, l.owners[3].epoch = 3, 3, 2
		f := l.filler()
		ended := make(chan bool, 1)
		go func() { full, _ := f.Run(t.Context()); ended <- full }()
		time.Sleep(time.Minute)
		if why := f.Status().Why; len(ended) > 0 || !strings.Contains(why, "purge epoch") {
			t.Fatalf("what an owner read under an older epoch is taken: %q", why)
		}
		if len(l.kept) != partitions || l.kept[0].Adopted != 3 || l.kept[0].Floor != 3 {
			t.Errorf("kept %+v", l.kept)
		}
		l.change(func() { l.owners[3].epoch = 3 })
		if !<-ended {
			t.Error("it did not end")
		}
		l.whole()
	})
}

// TestAPageThatTheStoreHasNoRoomForComesBitByBit: more copies than the store lets wait, page
// after page. What it takes of one is not asked of it again.
func TestAPageThatTheStoreHasNoRoomForComesBitByBit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t, func(c *storage.Config) { c.Shards, c.QueueOps, c.BatchOps = 1, 1, 1 })
		l.load()
		f := l.filler()
		f.cfg.PageKeys = 64
		ended := make(chan bool, 1)
		go func() { full, _ := f.Run(t.Context()); ended <- full }()
		select {
		case full := <-ended:
			if !full {
				t.Error("it ended, and is not full")
			}
			l.whole()
		case <-time.After(5 * time.Minute):
			t.Errorf("it does not come to an end: %+v", f.Status())
		}
	})
}
