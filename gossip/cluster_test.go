// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dyno-kv/dyno/kv"
)

func TestFiveNodesFindEachOtherAndTellWhatTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := newTestNet().cluster(t, 5)
		await(t, 10*time.Second, "join of five", func() bool { return allSee(nodes, 5, everybody) })

		nodes[1].SetRingVersion(42)
		nodes[1].SetState(StateDraining)
		nodes[1].SetLoad(7)
		want := testConfig(2).meta()
		want.RingVersion, want.State, want.Load = 42, StateDraining, 7
		for _, node := range nodes {
			await(t, 5*time.Second, "new ring version", func() bool {
				m, ok := node.View().Find(2)
				return ok && cmp.Equal(m.Meta, want)
			})
			if got := node.RingVersions()[2]; got != 42 {
				t.Errorf("%s: ring version of node 2: %d, want 42", node.cfg.Name, got)
			}
		}
	})
}

func TestBusyLoadCostsNoMoreThanOneBroadcastPerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := newTestNet().cluster(t, 2)
		await(t, 10*time.Second, "join", func() bool { return allSee(nodes, 2, everybody) })
		seen := make(map[uint32]struct{})
		for load := range uint32(2000) { // 20 s: four intervals
			nodes[0].SetLoad(load)
			time.Sleep(10 * time.Millisecond)
			m, _ := nodes[1].View().Find(1)
			seen[m.Meta.Load] = struct{}{}
		}
		if len(seen) < 3 || len(seen) > 6 {
			t.Errorf("%d loads were published in 20 s, want one per 5 s", len(seen))
		}
	})
}

// partition isolates node 5 of 5 for a minute, heals, and returns the nodes.
func partition(t *testing.T, net *testNet, nodes []*testNode) {
	t.Helper()
	await(t, 10*time.Second, "join of five", func() bool { return allSee(nodes, 5, everybody) })
	net.isolate(testAddress(5), true)
	time.Sleep(time.Minute)
	// The one that is alone needs its time to believe that all others are down.
	await(t, DefaultConfig().DetectionBound(5)-time.Minute, "split of 4 to 1", func() bool {
		return allSee(nodes, 5, func(seer, seen kv.NodeID) bool {
			return (seer == 5) == (seen == 5)
		})
	})
	net.isolate(testAddress(5), false)
}

func joins(nodes []*testNode) (done uint64) {
	for _, node := range nodes {
		done += node.Stats().RejoinDone
	}
	return done
}

func TestHealedPartitionIsJoinedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newTestNet()
		nodes := net.cluster(t, 5)
		partition(t, net, nodes)
		before := joins(nodes)
		took := await(t, 20*time.Second, "all see all after the heal", func() bool {
			return allSee(nodes, 5, everybody)
		})
		t.Logf("healed in %v", took)
		if joins(nodes) == before {
			t.Error("healed without a re-join: the test proves nothing")
		}
	})
}

// The control of the test before: without the list of members, memberlist is alone,
// and stays split. Where this fails, the test before proves nothing.
func TestWithoutRegisteredMembersThePartitionStaysSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newTestNet()
		nodes := net.cluster(t, 5)
		await(t, 10*time.Second, "join of five", func() bool {
			return allSee(nodes, 5, everybody)
		})
		for _, node := range nodes {
			node.SetMembers(nil)
		}
		partition(t, net, nodes)
		time.Sleep(2 * time.Minute)
		if allSee(nodes, 5, everybody) {
			t.Error("memberlist healed by itself: is the re-join loop still needed?")
		}
	})
}

func TestCrashIsNoticedWithinTheTimeThatTheConfigStates(t *testing.T) {
	for _, count := range []int{3, 5} {
		synctest.Test(t, func(t *testing.T) {
			nodes := newTestNet().cluster(t, count)
			await(t, 10*time.Second, "join", func() bool { return allSee(nodes, count, everybody) })
			time.Sleep(10 * time.Second)
			_ = nodes[0].host.Shutdown()
			rest := nodes[1:]
			took := await(t, 20*time.Second, "death of node 1", func() bool {
				return allSee(rest, count, func(_, seen kv.NodeID) bool { return seen != 1 })
			})
			t.Logf("%d nodes: noticed in %v", count, took)
			if took < 8*time.Second {
				t.Errorf("down after %v: a pause of 8 s must be survived", took)
			}
		})
	}
}

func TestProcessThatStoodStillObjectsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newTestNet()
		nodes := net.cluster(t, 5)
		await(t, 10*time.Second, "join", func() bool { return allSee(nodes, 5, everybody) })
		time.Sleep(5 * time.Second)
		net.hold(testAddress(3), true)
		end := time.Now().Add(8 * time.Second)
		for time.Now().Before(end) {
			if !allSee(nodes, 5, everybody) {
				t.Fatalf("a node was called down during a pause of 8 s")
			}
			time.Sleep(100 * time.Millisecond)
		}
		net.hold(testAddress(3), false)
		for range 600 {
			if !allSee(nodes, 5, everybody) {
				t.Fatalf("a node was called down after a pause of 8 s")
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func TestNodesOfTwoClustersNeverMeet(t *testing.T) {
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

func TestRestartAtAnotherPortIsAccepted(t *testing.T) {
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

func TestClonedIdentityIsReportedToAPerson(t *testing.T) {
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

// Nobody reads node 1's view, nobody builds it, and a watcher never receives: its
// gossip must go on.
func TestStuckConsumerDoesNotStallGossip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newTestNet()
		cfg := testConfig(1)
		cfg.Transport = net.host(testAddress(1))
		stuck, err := Open(cfg, quiet(t))
		if err != nil {
			t.Fatal(err)
		}
		changed, stop := stuck.Watch()
		defer stop()
		rest := []*testNode{
			net.start(t, testConfig(2), testAddress(2), quiet(t)),
			net.start(t, testConfig(3), testAddress(3), quiet(t)),
		}
		for _, node := range rest {
			node.SetMembers(registered(3))
		}
		await(t, 10*time.Second, "join", func() bool { return allSee(rest, 3, everybody) })
		for i := range 60 {
			rest[i%2].SetRingVersion(uint64(i + 1))
			time.Sleep(time.Second)
			if !allSee(rest, 3, everybody) {
				t.Fatalf("after %d s a node was called down", i)
			}
		}
		if stuck.Alive(2) {
			t.Fatal("a view was built without Run: the test proves nothing")
		}
		run(t, stuck, cfg.Transport.(*testHost))
		synctest.Wait()
		if got := stuck.RingVersions(); got[2] != 59 || got[3] != 60 {
			t.Errorf("ring versions %v, want 59 and 60 of nodes 2 and 3", got)
		}
		select {
		case <-changed:
		default:
			t.Error("the watcher was not told")
		}
	})
}

func TestRunAndCloseInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newTestNet()
		node := net.start(t, testConfig(1), testAddress(1), quiet(t))
		synctest.Wait()
		if err := node.Run(t.Context()); err != ErrRan {
			t.Errorf("second run: %v, want ErrRan", err)
		}
		if err := node.Close(); err != nil { // while Run runs
			t.Error(err)
		}
		node.stop() // Run has ended; a second Close
		if err := node.Run(t.Context()); err != ErrClosed {
			t.Errorf("run after close: %v, want ErrClosed", err)
		}
	})
}

func TestFarewellIsBelievedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := newTestNet().cluster(t, 3)
		await(t, 10*time.Second, "join", func() bool { return allSee(nodes, 3, everybody) })
		nodes[0].SetState(StateDraining)
		time.Sleep(time.Second)
		nodes[0].stop()
		rest := nodes[1:]
		await(t, time.Second, "farewell", func() bool {
			return allSee(rest, 3, func(_, seen kv.NodeID) bool { return seen != 1 })
		})
		v := rest[0].View()
		if m := v.Members[0]; m.Status != StatusDown || m.Meta.State != StateDraining {
			t.Errorf("node 1 is shown as %v, %v; want down, draining", m.Status, m.Meta.State)
		}
	})
}

func TestOpenRefusesAFaultyConfigAndShutsItsTransportDown(t *testing.T) {
	cfg := testConfig(1)
	h := newTestNet().host(testAddress(1))
	cfg.Transport = h
	cfg.ClientAddr = strings.Repeat("a", MaxMeta)
	if g, err := Open(cfg, quiet(t)); err == nil || g != nil {
		t.Fatalf("opened: %v", err)
	}
	if !h.dead() {
		t.Error("the transport was left open")
	}
}
