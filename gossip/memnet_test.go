// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/rpc/memnet"
)

// overMemnet runs count nodes by Sockets on a network that loses, doubles and
// reorders their packets.
func overMemnet(t *testing.T, n *memnet.Network, count int) (nodes []*testNode) {
	t.Helper()
	n.SetDefaults(memnet.Faults{
		Delay: time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.05, Twice: 0.05,
		Reorder: 0.1, Slow: 0.01, SlowBy: time.Second,
	})
	for i := 1; i <= count; i++ {
		host := n.Host(fmt.Sprintf("10.0.0.%d", i))
		packets, err := host.ListenPacket(testAddress(i))
		if err != nil {
			t.Fatal(err)
		}
		streams, err := host.Listen(testAddress(i))
		if err != nil {
			t.Fatal(err)
		}
		cfg := testConfig(i)
		if cfg.Transport, err = NewSockets(packets, streams, host.Dial); err != nil {
			t.Fatal(err)
		}
		g, err := Open(cfg, quiet(t))
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, run(t, g, nil))
		time.Sleep(13 * time.Millisecond) // so that tickers do not coincide
	}
	for _, node := range nodes {
		node.SetMembers(registered(count))
	}
	return nodes
}

// Gossip finds its members, misses the one that stands still, is cut off or is
// killed, and finds it again, on the network that the simulator uses.
func TestGossipOverTheNetworkInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count, victim = 4, kv.NodeID(4)
		n := memnet.New(5)
		nodes := overMemnet(t, n, count)
		all := func() bool { return allSee(nodes, count, everybody) }
		missed := func() bool {
			return allSee(nodes[:count-1], count, func(_, seen kv.NodeID) bool { return seen != victim })
		}
		await(t, time.Minute, "all find each other", all)
		n.Pause("10.0.0.4")
		await(t, time.Minute, "who stands still is missed", missed)
		n.Resume("10.0.0.4")
		await(t, 2*time.Minute, "it is found again", all)
		n.Partition([]string{"10.0.0.4"}, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"})
		await(t, time.Minute, "who is cut off is missed", missed)
		n.Heal()
		await(t, 2*time.Minute, "it is found after healing", all)
		n.Kill("10.0.0.4")
		await(t, time.Minute, "who is killed is missed", missed)
		s := n.Stats()
		for what, bit := range map[string]uint64{
			"lost": s.PacketsLost, "twice": s.PacketsTwice, "reordered": s.PacketsReordered,
			"paused": s.PacketsPaused, "cut": s.PacketsCut, "slowed": s.Slowed,
		} {
			if bit == 0 {
				t.Errorf("no packet was %s: %+v", what, s)
			}
		}
	})
}
