// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
)

func TestValidateNamesEveryFault(t *testing.T) {
	err := Config{}.Validate()
	for _, part := range []string{"node", "send timeout", "repairs"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not speak of %q", err, part)
		}
	}
	if _, err := New(Config{}, nil, nil, nil); err == nil {
		t.Error("New took an empty configuration")
	}
}

func TestTrackerWaitsUntilNothingIsOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var open tracker
		if err := open.wait(context.Background()); err != nil {
			t.Error(err)
		}
		first := open.add()
		two := []*begun[int]{
			begin(func() (int, error) { return 0, open.wait(context.Background()) }),
			begin(func() (int, error) { return 0, open.wait(context.Background()) }),
		}
		short, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := open.wait(short); err == nil {
			t.Error("the wait did not end with its context")
		}
		open.done(open.add()) // while somebody waits
		if two[0].over() || two[1].over() {
			t.Error("a wait ended while something was open")
		}
		open.done(first)
		if !two[0].over() || !two[1].over() {
			t.Error("somebody still waits")
		}
		second := open.add() // and again
		again := begin(func() (int, error) { return 0, open.wait(context.Background()) })
		if again.over() {
			t.Error("a later wait ended at once")
		}
		open.done(second)
		if !again.over() {
			t.Error("a later wait goes on")
		}
	})
}

// TestTrackerPartsWhatBeganBeforeAMark: a sync point waits for what is older than it, and
// not for what keeps coming.
func TestTrackerPartsWhatBeganBeforeAMark(t *testing.T) {
	var open tracker
	if mark := open.mark(); open.ended() != mark {
		t.Errorf("nothing is open, and %d of %d has ended", open.ended(), mark)
	}
	first, second := open.add(), open.add()
	one := open.mark()
	third := open.add()
	two := open.mark()
	open.done(first)
	if open.ended() >= one {
		t.Error("one that began before the first mark is open")
	}
	open.more(second)
	open.done(second)
	if open.ended() >= one {
		t.Error("what came of a call that began before the first mark is open")
	}
	open.done(second)
	if open.ended() != one {
		t.Errorf("ended %d, want the first mark, %d: the third call began after it", open.ended(), one)
	}
	open.done(third)
	if open.ended() != two {
		t.Errorf("ended %d, want %d", open.ended(), two)
	}
	if len(open.byTicket) != 0 {
		t.Errorf("%v is remembered of what has ended", open.byTicket)
	}
}

// Events of answers come before the answers, and only of those that are successes.
func TestTracesTellOfAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told trace.Recorder
		s := newStage(t, traced(&told))
		s.holding(nodeB, kv.Object{})
		s.holding(nodeC, kv.Object{})
		req := putting("v")
		req.Request, req.W = kv.RequestID{5}, kv.LevelAll
		if _, err := s.c.Put(within(t), req); err != nil {
			t.Fatal(err)
		}
		if _, err := s.c.Get(within(t), getting()); err != nil {
			t.Fatal(err)
		}
		s.auto[nodeB] = func(c *call) { c.fail(errLost) }
		s.auto[nodeC] = s.auto[nodeB]
		_, _ = s.c.Put(within(t), putting("w"))
		_, _ = s.c.Get(within(t), getting())
		p := uint32(s.ring.PartitionOf(1, []byte("k")))
		want := []trace.Event{
			{
				Kind: trace.Acknowledged, Emitter: 1, Bucket: 1, Partition: p, Key: []byte("k"),
				Actor: uint64(dot(nodeA, 1).Actor), Counter: 1, Value: 3, Need: 3,
				Request: req.Request[:],
			},
			{Kind: trace.ReadAnswered, Emitter: 1, Bucket: 1, Partition: p, Key: []byte("k"), Value: 2},
		}
		if diff := cmp.Diff(want, told.Events()); diff != "" {
			t.Errorf("events:\n%s", diff)
		}
	})
}
