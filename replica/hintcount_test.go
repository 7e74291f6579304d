// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// TestTrapS6HintsOutliveEveryEndOfTheirStore and are counted before they are delivered.
func TestTrapS6HintsOutliveEveryEndOfTheirStore(t *testing.T) {
	for name, end := range map[string]func(*life) setup{
		"stop": (*life).stopped, "power loss": func(l *life) setup { return l.crashed(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := beginWide(t, setup{})
				const keys = 2*countPage + 10
				for i := range keys {
					l.hint(l.outer(i), uint8(i%3), written(2, fmt.Sprint(i)))
				}
				before := l.HintStatus().Cells
				l = beginWide(t, end(l))
				if s := l.HintStatus(); s.Counted || len(s.Cells) != 0 {
					t.Errorf("before the count: %+v", s)
				}
				l.counted()
				s := l.HintStatus()
				if !s.Counted || !slices.Equal(s.Cells, before) {
					t.Errorf("counted %+v, want %+v", s.Cells, before)
				}
				n := 0
				for _, c := range s.Cells {
					n += len(l.listed(c.HintCell))
				}
				if n != keys {
					t.Errorf("%d hints can be delivered, want %d", n, keys)
				}
			})
		})
	}
}

// TestTrapS6AnUndecodableHintIsKeptAndAlarmed once, wherever it is met first, and holds
// nothing up that stands beside it.
func TestTrapS6AnUndecodableHintIsKeptAndAlarmed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		bad, good := l.outer(0), l.outer(1)
		l.hint(bad, 0, written(2, "x"))
		l.hint(good, 0, written(2, "y"))
		at := l.cell(bad, 0)
		s := l.stopped()
		damageHint(t, s.engine, at, bad)
		core, logs := observer.New(zap.ErrorLevel)
		s.log = zap.New(core)
		l = beginWide(t, s)
		l.counted()
		for range 3 {
			for _, h := range l.listed(at) {
				if damaged := string(h.Key) == bad; damaged != (h.Err != nil) {
					t.Errorf("%s: %v", h.Key, h.Err)
				} else if damaged && l.drop(h, h.Object.Context) {
					t.Error("the damaged hint was dropped")
				}
			}
			if r := l.read(bad); r.Code != wire.ReplicaUnreadable || r.Role != kv.RoleFallback {
				t.Errorf("a read: code %d as %s", r.Code, r.Role)
			}
			if r := l.merge(l.hinting(bad, 0, written(3, "z"))); r.Code != wire.ReplicaUnreadable {
				t.Errorf("a hint on top: code %d", r.Code)
			}
		}
		if n := logs.FilterMessageSnippet("hint unreadable").Len(); n != 1 || l.Unreadable() != 1 {
			t.Errorf("told %d times, counted %d", n, l.Unreadable())
		}
		tallies := l.HintStatus().Cells
		if i := slices.IndexFunc(tallies, func(h HintTally) bool { return h.HintCell == at }); i < 0 ||
			tallies[i].Damaged != 1 {
			t.Errorf("%+v", tallies)
		}
		l.checkBook()
	})
}

// TestHintsAreCountedWhileTheyChange compares the book with the store after counts beside
// which hints came, changed and went.
func TestHintsAreCountedWhileTheyChange(t *testing.T) {
	for seed := range uint64(20) {
		bubble(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			l := beginWide(t, setup{})
			const keys = 2 * countPage
			for i := range keys {
				if rng.IntN(2) == 0 {
					l.hint(l.outer(i), uint8(rng.IntN(3)), written(2, "old"))
				}
			}
			l = beginWide(t, l.crashed(nil))
			l.engine.SetSyncTime(time.Millisecond)
			ended := make(chan error, 1)
			go func() { ended <- l.CountHints(t.Context()) }()
			for range 50 {
				key, slot := l.outer(rng.IntN(keys)), uint8(rng.IntN(3))
				if rng.IntN(3) > 0 {
					l.hint(key, slot, written(3, "new"))
					continue
				}
				if page := l.listed(l.cell(key, slot)); len(page) > 0 {
					h := page[rng.IntN(len(page))]
					l.drop(h, h.Object.Context)
				}
			}
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			l.checkBook()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}

// The count meets what changed before, between and behind its pages.
func TestACountPassesOverWhatChangedSinceTheStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		var keys []string
		at := l.cell(l.outer(0), 0)
		for i := 0; len(keys) < 9; i++ {
			if key := l.outer(i); l.cell(key, 0) == at {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys[:6] {
			l.hint(key, 0, written(2, "old"))
		}
		l = beginWide(t, l.crashed(nil))
		page, _, _, err := l.store.In(storage.HintsFor(0)).Page(
			at.Partition, storage.Position{}, 4, 1<<20, storage.ModeBare)
		if err != nil || len(page) != 4 {
			t.Fatalf("%d, %v", len(page), err)
		}
		drop := func(key string) {
			for _, h := range l.listed(at) {
				if string(h.Key) == key && !l.drop(h, h.Object.Context) {
					t.Errorf("%s stays", key)
				}
			}
		}
		l.hint(keys[0], 0, written(3, "grown, on the page"))
		drop(keys[1]) // gone, on the page
		drop(keys[4]) // gone, behind it
		l.hint(keys[5], 0, written(3, "grown, behind it"))
		l.hint(keys[6], 0, written(3, "new, behind it"))
		count := func(page []storage.Located) {
			err := l.inShard(t.Context(), at.Partition, func(part *partition) {
				l.countHints(at, page, part)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		count(page)
		l.hint(keys[0], 0, written(4, "again"))
		drop(keys[2])                           // counted, and gone
		l.hint(keys[1], 0, written(4, "back"))  // gone, and back
		l.hint(keys[5], 0, written(4, "again")) // twice, before it is counted
		l.hint(keys[7], 0, written(4, "new"))   // behind all
		l.hint(keys[3], 0, written(4, "grown")) // counted, and grown
		count(page)                             // a page twice changes nothing
		l.counted()
	})
}

func TestACountEndsWithItsContextAndGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		l.hint(l.outer(0), 0, written(2, "x"))
		l = beginWide(t, l.stopped())
		block := make(chan struct{})
		if err := l.store.Visit(0, func(error) { <-block }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.CountHints(ctx) }()
		synctest.Wait()
		cancel()
		close(block)
		<-ended
		l.counted()
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		if err := l.CountHints(t.Context()); !errors.Is(err, storage.ErrClosed) {
			t.Errorf("of a closed store: %v", err)
		}
	})
}

func TestNoHintIsHandedOutByAStoreThatIsNotJudgedOrRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := beginWide(t, setup{})
		l.hint(l.outer(0), 0, written(2, "x"))
		at := l.cell(l.outer(0), 0)
		s := l.stopped()
		s.ring, s.verdict = wideRing(t), 0
		l = begin(t, s)
		for _, verdict := range []kv.Verdict{0, kv.VerdictForked, kv.VerdictLost} {
			if verdict != 0 {
				l.Confirm(verdict)
			}
			if _, _, _, err := l.Hints(at, storage.Position{}, 1, 1); !errors.Is(err, ErrNotJudged) {
				t.Errorf("after verdict %s: %v", verdict, err)
			}
		}
		l.Confirm(kv.VerdictConfirmed)
		l.listed(at)
	})
}

// TestAHintThatWasAnsweredSurvivesACrashAtEveryPoint, and one that was not answered is there
// whole or not at all; the same holds of its deletion.
func TestAHintThatWasAnsweredSurvivesACrashAtEveryPoint(t *testing.T) {
	points := []string{
		PointHint, PointHintStored, PointHintDrop, PointHintDropped, PointMark,
		storage.PointTake, storage.PointApply, storage.PointCommit, storage.PointPublish,
		storage.PointAnswer,
	}
	for _, point := range points {
		for skip := range 3 {
			t.Run(fmt.Sprintf("%s/%d", point, skip), func(t *testing.T) {
				bubble(t, func(t *testing.T) { crashAtHint(t, point, skip) })
			})
		}
	}
}

func crashAtHint(t *testing.T, point string, skip int) {
	set := fail.NewSet()
	l := beginWide(t, setup{points: set})
	key := l.outer(0)
	crashed := make(chan *storage.Memory, 1)
	set.Arm(point, fail.Plan{Skip: skip, Times: 1, Hook: func() error {
		crashed <- l.engine.Crash(rand.New(rand.NewPCG(uint64(skip), 7)))
		return nil
	}})
	answered, gone, dropped := 0, false, false
	for i, value := range []string{"a", "b", "c"} {
		if r := l.merge(l.hinting(key, 0, written(vclock.Actor(2+i), value))); r.Code == wire.ReplicaOK {
			answered++
		}
	}
	l.mark(l.inner(0), 1, written(2, "x").Context)
	if page, _, _, err := l.Hints(l.cell(key, 0), storage.Position{}, 9, 1<<20); err == nil && len(page) == 1 {
		dropped = true
		gone = l.drop(page[0], page[0].Object.Context)
	}
	at := l.cell(key, 0)
	after := setup{engine: nil, past: Past{Stop: StopPowerLoss}}
	select {
	case after.engine = <-crashed:
	default:
		after.engine = l.engine.Crash(nil)
	}
	_ = l.end()
	l = beginWide(t, after)
	l.counted()
	page := l.listed(at)
	switch {
	case gone && len(page) > 0:
		t.Errorf("the deletion was told, and the hint is there: %q", values(page[0].Object))
	case !dropped && answered > 0 && (len(page) != 1 || len(page[0].Object.Versions) < answered):
		t.Errorf("%d hints were answered; there is %+v", answered, page)
	case dropped && !gone && len(page) == 1 && len(page[0].Object.Versions) != answered:
		t.Errorf("%d were answered, and the hint that was to be deleted has %d versions",
			answered, len(page[0].Object.Versions))
	}
}
