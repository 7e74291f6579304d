// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/trace"
)

// heard are the kinds of the events of a key, in order, with the counters of its versions.
func heard(r *trace.Recorder, key string) (kinds []trace.Kind, counters []uint64) {
	for _, e := range r.Events() {
		if string(e.Key) != key {
			continue
		}
		kinds = append(kinds, e.Kind)
		if e.Kind == trace.Synced {
			counters = append(counters, e.Counter)
		}
	}
	return kinds, counters
}

func TestCommitIsToldWhenItIsDurableAndBeforeAnybodyIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events trace.Recorder
		g, cfg := newGate(NewMemory()), testConfig()
		cfg.Trace, cfg.Points = trace.New(1, &events), fail.NewSet()
		r := start(t, cfg, g)
		entered, release := g.hold()
		write := r.later(t, "k", r.write("one"))
		<-entered
		var seen Current
		keep := r.later(t, "k", look(&seen))
		synctest.Wait()
		if kinds, _ := heard(&events, "k"); len(kinds) > 0 {
			t.Errorf("told before the commit: %v", kinds)
		}
		told := 0
		cfg.Points.Arm(PointAnswer, fail.Plan{Hook: func() error {
			told = len(events.Events())
			return nil
		}})
		release()
		mustDo(t, <-write)
		mustDo(t, <-keep)
		kinds, counters := heard(&events, "k")
		if told != 2 || len(kinds) != 2 || kinds[0] != trace.Synced || kinds[1] != trace.Covered {
			t.Errorf("heard %v, %d of them before the answers; want synced, covered", kinds, told)
		}
		if len(counters) != 1 || counters[0] != 1 {
			t.Errorf("synced %v, want the one dot", counters)
		}
	})
}

func TestWhatADurableObjectCoversIsToldToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events trace.Recorder
		cfg := testConfig()
		cfg.Trace = trace.New(1, &events)
		r := start(t, cfg, NewMemory())
		mustDo(t, r.overwrite("k", "one"))
		mustDo(t, r.overwrite("k", "two")) // covers the dot of one, which is gone
		var seen Current
		mustDo(t, <-r.later(t, "k", look(&seen))) // rests on what is durable
		mustDo(t, <-r.later(t, "other", look(&seen)))
		all := events.Events()
		if len(all) != 6 {
			t.Fatalf("%d events, want those of two commits and of one answer: %v", len(all), all)
		}
		for _, e := range []trace.Event{all[3], all[5]} {
			covers := make(map[uint64]bool) // no two actors here
			for _, d := range e.Covers {
				for c := uint64(1); !d.Alone && c < d.Counter; c++ {
					covers[c] = true
				}
				covers[d.Counter] = true
			}
			if e.Kind != trace.Covered || !covers[1] || !covers[2] || len(covers) != 2 {
				t.Errorf("%v, want both dots covered", e)
			}
		}
	})
}

func TestCommitThatFailsIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events trace.Recorder
		g, cfg := newGate(NewMemory()), testConfig()
		cfg.Trace, cfg.Points = trace.New(1, &events), fail.NewSet()
		r := start(t, cfg, g)
		cfg.Points.Arm(PointCommit, fail.Plan{Err: errors.New("broken on purpose")})
		if got := <-r.later(t, "k", r.write("one")); got.Outcome != OutcomeUnknown {
			t.Errorf("%v, want an unknown outcome", got)
		}
		if kinds, _ := heard(&events, "k"); len(kinds) > 0 {
			t.Errorf("told of what is not durable: %v", kinds)
		}
	})
}

// TestPointsFailAsTheRealThing: what an error at each point does to one operation.
func TestPointsFailAsTheRealThing(t *testing.T) {
	broken := errors.New("broken on purpose")
	for _, tt := range []struct {
		point   string
		refused error // by Do
		outcome Outcome
		err     error
	}{
		{PointTake, ErrOverloaded, 0, nil},
		{PointApply, nil, OutcomeNone, ErrExpired},
		{PointCommit, nil, OutcomeUnknown, ErrFailed},
		{PointPublish, nil, OutcomeUnknown, ErrFailed},
		{PointAnswer, nil, OutcomeDurable, nil},
	} {
		t.Run(tt.point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.Points = fail.NewSet()
				r := start(t, cfg, NewMemory())
				cfg.Points.Arm(tt.point, fail.Plan{Err: broken})
				done := make(chan Result, 1)
				err := r.Do(&Op{
					Partition: partitionOf("k"), Bucket: 1, Key: []byte("k"), Apply: r.write("x"),
					Done: func(res Result) { done <- res },
				})
				if !errors.Is(err, tt.refused) {
					t.Fatalf("Do returned %v, want %v", err, tt.refused)
				}
				if tt.refused != nil {
					return
				}
				if got := <-done; got.Outcome != tt.outcome || !errors.Is(got.Err, tt.err) {
					t.Errorf("%v, want %v and %v", got, tt.outcome, tt.err)
				}
			})
		})
	}
}

func TestKeyWhoseFetchFailsIsUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Points = fail.NewSet()
		r := start(t, cfg, NewMemory())
		cfg.Points.Arm(PointFetch, fail.Plan{Err: errors.New("broken on purpose")})
		c, err := r.Read(partitionOf("k"), 1, []byte("k"), ModeFull)
		if err != nil || c.State != StateUnreadable || !errors.Is(c.Err, ErrUnreadable) {
			t.Errorf("%s, %v, %v; want unreadable", c.State, c.Err, err)
		}
	})
}

func TestEveryPointOfAStoreIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Points = fail.NewSet()
		r := start(t, cfg, NewMemory())
		mustDo(t, r.overwrite("k", "one"))
		for _, p := range Points() {
			if cfg.Points.Hits(p.Name) == 0 {
				t.Errorf("%s was not reached by a write", p.Name)
			}
		}
	})
}
