// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestTrapN8NodesOfTwoClustersNeverMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newTestNet()
		a := net.start(t, testConfig(1), testAddress(1), quiet(t))
		foreign := testConfig(2)
		foreign.ClusterID = "another-cluster"
		b := net.start(t, foreign, testAddress(2), quiet(t))
		for _, node := range []*testNode{a, b} {
			node.SetMembers(registered(2))
		}
		time.Sleep(time.Minute)
		if a.Alive(2) || b.Alive(1) {
			t.Error("a node of another cluster was let in")
		}
		if a.Stats().RejoinTried == 0 || a.Stats().RejoinDone != 0 {
			t.Errorf("re-join tried %d, done %d; want some and none",
				a.Stats().RejoinTried, a.Stats().RejoinDone)
		}
	})
}

// stranger joins with the right label: only the delegates stand before it.
func stranger(t *testing.T, h *testHost, meta []byte) *memberlist.Memberlist {
	t.Helper()
	conf := memberlist.DefaultLANConfig()
	conf.Name = "stranger"
	conf.Label = testConfig(1).label()
	conf.Transport = h
	conf.Logger = newLogWriter(zap.NewNop()).logger()
	conf.Delegate = fixedMeta(meta)
	list, err := memberlist.Create(conf)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// fixedMeta is a delegate that says what it is told to.
type fixedMeta []byte

func (m fixedMeta) NodeMeta(int) []byte           { return m }
func (fixedMeta) NotifyMsg([]byte)                {}
func (fixedMeta) GetBroadcasts(_, _ int) [][]byte { return nil }
func (fixedMeta) LocalState(bool) []byte          { return nil }
func (fixedMeta) MergeRemoteState([]byte, bool)   {}

func TestStrangerWithTheRightLabelIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		meta   []byte
		counts func(Stats) uint64
	}{
		{"of another cluster", encodeMeta(clusterTag("another-cluster"), testConfig(9).meta()),
			func(s Stats) uint64 { return s.ForeignRefused }},
		{"with garbage", []byte("role=consul"), func(s Stats) uint64 { return s.MetaRefused }},
		{"with nothing", nil, func(s Stats) uint64 { return s.MetaRefused }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := newTestNet()
				node := net.start(t, testConfig(1), testAddress(1), quiet(t))
				list := stranger(t, net.host(testAddress(9)), tt.meta)
				_, _ = list.Join([]string{testAddress(1)}) // it may believe that it joined
				time.Sleep(20 * time.Second)
				if got := len(node.View().Members); got != 1 {
					t.Errorf("%d members, want this node only: %+v", got, node.View().Members)
				}
				if got := node.list.NumMembers(); got != 1 {
					t.Errorf("memberlist knows %d, want this node only", got)
				}
				if tt.counts(node.Stats()) == 0 {
					t.Errorf("refused, and not counted: %+v", node.Stats())
				}
				if err := list.Shutdown(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestTrapN3ARestartAtAnotherPortIsAccepted(t *testing.T) {
	for _, tt := range []struct {
		name    string
		end     func(*testNode)
		atLeast time.Duration
		atMost  time.Duration
	}{
		{"at once after a farewell", func(n *testNode) { n.stop() }, 0, 10 * time.Second},
		{"after the reclaim time where it crashed",
			func(n *testNode) { _ = n.host.Shutdown() }, 30 * time.Second, 75 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logs, seen := observer.New(zap.ErrorLevel)
				net := newTestNet()
				nodes := net.cluster(t, 2)
				third := net.start(t, testConfig(3), testAddress(3), zap.New(logs))
				third.SetMembers(registered(3))
				all := append(nodes, third)
				await(t, 10*time.Second, "join", func() bool { return allSee(all, 3, everybody) })
				time.Sleep(5 * time.Second)
				tt.end(nodes[1])

				const moved = "10.0.0.2:9999"
				again := net.start(t, testConfig(2), moved, zap.New(logs))
				again.SetMembers(registered(3))
				took := await(t, tt.atMost, "restart at another port", func() bool {
					m, ok := third.View().Find(2)
					return ok && m.Addr == moved
				})
				if took < tt.atLeast {
					t.Errorf("accepted after %v, want at least %v", took, tt.atLeast)
				}
				if n := seen.Len(); n != 0 {
					t.Errorf("a restart was reported as a cloned identity: %v", seen.All())
				}
				if got := third.View().Conflicts; len(got) != 0 {
					t.Errorf("conflicts are left over: %+v", got)
				}
			})
		})
	}
}

func TestTrapN3AClonedIdentityIsReportedToAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs, seen := observer.New(zap.WarnLevel)
		net := newTestNet()
		nodes := net.cluster(t, 2)
		await(t, 10*time.Second, "join", func() bool { return allSee(nodes, 2, everybody) })
		clone := net.start(t, testConfig(2), "10.0.0.2:9999", zap.New(logs))
		clone.SetMembers(registered(2))
		await(t, 10*time.Second, "the conflict in the clone's view", func() bool {
			c := clone.View().Conflicts
			return len(c) == 1 && c[0].Name == "n2" && c[0].OtherAddr == testAddress(2)
		})
		time.Sleep(10 * time.Minute)
		if m, _ := nodes[0].View().Find(2); m.Addr != testAddress(2) {
			t.Errorf("the clone took the name over: %+v", m)
		}
		if nodes[0].Stats().Conflicts == 0 || len(nodes[0].View().Conflicts) == 0 {
			t.Errorf("node 1 does not know: %+v", nodes[0].Stats())
		}
		errs := seen.FilterLevelExact(zap.ErrorLevel).FilterMessageSnippet("one identity").Len()
		if errs < 2 || errs > 10 {
			t.Errorf("%d errors in 10 minutes, want one per minute and conflict", errs)
		}
	})
}
