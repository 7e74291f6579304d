// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
)

func TestAMemberThatStartsWithoutTheGroupKnowsItsLastView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		n.do(state.FormRing{})
		n.do(state.BucketCreate{
			Request: kv.RequestID{1}, Bucket: kv.Bucket{Name: "orders", N: 3},
		})
		time.Sleep(time.Second)
		var later views
		must(t, later.load(n.control, rigCluster()))
		v := later.newest.Load()
		if v == nil || v.Version != n.View().Version || v.Ring == nil {
			t.Fatalf("the view that was kept is %+v", v)
		}
		if _, known := v.Bucket("orders"); !known {
			t.Error("the bucket is not in it")
		}
		if err := (&views{}).load(n.control, [16]byte{9}); err == nil {
			t.Error("the view of another cluster is taken")
		}
	})
}

func TestAViewIsPulledWhereTheGroupIsOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 2, nil)
		cut, peer := r.nodes[3], r.nodes[4]
		cut.do(state.FormRing{})
		for _, seat := range r.nodes[:3] {
			r.net.Cut("n4", seat.host)
			r.net.Cut(seat.host, "n4")
		}
		peer.do(state.BucketCreate{
			Request: kv.RequestID{1}, Bucket: kv.Bucket{Name: "orders", N: 3},
		})
		changed, done := cut.Watch()
		defer done()
		<-changed // that of the beginning
		cut.Hear(peer.View().Version, peer.cfg.Node)
		time.Sleep(3 * time.Second)
		if _, known := cut.View().Bucket("orders"); !known {
			t.Errorf("the view is of version %d, the peer's of %d", cut.View().Version,
				peer.View().Version)
		}
		select {
		case <-changed:
		default:
			t.Error("nobody was told of the new view")
		}
		// What the group says later, of before, changes nothing.
		cut.views.offer(rigState(t, 3, 2).View())
		if cut.View().Ring == nil {
			t.Error("the view went back")
		}
	})
}

func TestOfTwoViewsTheNewerStays(t *testing.T) {
	view := func(version uint64, g kv.Generation, index uint64) *state.View {
		return &state.View{Version: version, Generation: g, Index: index}
	}
	cases := []struct {
		name string
		a, b *state.View
		want bool
	}{
		{"none", nil, view(1, 0, 1), false},
		{"the first", view(0, 0, 1), nil, true},
		{"a later version", view(2, 0, 1), view(1, 0, 9), true},
		{"an earlier version of a later generation", view(1, 1, 1), view(2, 0, 1), false},
		{"the same", view(1, 0, 1), view(1, 0, 1), false},
		{"before formation, later", view(0, 0, 5), view(0, 0, 4), true},
		{"before formation, recovered", view(0, 1, 3), view(0, 0, 4), true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := newer(c.a, c.b); got != c.want {
				t.Errorf("newer: %t", got)
			}
		})
	}
}

func TestWatchesAreToldOfEachChangeAndEnd(t *testing.T) {
	v := &views{}
	a, endA := v.watch()
	b, endB := v.watch()
	<-a
	<-b
	v.offer(&state.View{Version: 1})
	v.offer(&state.View{Version: 2})
	<-a
	if len(a) != 0 || len(b) != 1 {
		t.Error("two changes in a row are more than one token, or none")
	}
	endA()
	endA()
	v.offer(&state.View{Version: 3})
	if len(a) != 0 {
		t.Error("a watch that ended is told")
	}
	endB()
	if len(v.watches) != 0 {
		t.Errorf("%d watches are left", len(v.watches))
	}
}

func TestTheFirstRingIsDueWhenEnoughAreThereAndVote(t *testing.T) {
	for _, c := range []struct {
		expect, opened, voters int
		want                   bool
	}{
		{1, 1, 1, true},
		{1, 0, 1, false},
		{2, 2, 1, true},
		{2, 1, 1, false},
		{3, 3, 1, false},
		{3, 3, 2, false},
		{3, 3, 3, true},
		{3, 2, 3, false},
		{3, 4, 3, true},
		{5, 5, 3, true},
		{5, 4, 3, false},
		{0, 4, 3, false},
	} {
		if got := formable(c.expect, c.opened, c.voters); got != c.want {
			t.Errorf("expect %d, opened %d, voters %d: %t", c.expect, c.opened, c.voters, got)
		}
	}
}

func TestTheLeaderFormsTheFirstRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		time.Sleep(time.Second)
		for _, n := range r.nodes {
			if n.View().Ring == nil {
				t.Errorf("node %d has no ring", n.cfg.Node)
			}
		}
	})
}
