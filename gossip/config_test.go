// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestDefaultConfigLacksOnlyTheIdentity(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Rand = rand.New(rand.NewPCG(1, 1))
	cfg.Name, cfg.NodeID, cfg.ClusterID = "n1", 1, "c"
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateTellsEveryFaultAtOnce(t *testing.T) {
	err := Config{
		Name: "a/b", ClusterID: strings.Repeat("c", MaxClusterID+1),
		BindAddr: "localhost", BindPort: -1, AdvertiseAddr: "x", AdvertisePort: 70000,
		ClientAddr: "a b", ProbeTimeout: 2, ProbeInterval: 1,
	}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{
		"name", "node id", "cluster id", "bind address", "bind port", "advertised address",
		"advertised port", "printable", "below the probe interval", "gossip interval",
		"push-pull interval", "stream timeout", "reclaim time", "re-join interval",
		"load interval", "leave timeout", "conflict interval", "suspicion multiplier",
		"suspicion maximum", "awareness multiplier", "gossip nodes",
		"retransmit multiplier", "re-join fanout",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no word of %q in:\n%v", part, err)
		}
	}
}

// A broadcast that does not fit into a packet beside the label is never sent.
func TestLongestMemberFitsInOnePacket(t *testing.T) {
	const packet, frame = 1400, 300 // frame: field names of the alive message, CRC, cipher
	worst := MaxName + MaxMeta + len("dyno/") + MaxClusterID
	if worst > packet-frame {
		t.Errorf("%d bytes of name, meta and label do not leave %d of %d", worst, frame, packet)
	}
}

func TestDetectionBoundGrowsWithTheCluster(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Rand = rand.New(rand.NewPCG(1, 1))
	// 2 nodes: 3 probes of 8 s, and a suspicion of 24 s.
	if got := cfg.DetectionBound(2); got != 48*time.Second {
		t.Errorf("2 nodes: %v, want 48s", got)
	}
	if a, b := cfg.DetectionBound(5), cfg.DetectionBound(50); a >= b {
		t.Errorf("5 nodes %v, 50 nodes %v", a, b)
	}
}
