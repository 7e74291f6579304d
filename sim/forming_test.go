// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/node"
)

// formingCluster has four nodes of which the first three run and have their seats. There is
// no ring before the fourth.
func formingCluster(t *testing.T, tune func(h *Host, cfg *node.Config)) *Cluster {
	t.Helper()
	cfg := groupedConfig(1, 4)
	cfg.Tune, cfg.Log = tune, zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
	c, err := New(cfg)
	must(t, err)
	t.Cleanup(c.Close)
	for _, h := range c.Hosts[:3] {
		must(t, h.Start(limit(t)))
		must(t, c.register(limit(t), h))
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
		if _, votes := c.Seats(); len(votes) == 3 && votes[1] && votes[2] {
			return c
		}
	}
	t.Fatal("three members have no seats")
	return nil
}

// TestAMemberThatDiesBeforeItWasAcceptedComesBack, although it has no state of the group, no
// ring and no seat: it asks those whom it was started with.
func TestAMemberThatDiesBeforeItWasAcceptedComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		points := fail.NewSet()
		points.Arm(node.PointConfirm, fail.Plan{Err: errors.New("the group is out of reach")})
		c := formingCluster(t, func(h *Host, cfg *node.Config) {
			if h.ID == 4 && h.processes == 1 {
				cfg.Points = points
			}
		})
		last := c.Hosts[3]
		must(t, last.Start(limit(t)))
		must(t, c.register(limit(t), last))
		time.Sleep(5 * time.Second) // its opening is durable, and the group has not heard of it
		must(t, last.Kill())
		must(t, c.Start(limit(t)))
	})
}

// TestSeatsThatAllMoveBeforeThereIsARingFindEachOther where they were told to join: neither
// the state nor a ring says where they are now.
func TestSeatsThatAllMoveBeforeThereIsARingFindEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := formingCluster(t, nil)
		for _, h := range c.Hosts[:3] {
			h.LosePower()
			h.Member.Client, h.Member.Peer, h.Member.Gossip =
				h.Addr+":5610", h.Addr+":5611", h.Addr+":5612"
		}
		c.formed = true // no second cluster
		for _, h := range c.Hosts[:3] {
			must(t, h.Start(limit(t)))
		}
		must(t, c.Start(limit(t)))
	})
}
