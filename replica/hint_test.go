// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// written is an object with one version of its own writer.
func written(writer vclock.Actor, value string) kv.Object {
	v := kv.Version{
		Dot:  vclock.Dot{Actor: writer<<48 | 9, Counter: 1},
		Kind: kv.KindValue, Value: []byte(value), Stamp: kv.StampAt(1000 * int64(writer)),
	}
	o, err := kv.Object{}.Put(v.Sealed(), vclock.Context{})
	if err != nil {
		panic(err)
	}
	return o
}

func TestHintsOfOneSlotAreMergedAndThoseOfOthersStandApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		key := l.outer(0)
		l.hint(key, 0, written(2, "a"))
		l.hint(key, 0, written(3, "b"))
		l.hint(key, 0, written(3, "b")) // again: it brings nothing
		l.hint(key, 2, written(3, "c"))
		for slot, want := range map[uint8][]string{0: {"a", "b"}, 1: nil, 2: {"c"}} {
			var got []string
			for _, h := range l.listed(l.cell(key, slot)) {
				if string(h.Key) != key || h.Bucket != 1 || h.IsMarker() || h.Err != nil {
					t.Errorf("slot %d: %+v", slot, h)
				}
				got = append(got, values(h.Object)...)
			}
			if !cmp.Equal(got, want) {
				t.Errorf("for slot %d: %q, want %q", slot, got, want)
			}
		}
		l.counted()
	})
}

func TestHintRefusals(t *testing.T) {
	cases := []struct {
		name   string
		change func(*life, *wire.StoreRequest)
		code   wire.ReplicaCode
		role   kv.Role
	}{
		{"without values", func(_ *life, r *wire.StoreRequest) {
			r.Object = r.Object.WithoutValues()
		}, wire.ReplicaRefused, kv.RoleFallback},
		{"without a version", func(_ *life, r *wire.StoreRequest) {
			r.Object = kv.Object{Context: r.Object.Context}
		}, wire.ReplicaRefused, kv.RoleFallback},
		{"another instance", func(_ *life, r *wire.StoreRequest) { r.Instance-- },
			wire.ReplicaRefused, kv.RoleFallback},
		{"a placement that is not known here", func(_ *life, r *wire.StoreRequest) { r.Placement++ },
			wire.ReplicaRefused, kv.RoleFallback},
		{"a slot that there is not", func(_ *life, r *wire.StoreRequest) { r.Slot = 3 },
			wire.ReplicaRefused, kv.RoleFallback},
		{"a partition that the key is not in", func(l *life, r *wire.StoreRequest) {
			r.Key = []byte(l.inner(0))
		}, wire.ReplicaRefused, kv.RoleFallback},
		{"data read under an older purge epoch", func(l *life, r *wire.StoreRequest) {
			l.purgedTo(r.Partition, 3)
			r.Epoch = 2
		}, wire.ReplicaStaleEpoch, kv.RoleFallback},
		{"a client's write below the fence of the hint", func(l *life, r *wire.StoreRequest) {
			l.hint(string(r.Key), 1, foreign(9, "newer", kv.Object{Fence: 8}, vclock.Context{}))
		}, wire.ReplicaFenced, kv.RoleFallback},
		{"a deleted bucket", func(l *life, _ *wire.StoreRequest) {
			l.cfg.Deleted = func(kv.BucketID) bool { return true }
		}, wire.ReplicaNoBucket, kv.RoleFallback},
		{"a store that the group refuses", func(l *life, _ *wire.StoreRequest) {
			l.Confirm(kv.VerdictForked)
		}, wire.ReplicaRefused, kv.RoleNotReady},
		{"before formation", func(l *life, _ *wire.StoreRequest) { l.ring.Store(nil) },
			wire.ReplicaRefused, kv.RoleNotReady},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := beginWide(t, setup{})
				key := l.outer(0)
				at := l.cell(key, 1)
				req := l.hinting(key, 1, written(2, "x"))
				c.change(l, req)
				a := l.merge(req)
				if a.Code != c.code || a.Role != c.role || a.Detail == "" {
					t.Errorf("code %d as %s, %q; want %d as %s", a.Code, a.Role, a.Detail, c.code, c.role)
				}
				cur, err := l.store.In(storage.HintsFor(1)).Read(at.Partition, 1, []byte(key), storage.ModeBare)
				if _, found := cur.Object.Find(written(2, "x").Versions[0].Dot); found || err != nil {
					t.Errorf("the refused hint is there, %v", err)
				}
			})
		})
	}
}

// A store that the group could not be asked about yet counts for w as an owner, and so it
// does as a fallback. An empty one of which nobody knows whether it may be empty does not.
func TestAnUnconfirmedStoreMayBeAFallbackUnlessItIsNew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		key := l.outer(0)
		l.hint(key, 0, written(2, "x"))
		s := l.crashed(nil)
		s.verdict = kv.VerdictUnknown
		l = beginWide(t, s)
		l.hint(key, 1, written(2, "x"))
		if r := l.read(key); r.Role != kv.RoleFallback || r.Confirmed || len(r.Object.Versions) != 1 {
			t.Errorf("%+v", r)
		}
		fresh := beginWide(t, setup{verdict: kv.VerdictUnknown})
		if r := fresh.merge(fresh.hinting(key, 1, written(2, "x"))); r.Role != kv.RoleNotReady {
			t.Errorf("a new store keeps hints: %+v", r)
		}
	})
}

// TestTrapS3AnEmptyFallbackSaysThatItIsOne: whoever asks does not take it for not-found.
func TestTrapS3AnEmptyFallbackSaysThatItIsOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		l.counted()
		r := l.read(l.outer(0))
		if r.Code != wire.ReplicaOK || r.Role != kv.RoleFallback || !r.Object.IsZero() {
			t.Errorf("%+v", r)
		}
	})
}

func TestAFallbackShowsTheMergeOfAllItsHintsOfAKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		key := l.outer(0)
		l.hint(key, 0, written(2, "a"))
		l.hint(key, 2, kv.Merge(written(2, "a"), written(3, "b")))
		l.hint(l.outer(1), 0, written(2, "other"))
		for _, counted := range []bool{false, true} {
			if r := l.read(key); r.Role != kv.RoleFallback || !cmp.Equal(values(r.Object), []string{"a", "b"}) {
				t.Errorf("%s: %q", r.Role, values(r.Object))
			}
			digest := l.Read(&wire.ReadRequest{Target: l.target(key), Mode: wire.ReadBare})
			if len(digest.Object.Versions) != 2 || digest.Object.Versions[0].Value != nil {
				t.Errorf("a digest: %v", digest.Object)
			}
			if !counted {
				l.counted()
			}
		}
	})
}

// TestTrapS10HintsAreNeverTakenForOwnData: a fallback that becomes an owner begins with
// nothing, and refuses to be a fallback of its own partition.
func TestTrapS10HintsAreNeverTakenForOwnData(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		key := l.outer(0)
		l.hint(key, 0, written(2, "old"))
		at := l.target(key).Partition
		l.ring.Store(changed(t, l.ring.Load(), func(s *ring.State) {
			s.Placements[at].Slots[0] = kv.Stable(self)
			s.Placements[at].Version++
		}))
		if o := l.object(key); !o.IsZero() {
			t.Errorf("the new owner shows %q", values(o))
		}
		if page := l.listed(HintCell{at, 0}); len(page) != 1 {
			t.Errorf("%d hints are left for their delivery", len(page))
		}
		if r := l.merge(l.hinting(key, 0, written(3, "x"))); r.Code != wire.ReplicaRefused ||
			r.Role != kv.RoleOwner {
			t.Errorf("it is its own fallback: %+v", r)
		}
	})
}

// TestTrapS12AMemberIsNoFallbackOfItsPartition: its copy would count twice.
func TestTrapS12AMemberIsNoFallbackOfItsPartition(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		key := l.inner(0)
		p := l.target(key).Partition
		for slot := range uint8(3) {
			r := l.merge(l.hinting(key, slot, written(2, "x")))
			if r.Code != wire.ReplicaRefused || r.Role != kv.RoleOwner {
				t.Errorf("slot %d: %+v", slot, r)
			}
		}
		slot, _ := l.ring.Load().SlotOf(p, self)
		outside := l.ring.Load().Preference(p).Fallbacks[0]
		l.ring.Store(changed(t, l.ring.Load(), func(s *ring.State) { // also while it joins
			s.Placements[p].Slots[slot] = kv.Slot{
				Owner: outside, Next: self, Phase: kv.PhaseWriteBothReadOld,
			}
		}))
		if r := l.merge(l.hinting(key, 0, written(2, "x"))); r.Role != kv.RoleOwner {
			t.Errorf("a member that joins: %+v", r)
		}
		if s := l.HintStatus(); len(s.Cells) != 0 {
			t.Errorf("it keeps %+v", s.Cells)
		}
	})
}

func TestAboveTheBoundHintsAreRefusedAndNeverDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const kept = 10
		room := kept * weightOf([]byte("key-00"), new(written(2, "x"))).bytes
		l := beginWide(t, setup{hints: room})
		n := 0
		for i := range 2 * kept {
			r := l.merge(l.hinting(l.outer(i), 0, written(2, "x")))
			switch {
			case r.Code == wire.ReplicaOK:
				n++
			case r.Code != wire.ReplicaOverloaded || r.Detail == "":
				t.Fatalf("hint %d: code %d, %q", i, r.Code, r.Detail)
			}
		}
		l.counted()
		s := l.HintStatus()
		if n < kept || n > kept+1 || s.Refused != uint64(2*kept-n) || s.Bytes > s.Limit || s.Limit != room {
			t.Errorf("%d of %d were kept: %+v", n, 2*kept, s)
		}
		l.hint(l.outer(0), 0, written(2, "x")) // what is there already needs no room
		h := l.listed(l.cell(l.outer(0), 0))[0]
		if !l.drop(h, h.Object.Context) {
			t.Fatal("not dropped")
		}
		l.hint(l.outer(0), 0, written(2, "x")) // and there is room again
	})
}

func TestWhatBecomesOfHintsIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told trace.Recorder
		l := beginWide(t, setup{sink: &told})
		key := l.outer(0)
		l.hint(key, 1, written(2, "a"))
		l.hint(key, 1, written(3, "b"))
		h := l.listed(l.cell(key, 1))[0]
		l.TraceHintSent(&h, &h.Object)
		l.drop(h, h.Object.Context)
		var kinds []trace.Kind
		covers := 0
		for _, e := range told.Events() {
			switch e.Kind {
			case trace.HintStored, trace.HintSent, trace.HintDeleted:
				kinds = append(kinds, e.Kind)
				covers += len(e.Covers)
				owner := l.ring.Load().Placement(h.Partition).Slots[1].Owner
				if e.Slot != 1 || e.Peer != uint16(owner) || e.Actor == 0 || string(e.Key) != key {
					t.Errorf("%+v", e)
				}
			}
		}
		want := []trace.Kind{trace.HintStored, trace.HintStored, trace.HintSent, trace.HintDeleted}
		if !cmp.Equal(kinds, want) || covers != 1+2 {
			t.Errorf("heard %v that cover %d dots", kinds, covers)
		}
	})
}
