// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/rpc/memnet"
)

// TestACopyThatIsStartedElsewhereCostsNobodyItsSeat: it finds the process of which it is a
// copy before it says anything to the other seats, who would take it for that process.
func TestACopyThatIsStartedElsewhereCostsNobodyItsSeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := groupedConfig(1, 4)
		cfg.Log = zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
		cfg.Tune = func(h *Host, cfg *node.Config) {
			if h.ID == 1 {
				cfg.Form.Expect = 3 // the fourth is no member
			}
		}
		c, err := New(cfg)
		must(t, err)
		t.Cleanup(c.Close)
		for _, h := range c.Hosts[:3] {
			must(t, h.Start(limit(t)))
			must(t, c.register(limit(t), h))
		}
		c.formed = true
		must(t, Await(limit(t), c.Hosts[:3]))
		time.Sleep(10 * time.Second)
		original, copied := c.Hosts[1], c.Hosts[3]
		must(t, copied.Disk.Restore(original.Disk.Copy()))
		copied.Member.Name = original.Member.Name
		far := memnet.Faults{Delay: 100 * time.Millisecond} // the seats are nearer
		c.Net.SetFaults(copied.Addr, original.Addr, far)
		c.Net.SetFaults(original.Addr, copied.Addr, far)
		must(t, copied.Start(limit(t)))
		time.Sleep(5 * time.Second)
		if err, ended := copied.Ended(); !ended || !errors.Is(err, node.ErrTwin) {
			t.Errorf("the copy has ended: %t, with %v", ended, err)
		}
		if s := original.Group().Status(); s.Refused != "" || s.Raft == 0 {
			t.Errorf("the original is refused: %+v", s)
		}
	})
}
