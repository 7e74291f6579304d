// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/meta"
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

// TestAWipedVoterHasNoSeat under the raft id that it had, and the others go on: where there
// is a member without a seat, that takes it.
func TestAWipedVoterHasNoSeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, groupedConfig(1, 4))
		session, err := connect(t, c, "x").NewSession(limit(t), client.WithTTL(time.Hour))
		must(t, err)
		held, err := session.Mutex("k").Lock(limit(t))
		must(t, err)
		wiped := c.Leader()
		wiped.LosePower()
		must(t, wiped.Disk.Wipe())
		must(t, wiped.Start(limit(t)))
		time.Sleep(10 * time.Second)
		if role := wiped.Group().Status().Role; role != meta.RoleClient {
			t.Errorf("%s was wiped, and is a %v", wiped.Name, role)
		}
		time.Sleep(90 * time.Second)
		seats, votes := c.Seats()
		if len(seats) != 3 || slices.Contains(seats, wiped) || slices.Contains(votes, false) {
			t.Errorf("%d seats, votes %v; %s was wiped", len(seats), votes, wiped.Name)
		}
		info, err := connect(t, c, "reader").Lock(limit(t), "k")
		must(t, err)
		if len(info.Holders) != 1 || uint64(info.Holders[0].Fence) != held.Fence() {
			t.Errorf("fence %d was granted, and %+v has the lock", held.Fence(), info.Holders)
		}
	})
}
