// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// purgedTo has the partition stand where a whole round has left it.
func (l *life) purgedTo(p uint16, epoch kv.PurgeEpoch) {
	l.parts[p].at.Store(&antientropy.Purges{
		Recorded: epoch, Adopted: epoch, Drained: epoch, Floor: epoch,
	})
}

// bury mints a tombstone over all that is there, and returns the object.
func (l *life) bury(key string) kv.Object {
	l.t.Helper()
	req := l.putting(key, "", l.object(key).Context)
	req.Kind, req.Value = kv.KindTombstone, nil
	if m := l.mint(req); m.Code != wire.ReplicaOK {
		l.t.Fatalf("delete %s: code %d, %s", key, m.Code, m.Detail)
	}
	return l.object(key)
}

// round is a step of a round after an epoch over some keys, as they stand.
func (l *life) round(after, epoch kv.PurgeEpoch, keys ...string) *wire.PurgeRequest {
	l.t.Helper()
	req := &wire.PurgeRequest{Instance: instance, RemainingMS: 1000, After: after, Epoch: epoch}
	for _, key := range keys {
		at, o := l.target(key), l.object(key)
		req.Partition, req.Placement = at.Partition, at.Placement
		req.Items = append(req.Items, wire.PurgeItem{
			TreePlace: wire.TreePlace{Bucket: at.Bucket, Key: at.Key},
			Hash:      antientropy.EntryHash(l.ring.Load().HashSeed(), at.Bucket, at.Key, &o),
		})
	}
	return req
}

// step takes a step, and expects it to end so.
func (l *life) step(
	name string, take func(context.Context, *wire.PurgeRequest) wire.PurgeReply,
	req *wire.PurgeRequest, want wire.PurgeStep,
) wire.PurgeReply {
	l.t.Helper()
	reply := take(l.t.Context(), req)
	if reply.Step != want {
		l.t.Fatalf("%s: step %d, want %d; code %d %q", name, reply.Step, want, reply.Code, reply.Detail)
	}
	return reply
}

// purged takes a key away by a whole round.
func (l *life) purged(key string) {
	l.t.Helper()
	l.bury(key)
	req := l.round(0, 5, key)
	l.counted()
	l.step("look", l.LookPurge, req, wire.PurgeTaken)
	reply := l.step("confirm", l.ConfirmPurge, req, wire.PurgeTaken)
	if !slices.Equal(reply.Holds, []bool{true}) {
		l.t.Fatalf("confirmed %v", reply.Holds)
	}
	l.step("adopt", l.AdoptPurge, req, wire.PurgeOpen)
	l.step("drain", l.DrainPurge, req, wire.PurgeTaken)
	l.step("adopt again", l.AdoptPurge, req, wire.PurgeTaken)
	l.step("delete", l.DeletePurged, req, wire.PurgeTaken)
	if o := l.object(key); !o.IsZero() {
		l.t.Fatalf("after the round %v is there", o)
	}
}

func TestARoundTakesATombstoneAwayAndRefusesWhatIsOlder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told trace.Recorder
		l := begin(t, setup{verdict: kv.VerdictConfirmed, sink: &told})
		l.put("k", "v", vclock.Context{})
		old := l.read("k")
		l.purged("k")
		req := l.copying("k", old.Object)
		req.Class, req.Epoch = kv.ClassReplicated, old.Epoch
		if r := l.merge(req); r.Code != wire.ReplicaStaleEpoch || r.Epoch != 5 {
			t.Errorf("what was read before: code %d, epoch %d", r.Code, r.Epoch)
		}
		if m := l.put("k", "again", old.Object.Context); m.Epoch != 5 {
			t.Errorf("the sends of a put would carry epoch %d", m.Epoch)
		}
		confirmed := 0
		for _, e := range told.Events() {
			if e.Kind == trace.PurgeConfirmed && e.Value == 5 {
				confirmed++
			}
		}
		if confirmed != 1 {
			t.Errorf("the confirmation was told %d times", confirmed)
		}
	})
}

// An owner that has yet to delete what another one may have deleted shows no tree: the
// exchange would give the tombstone back to the other, and the next time to this one.
func TestTrapM8AnOwnerIsNotComparedWhileARoundIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.put("k", "v", vclock.Context{})
		l.bury("k")
		l.rebuild()
		l.counted()
		req := l.round(0, 5, "k")
		compared := func(when string, want wire.ReplicaCode) {
			t.Helper()
			at := l.asking(req.Partition)
			sums := l.TreeSums(&wire.TreeSumsRequest{
				TreeTarget: at, Level: wire.TreeRoot, Nodes: []uint16{0},
			})
			list := l.TreeEntries(&wire.TreeListRequest{TreeTarget: at, Limit: 7})
			if sums.Code != want || list.Code != want {
				t.Errorf("%s: codes %d and %d, want %d: %s", when, sums.Code, list.Code, want, sums.Detail)
			}
		}
		compared("before", wire.ReplicaOK)
		l.step("confirm", l.ConfirmPurge, req, wire.PurgeTaken)
		compared("confirmed", wire.ReplicaOK)
		l.step("adopt", l.AdoptPurge, req, wire.PurgeOpen)
		compared("adopted", wire.ReplicaNotComparable)
		l.step("drain", l.DrainPurge, req, wire.PurgeTaken)
		compared("drained", wire.ReplicaNotComparable)
		l.step("delete", l.DeletePurged, req, wire.PurgeTaken)
		compared("deleted", wire.ReplicaOK)

		// A round whose leader has gone holds the exchange up for its time, and no longer.
		l.bury("k")
		next := l.round(5, 6, "k")
		l.step("confirm", l.ConfirmPurge, next, wire.PurgeTaken)
		l.step("adopt", l.AdoptPurge, next, wire.PurgeOpen)
		compared("adopted without an end", wire.ReplicaNotComparable)
		time.Sleep(roundTime)
		compared("after the time of a round", wire.ReplicaOK)
	})
}

func TestOnlyWhatIsHeldExactlySoIsConfirmed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		value, gone, absent := "k0", "", ""
		for n := 1; absent == ""; n++ { // two more keys of the partition
			key := "k" + string(rune('0'+n))
			switch {
			case l.target(key).Partition != l.target(value).Partition:
			case gone == "":
				gone = key
			default:
				absent = key
			}
		}
		l.put(value, "v", vclock.Context{})
		l.put(gone, "v", vclock.Context{})
		l.bury(gone)
		req := l.round(0, 5, value, gone, gone, absent)
		req.Items[2].Hash++
		reply := l.step("confirm", l.ConfirmPurge, req, wire.PurgeTaken)
		if want := []bool{false, true, false, false}; !slices.Equal(reply.Holds, want) {
			t.Errorf("confirmed %v, want %v", reply.Holds, want)
		}
	})
}

// TestTrapG3AnAdoptedEpochIsOpenWhileHintsAreKept: and until it has drained, a node sends
// and shows its hints as what they may be.
func TestTrapG3AnAdoptedEpochIsOpenWhileHintsAreKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		key := l.outer(0)
		l.hint(key, 1, written(2, "x"))
		at := l.target(key)
		req := &wire.PurgeRequest{
			Partition: at.Partition, Placement: at.Placement, Instance: instance, Epoch: 5,
		}
		l.step("look before the hints are counted", l.LookPurge, req, wire.PurgeOpen)
		l.counted()
		l.step("look", l.LookPurge, req, wire.PurgeOpen)
		l.step("adopt", l.AdoptPurge, req, wire.PurgeOpen)
		l.step("drain", l.DrainPurge, req, wire.PurgeOpen)
		late := l.hinting(key, 1, written(3, "late"))
		if r := l.merge(late); r.Code != wire.ReplicaStaleEpoch || r.Epoch != 5 {
			t.Errorf("a hint of before: code %d, epoch %d", r.Code, r.Epoch)
		}
		late.Epoch = 5
		if r := l.merge(late); r.Code != wire.ReplicaOK {
			t.Errorf("a hint of now: code %d, %s", r.Code, r.Detail)
		}
		h := l.listed(l.cell(key, 1))[0]
		if r := l.read(key); h.Epoch != 0 || r.Epoch != 0 || r.Role != kv.RoleFallback {
			t.Errorf("hints are sent with epoch %d, and shown as of %d", h.Epoch, r.Epoch)
		}
		l.drop(h, h.Object.Context)
		l.step("drain", l.DrainPurge, req, wire.PurgeTaken)
		if r := l.read(key); r.Epoch != 5 {
			t.Errorf("after that they are shown as of epoch %d", r.Epoch)
		}
		if r := l.ConfirmPurge(t.Context(), req); r.Code != wire.ReplicaRefused {
			t.Errorf("a node that is no owner confirms: code %d", r.Code)
		}
		if r := l.DeletePurged(t.Context(), req); r.Code != wire.ReplicaRefused {
			t.Errorf("a node that is no owner deletes: code %d", r.Code)
		}
	})
}

// TestTrapG5AnOwnerThatTookNoPartIsNotReady: what it holds may have been deleted.
func TestTrapG5AnOwnerThatTookNoPartIsNotReady(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			l := fresh(t)
			l.put("k", "v", vclock.Context{})
			l.bury("k")
			req := l.round(0, 5, "k")
			l.step("confirm", l.ConfirmPurge, req, wire.PurgeTaken)
			s := l.crashed(nil)
			if s.verdict = kv.VerdictConfirmed; !recorded {
				s.past.Purges = nil // the directory is one of before
			}
			l = begin(t, s)
			if err := l.HeedPurge(t.Context(), req.Partition, 5); err != nil {
				t.Fatal(err)
			}
			r := l.read("k")
			if recorded && (r.Code != wire.ReplicaOK || r.Epoch != 5) {
				t.Errorf("it has recorded the round: code %d %q, epoch %d", r.Code, r.Detail, r.Epoch)
			}
			if !recorded && (r.Code != wire.ReplicaRefused || r.Role != kv.RoleNotReady) {
				t.Errorf("it has not: code %d as %s", r.Code, r.Role)
			}
			if m := l.mint(l.putting("k", "x", vclock.Context{})); (m.Code == wire.ReplicaOK) != recorded {
				t.Errorf("recorded %t, and a put ends with code %d", recorded, m.Code)
			}
			if recorded {
				return
			}
			l.step("adopt", l.AdoptPurge, req, wire.PurgeRefused)
			if err := l.GivenPurge(t.Context(), req.Partition, 5); err != nil {
				t.Fatal(err)
			}
			if r := l.read("k"); r.Code != wire.ReplicaOK || r.Epoch != 5 {
				t.Errorf("once it is filled: code %d %q, epoch %d", r.Code, r.Detail, r.Epoch)
			}
		})
	}
}

// TestTrapG7StepsOfAnotherPlacementAreNotTaken: nor while a slot moves.
func TestTrapG7StepsOfAnotherPlacementAreNotTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.put("k", "v", vclock.Context{})
		l.bury("k")
		l.counted()
		req := l.round(0, 5, "k")
		refused := func(name string) {
			t.Helper()
			l.step(name+": look", l.LookPurge, req, wire.PurgeRefused)
			l.step(name+": confirm", l.ConfirmPurge, req, wire.PurgeRefused)
			l.step(name+": adopt", l.AdoptPurge, req, wire.PurgeRefused)
			l.step(name+": drain", l.DrainPurge, req, wire.PurgeRefused)
			l.step(name+": delete", l.DeletePurged, req, wire.PurgeRefused)
		}
		req.Placement++
		refused("a newer placement")
		req.Placement--
		req.Instance++
		refused("another store")
		req.Instance--
		l.Confirm(kv.VerdictUnknown)
		refused("a store that is not confirmed")
		l.Confirm(kv.VerdictConfirmed)
		wide := wideRing(t)
		l.ring.Store(changed(t, wide, func(s *ring.State) {
			slots := s.Placements[req.Partition].Slots
			outside := wide.Preference(req.Partition).Fallbacks[0]
			slots[0] = kv.Slot{Owner: slots[0].Owner, Next: outside, Phase: kv.PhaseWriteBothReadOld}
		}))
		refused("a slot that moves")
	})
}

// TestTrapG8WhatWasWrittenSinceTheConfirmationStays: a purge takes only what it names.
func TestTrapG8WhatWasWrittenSinceTheConfirmationStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.put("k", "v", vclock.Context{})
		seen := l.bury("k").Context
		l.counted()
		req := l.round(0, 5, "k")
		l.step("confirm", l.ConfirmPurge, req, wire.PurgeTaken)
		l.step("delete too early", l.DeletePurged, req, wire.PurgeBehind)
		l.step("adopt", l.AdoptPurge, req, wire.PurgeOpen)
		l.step("delete before it has drained", l.DeletePurged, req, wire.PurgeBehind)
		l.step("drain", l.DrainPurge, req, wire.PurgeTaken)
		l.put("k", "newer", seen)
		l.step("delete", l.DeletePurged, req, wire.PurgeTaken)
		if got := values(l.object("k")); !slices.Equal(got, []string{"newer"}) {
			t.Errorf("after the purge the key holds %q", got)
		}
	})
}

func TestStepsThatCanNotBeKeptAreNotTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, points := pointed(t)
		l.put("k", "v", vclock.Context{})
		l.bury("k")
		req := l.round(0, 5, "k")
		points.Arm(PointPurgeStep, fail.Plan{Times: 1, Err: errBroken})
		reply := l.step("confirm", l.ConfirmPurge, req, wire.PurgeRefused)
		if reply.Code != wire.ReplicaFailed || reply.Holds != nil || len(l.kept) != 0 {
			t.Errorf("code %d, holds %v, kept %v", reply.Code, reply.Holds, l.kept)
		}
		l.step("adopt", l.AdoptPurge, req, wire.PurgeMissed)
	})
}

func TestWhereAStoreStandsInRoundsOutlivesItsLives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.put("k", "v", vclock.Context{})
		l.purged("k")
		s := l.stopped()
		s.verdict = kv.VerdictConfirmed
		l = begin(t, s)
		p := l.target("k").Partition
		if got, want := l.parts[p].stand(), (antientropy.Purges{
			Recorded: 5, Adopted: 5, Drained: 5, Floor: 5,
		}); got != want {
			t.Errorf("it stands at %+v", got)
		}
		if r := l.merge(l.copying("k", written(2, "x"))); r.Code != wire.ReplicaStaleEpoch {
			t.Errorf("older data: code %d", r.Code)
		}
	})
}
