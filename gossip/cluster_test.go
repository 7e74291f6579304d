// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

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

func TestTrapN4WhoWasCutOffIsJoinedAgain(t *testing.T) {
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

func TestTrapN1AProcessThatStoodStillObjectsInTime(t *testing.T) {
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

// Nobody reads node 1's view, nobody builds it, and a watcher never receives: its
// gossip must go on.
func TestTrapN5AStuckConsumerDoesNotStallGossip(t *testing.T) {
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

func TestNodesThatLeaveTogetherDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := newTestNet().cluster(t, 3)
		await(t, 10*time.Second, "join", func() bool { return allSee(nodes, 3, everybody) })
		began := time.Now()
		var all sync.WaitGroup
		for _, node := range nodes {
			all.Go(node.stop)
		}
		all.Wait()
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("leaving took %v", took)
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
