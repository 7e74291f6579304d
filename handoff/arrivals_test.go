// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// keeping is a member's word that it keeps hints for node 3.
func keeping(hints, delivered uint64) NodeStatus {
	s := NodeStatus{Node: 1}
	s.Status.Delivered = delivered
	s.Status.Backlog = []wire.HandoffBacklog{{Node: 3, Hints: hints}}
	return s
}

func TestManyHintsOnTheirWayAreKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var says NodeStatus
		asked := 0
		a := newArrivals(func(context.Context) []NodeStatus {
			asked++
			return []NodeStatus{says, {Node: 2, Err: errors.New("down")}}
		})
		for _, step := range []struct {
			what string
			says NodeStatus
			want bool
		}{
			{"many, of which nobody knows yet whether they go", keeping(1000, 0), true},
			{"none of them has gone", keeping(1000, 0), false},
			{"some have gone", keeping(900, 100), true},
			{"few are left", keeping(manyHints-1, 700), false},
			{"there are many again", keeping(5000, 700), true},
			{"nobody knows", NodeStatus{Node: 1, Err: errors.New("down")}, false},
		} {
			says = step.says
			if got := a.Coming(t.Context(), 3); got != step.want {
				t.Errorf("%s: %v", step.what, got)
			}
			if a.Coming(t.Context(), 2) {
				t.Errorf("%s: hints come to a node that has none", step.what)
			}
			time.Sleep(arrivalsFresh)
		}
		if asked != 6 {
			t.Errorf("%d questions in 6 times of what is fresh", asked)
		}
	})
}

func TestWhoIsInAHurryDoesNotWaitForArrivals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		a := newArrivals(func(context.Context) []NodeStatus {
			<-answer
			return []NodeStatus{keeping(1000, 0)}
		})
		first := make(chan bool, 1)
		go func() { first <- a.Coming(context.Background(), kv.NodeID(3)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if a.Coming(ctx, 3) {
			t.Error("an answer that nobody has")
		}
		close(answer)
		if !<-first {
			t.Error("the first question is not answered")
		}
	})
}
