// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestTrapN10ChangesOfOneMomentReachEverybody: memberlist 0.7.0 numbers the messages of
// its queue anew when it becomes empty, also for the moment in which a message takes the
// place of the last one; another of the same length then takes the first one's place
// (hashicorp/memberlist#263). Members of one cluster have metas of one length, and change
// together where the metadata group comes back.
func TestTrapN10ChangesOfOneMomentReachEverybody(t *testing.T) {
	const bubbles = 20 // most of which lose a change where nothing is told twice
	for range bubbles {
		synctest.Test(t, func(t *testing.T) {
			net := newTestNet()
			var nodes []*testNode
			for i := 1; i <= 3; i++ {
				nodes = append(nodes, net.start(t, testConfig(i), testAddress(i), quiet(t)))
				nodes[i-1].SetState(StateUnconfirmed)
				time.Sleep(13 * time.Millisecond) // so that tickers do not coincide
			}
			for _, node := range nodes {
				node.SetMembers(registered(3))
			}
			await(t, 10*time.Second, "join", func() bool { return allSee(nodes, 3, everybody) })
			time.Sleep(time.Second)
			for _, node := range nodes {
				node.SetState(StateReady)
			}
			await(t, 5*time.Second, "all see the new state of all", func() bool {
				return allAre(nodes, StateReady)
			})
		})
	}
}

func allAre(nodes []*testNode, state State) bool {
	for _, node := range nodes {
		for _, m := range node.View().Members {
			if m.Meta.State != state {
				return false
			}
		}
	}
	return true
}

// The repetition is for what others act on. A load says nothing for long.
func TestOnlyRingVersionAndStateAreToldTwice(t *testing.T) {
	var local localMeta
	cases := []struct {
		change         func(*Meta)
		stale, weighty bool
	}{
		{func(m *Meta) {}, false, false},
		{func(m *Meta) { m.Load++ }, true, false},
		{func(m *Meta) { m.RingVersion++ }, true, true},
		{func(m *Meta) { m.State, m.Load = StateDraining, m.Load+1 }, true, true},
	}
	for i, c := range cases {
		local.change(c.change)
		if stale, weighty := local.stale(); stale != c.stale || weighty != c.weighty {
			t.Errorf("case %d: %v, %v", i, stale, weighty)
		}
		local.handOut()
	}
}
