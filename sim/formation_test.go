// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
)

// groupedConfig is a small cluster whose nodes run their metadata group.
func groupedConfig(seed uint64, nodes int) Config {
	cfg := DefaultConfig(seed)
	cfg.Grouped, cfg.Nodes, cfg.Replicas = true, nodes, min(nodes, 3)
	return cfg
}

// TestNodesFormTheirCluster of every size: numbers are those of the names, and up to three
// have a seat.
func TestNodesFormTheirCluster(t *testing.T) {
	for nodes := 1; nodes <= 7; nodes++ {
		synctest.Test(t, func(t *testing.T) {
			c := startCluster(t, groupedConfig(1, nodes))
			cl := connect(t, c, "writer")
			if _, err := cl.Bucket("default").Put(limit(t), []byte("k"), []byte("v"),
				client.WithW(client.All)); err != nil {
				t.Error(err)
			}
			seats := 1
			if nodes >= 3 {
				seats = 3
			}
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
				if _, votes := c.Seats(); len(votes) == seats && votes[seats-1] {
					break
				}
			}
			hosts, votes := c.Seats()
			if len(hosts) != seats || !votes[seats-1] {
				t.Errorf("%d nodes have seats %v, votes %v", nodes, hosts, votes)
			}
			for _, h := range c.Hosts {
				h.LosePower()
			}
			must(t, c.Start(limit(t)))
			if c.Leader() == nil {
				t.Error("nobody leads")
			}
		})
	}
}
