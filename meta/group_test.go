// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
)

func TestACommandIsCarriedOutThroughEveryMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 2, nil)
		for i, n := range r.nodes {
			n.open(byte(i+1), 15*time.Second)
		}
		r.nodes[0].do(state.FormRing{})
		for _, n := range r.nodes {
			if _, err := n.Barrier(r.ctx); err != nil {
				t.Fatal(err)
			}
			n.Read(func(s *state.State) {
				if c := s.Locks().Counts(); c.Sessions != 5 {
					t.Errorf("node %d knows %d sessions", n.cfg.Node, c.Sessions)
				}
			})
			if v := n.View(); v == nil || v.Ring == nil {
				t.Errorf("node %d has no ring", n.cfg.Node)
			}
		}
	})
}

func TestAClientOfTheGroupIsGrantedThroughItsTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 2, nil)
		seat, client := r.nodes[0], r.nodes[4]
		a, b := seat.open(1, 15*time.Second), client.open(2, 15*time.Second)
		first := seat.acquire(wants(a, 1, "jobs", time.Minute), time.Second)
		if first.Code != locks.CodeOK {
			t.Fatalf("first: %v", first)
		}
		time.AfterFunc(100*time.Millisecond, func() {
			seat.do(state.Release{Session: a, Holder: 1, Name: "jobs", Fence: first.Fence})
		})
		began := time.Now()
		second := client.acquire(wants(b, 1, "jobs", time.Minute), 10*time.Second)
		if second.Code != locks.CodeOK || second.Fence <= first.Fence {
			t.Errorf("second: %v after %v", second, first)
		}
		// Two milliseconds for the commit at the seat, two for the question and its answer.
		if took := time.Since(began); took > 110*time.Millisecond {
			t.Errorf("granted after %v, the release was after 100ms", took)
		}
	})
}
