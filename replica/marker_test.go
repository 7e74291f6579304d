// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func TestAMarkerStandsForTheOwnersObject(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		first := l.put("k", "a", vclock.Context{})
		second := l.put("k", "b", vclock.Context{})
		for _, m := range []MintReply{first, second, first} {
			if !l.mark("k", 1, m.Object.Context) {
				t.Fatal("not kept")
			}
		}
		l.counted()
		page := l.listed(l.cell("k", 1))
		if len(page) != 1 || !page[0].IsMarker() || !page[0].Object.Context.Equal(second.Object.Context) {
			t.Fatalf("%+v", page)
		}
		sent, encoded, nothing, err := l.Payload(&page[0])
		if err != nil || nothing || len(encoded) == 0 || !cmp.Equal(values(sent), []string{"a", "b"}) {
			t.Errorf("%q, %d bytes, %t, %v", values(sent), len(encoded), nothing, err)
		}
		if o := l.object("k"); len(o.Versions) != 2 {
			t.Errorf("the marker has changed the object: %q", values(o))
		}
		if l.drop(page[0], first.Object.Context) {
			t.Error("it went although what was sent does not cover it")
		}
		if !l.drop(page[0], sent.Context) {
			t.Error("it stayed although what was sent covers it")
		}
		l.checkBook()
		if s := l.HintStatus(); len(s.Cells) != 0 || s.Unkept != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A marker that grew while the owner's object was on its way goes only if that covers it.
func TestTrapS8AMarkerThatGrewMeanwhileStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		l.mark("k", 1, l.put("k", "a", vclock.Context{}).Object.Context)
		h := l.listed(l.cell("k", 1))[0]
		sent, _, _, err := l.Payload(&h)
		if err != nil {
			t.Fatal(err)
		}
		l.mark("k", 1, l.put("k", "b", vclock.Context{}).Object.Context)
		if l.drop(h, sent.Context) {
			t.Error("the later write's marker is gone")
		}
	})
}

func TestMarkersThatStandForNothingGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		lacks := written(2, "never stored here").Context
		l.mark("absent", 1, lacks)
		h := l.listed(l.cell("absent", 1))[0]
		if _, _, nothing, err := l.Payload(&h); !nothing || err != nil {
			t.Errorf("of a key that is not there: %t, %v", nothing, err)
		}
		l.put("behind", "v", vclock.Context{})
		l.mark("behind", 1, lacks)
		h = l.listed(l.cell("behind", 1))[0]
		if _, _, nothing, err := l.Payload(&h); nothing || err == nil {
			t.Errorf("of an object that lacks what the marker stands for: %t, %v", nothing, err)
		}
		l.damage("behind")
		s := l.stopped()
		s.verdict = kv.VerdictConfirmed
		l = begin(t, s)
		if _, _, nothing, err := l.Payload(&h); nothing || err == nil {
			t.Errorf("of a damaged object: %t, %v", nothing, err)
		}
		wide := wideRing(t)
		l.ring.Store(wide)
		h.Partition = wide.PartitionOf(1, []byte(l.outer(0)))
		if _, _, nothing, err := l.Payload(&h); !nothing || err != nil || l.HintStatus().Unkept != 1 {
			t.Errorf("of a partition that went elsewhere: %t, %v, %+v", nothing, err, l.HintStatus())
		}
	})
}

func TestMarkersThatAreNotKeptAreCounted(t *testing.T) {
	lacks := written(2, "x").Context
	for name, try := range map[string]func(l *life) bool{
		"of nothing":            func(l *life) bool { return l.mark("k", 1, vclock.Context{}) },
		"a slot that is not":    func(l *life) bool { return l.mark("k", 3, lacks) },
		"by a refused store":    func(l *life) bool { l.Confirm(kv.VerdictForked); return l.mark("k", 1, lacks) },
		"of a deleted bucket":   func(l *life) bool { l.cfg.Deleted = all; return l.mark("k", 1, lacks) },
		"above the bound":       func(l *life) bool { l.hints.limit = 1; return l.mark("k", 1, lacks) },
		"by no member":          func(l *life) bool { l.ring.Store(wideRing(t)); return l.mark(l.outer(0), 1, lacks) },
		"by a store that ended": func(l *life) bool { _ = l.end(); return l.mark("k", 1, lacks) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := fresh(t)
				if try(l) || l.HintStatus().Unkept != 1 || len(l.HintStatus().Cells) != 0 {
					t.Errorf("%+v", l.HintStatus())
				}
			})
		})
	}
}

func all(kv.BucketID) bool { return true }

// TestAMarkerIsNeverMergedIntoAHint, nor a hint into a marker: it covers what it does not
// hold, so a merge would delete that.
func TestAMarkerIsNeverMergedIntoAHint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		key, o := l.outer(0), written(2, "v")
		p := l.target(key).Partition
		wide := l.ring.Load()
		owner := changed(t, wide, func(s *ring.State) {
			s.Placements[p].Slots[0] = kv.Stable(self)
			s.Placements[p].Version++
		})
		l.hint(key, 1, o)
		l.ring.Store(owner)
		if l.mark(key, 1, o.Context) {
			t.Error("a marker in the place of a hint")
		}
		if h := l.listed(HintCell{p, 1}); len(h) != 1 || len(h[0].Object.Versions) != 1 {
			t.Errorf("the hint is %+v", h)
		}
		if !l.mark(key, 2, o.Context) {
			t.Fatal("no marker")
		}
		away := changed(t, owner, func(s *ring.State) {
			s.Placements[p] = wide.Placement(p)
			s.Placements[p].Version = 7
		})
		l.ring.Store(away)
		if r := l.read(key); r.Role != kv.RoleFallback || len(r.Object.Versions) != 1 {
			t.Errorf("a read beside a marker: %+v", r)
		}
		l.hint(key, 2, o)
		if h := l.listed(HintCell{p, 2}); len(h) != 1 || len(h[0].Object.Versions) != 1 {
			t.Errorf("a hint in the place of a marker: %+v", h)
		}
		l.counted()
	})
}

// TestTrapS8AHintThatChangedMeanwhileStays, with what it was sent as and what came.
func TestTrapS8AHintThatChangedMeanwhileStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		key := l.outer(0)
		l.hint(key, 0, written(2, "sent"))
		h := l.listed(l.cell(key, 0))[0]
		l.hint(key, 0, written(3, "later"))
		if l.drop(h, h.Object.Context) {
			t.Error("the later hint is gone with the one that was sent")
		}
		now := l.listed(l.cell(key, 0))
		if len(now) != 1 || !cmp.Equal(values(now[0].Object), []string{"later", "sent"}) {
			t.Fatalf("%+v", now)
		}
		// A version that is gone without a new one is a change, too.
		over := foreign(7, "over", now[0].Object, now[0].Object.Context)
		l.hint(key, 0, over)
		if l.drop(now[0], now[0].Object.Context) {
			t.Error("a hint that was written over is gone")
		}
		last := l.listed(l.cell(key, 0))[0]
		for _, when := range []string{"stays", "was not gone already"} {
			if !l.drop(last, last.Object.Context) {
				t.Errorf("what was delivered %s", when)
			}
		}
		l.counted()
		if s := l.HintStatus(); len(s.Cells) != 0 || s.Bytes != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestDeletedBucketsLeaveNoHints(t *testing.T) {
	bubble(t, func(t *testing.T) {
		group := &deletions{}
		l := beginWide(t, setup{deleted: group.has})
		const keys = 2*removePage + 3
		for i := range keys {
			l.hint(l.outer(i), uint8(i%3), written(2, "x"))
		}
		kept := l.hinting("", 2, written(2, "stays"))
		kept.Bucket = 2
		for i := 0; ; i++ { // a key of bucket 2 outside of this node
			kept.Key = []byte{byte('a' + i)}
			kept.Partition = l.ring.Load().PartitionOf(2, kept.Key)
			if _, in := l.ring.Load().SlotOf(kept.Partition, self); !in {
				break
			}
		}
		if r := l.merge(kept); r.Code != wire.ReplicaOK {
			t.Fatal(r.Detail)
		}
		l.counted()
		group.add(1)
		if n, err := l.RemoveDeleted(t.Context()); n != keys || err != nil {
			t.Errorf("removed %d, %v; want %d", n, err, keys)
		}
		l.checkBook()
		if s := l.HintStatus(); len(s.Cells) != 1 || s.Cells[0].Hints != 1 {
			t.Errorf("left: %+v", s.Cells)
		}
	})
}

// damageHint spoils the record of a hint.
func damageHint(t testing.TB, m *storage.Memory, at HintCell, key string) {
	t.Helper()
	record := []byte(hintName(at, 1, []byte(key)))
	if !m.Damage(record, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }) {
		t.Fatalf("no hint of %s", key)
	}
}

// A hint that decays is counted as what it is from then on: not as one that can be delivered.
func TestAHintThatDecaysIsNoHintAnyMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		l.counted()
		bad, good := l.outer(0), l.outer(1)
		l.hint(bad, 0, written(2, "x"))
		l.hint(good, 0, written(2, "y"))
		s := l.stopped()
		l = beginWide(t, s) // nothing is cached
		l.counted()
		damageHint(t, s.engine, l.cell(bad, 0), bad)
		l.listed(l.cell(bad, 0))
		hints, damaged := 0, 0
		for _, c := range l.HintStatus().Cells {
			hints, damaged = hints+c.Hints+c.Markers, damaged+c.Damaged
		}
		if hints != 1 || damaged != 1 {
			t.Errorf("%d hints, %d damaged ones", hints, damaged)
		}
		if !l.hints.keeps(l.cell(bad, 0).Partition) {
			t.Error("a purge would not wait for the damaged hint")
		}
	})
}

// A disk that fails for a moment leaves no damage behind: what can be read again is a hint
// like others, and where it goes without having been read it is gone.
func TestAHintThatCanBeReadAgainIsDamagedNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		l.counted()
		key := l.outer(0)
		l.hint(key, 0, written(2, "x"))
		h := l.listed(l.cell(key, 0))[0]
		target := h.target()
		l.noteDamagedHint(&target, errors.New("input/output error"))
		if c := l.HintStatus().Cells[0]; c.Damaged != 1 || c.Hints != 0 {
			t.Errorf("when it could not be read: %+v", c)
		}
		l.listed(l.cell(key, 0))
		if c := l.HintStatus().Cells[0]; c.Damaged != 0 || c.Hints != 1 {
			t.Errorf("when it was read: %+v", c)
		}
		l.noteDamagedHint(&target, errors.New("input/output error"))
		if !l.drop(h, h.Object.Context) {
			t.Fatal("it is not gone")
		}
		if s := l.HintStatus(); len(s.Cells) != 0 || s.Bytes != 0 {
			t.Errorf("when it was delivered: %+v", s)
		}
		l.checkBook()
	})
}

// A damaged record that goes takes along what it was counted as while it could be read.
func TestADamagedHintThatGoesLeavesNothingInTheBook(t *testing.T) {
	b := hintBook{cells: make(map[HintCell]*hintTotals)}
	b.counted.Store(true)
	at := HintCell{Partition: 1}
	b.change(at, hintWeight{}, hintWeight{hints: 1, bytes: 10, oldest: 1})
	b.damage(at, "record")
	b.mended(at, "record", false)
	if len(b.cells) != 0 || b.bytes != 0 || b.damaged != 0 {
		t.Errorf("%+v is left of %d bytes", b.cells, b.bytes)
	}
}

// The age of hints is exact while the oldest is there, and never below the truth.
func TestTheOldestHintOfACellIsKnown(t *testing.T) {
	totals := hintBook{cells: make(map[HintCell]*hintTotals)}
	at := HintCell{Partition: 1}
	c := totals.totals(at)
	hint := func(oldest int64) hintWeight { return hintWeight{hints: 1, bytes: 1, oldest: oldest} }
	for _, step := range []struct {
		of   int64
		sign int
		want int64
	}{
		{of: 200_000, sign: +1, want: 200_000}, {of: 119_500, sign: +1, want: 119_500},
		{of: 61_234, sign: +1, want: 61_234}, {of: 119_000, sign: +1, want: 61_234},
		{of: 119_000, sign: -1, want: 61_234}, {of: 61_234, sign: -1, want: 61_234}, // the minute's
		{of: 119_500, sign: -1, want: 200_000}, {of: 200_000, sign: -1, want: 0},
	} {
		c.add(hint(step.of), step.sign)
		if got := c.tally(at).Oldest; got != step.want {
			t.Errorf("%+d of %d: the oldest is of %d, want %d", step.sign, step.of, got, step.want)
		}
	}
}
