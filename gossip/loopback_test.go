// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dyno-kv/dyno/kv"
)

// Three nodes on real sockets: they find each other, tell news, and one leaves. Then
// nothing is left of them, memberlist's stragglers included.
func TestThreeNodesOnRealLoopback(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var peers []Peer
	var nodes []*Gossip
	for i := 1; i <= 3; i++ {
		cfg := testConfig(i)
		cfg.BindPort = 0
		cfg.Transport = nil
		cfg.ProbeInterval, cfg.ProbeTimeout = 500*time.Millisecond, 250*time.Millisecond
		cfg.StreamTimeout = 2 * time.Second
		g, err := Open(cfg, quiet(t))
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		nodes = append(nodes, g)
		peers = append(peers, Peer{kv.NodeID(i), fmt.Sprintf("n%d", i), g.Addr()})
	}
	ended := make(chan error, len(nodes))
	for _, g := range nodes {
		go func() { ended <- g.Run(t.Context()) }()
		g.SetMembers(peers)
	}
	eventually(t, "all see all", func() bool {
		return nodes[0].Alive(2) && nodes[0].Alive(3) && nodes[1].Alive(1) &&
			nodes[1].Alive(3) && nodes[2].Alive(1) && nodes[2].Alive(2)
	})
	nodes[2].SetRingVersion(9)
	eventually(t, "news of node 3", func() bool {
		return nodes[0].RingVersions()[3] == 9 && nodes[1].RingVersions()[3] == 9
	})
	if err := nodes[2].Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "farewell of node 3", func() bool { return !nodes[0].Alive(3) })
	for _, g := range nodes {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	for range nodes {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the end of all goroutines", func() bool {
		return goleak.Find(before) == nil
	})
}

// eventually polls, on the real clock, for at most 15 s.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 15 s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
