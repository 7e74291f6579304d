// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"

	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/server/admin"
	"github.com/dyno-kv/dyno/server/metrics"
)

// openAdmin makes what answers on the admin port.
func (n *Node) openAdmin(context.Context) error {
	registry, err := metrics.New(n.sources())
	if err != nil {
		return err
	}
	log := n.log.Named("admin")
	n.admin, err = admin.New(n.cfg.Admin, admin.Parts{
		Ready: n.readiness, Metrics: metrics.Handler(registry, log),
	}, log)
	return err
}

// openAdminPort binds the admin port, where the node has one.
func (n *Node) openAdminPort(ctx context.Context) error {
	if n.listen.Admin == "" {
		return nil
	}
	var err error
	if n.adminPort, err = n.cfg.Listen(ctx, n.listen.Admin); err != nil {
		return fmt.Errorf("node: admin port: %w", err)
	}
	n.closers = append(n.closers, closeOnce(n.adminPort))
	return nil
}

// drainingReason is why a node that is told to stop is not ready.
const drainingReason = "draining"

// standing is how this node's store stands, and that nobody should come any more where the
// node drains. What the node says of itself to clients and what /readyz answers is this.
func (n *Node) standing(d *data) replica.Status {
	s := d.replica.Status()
	if why := d.refillReason(); s.Filling && why != "" {
		s.Reason = why
	}
	if n.draining.Load() {
		s.Ready, s.Reason = false, drainingReason
	}
	return s
}

// readiness lists what must be so for this node to serve.
func (n *Node) readiness() []admin.Check {
	checks := []admin.Check{{Name: "running"}, {Name: "formed"}, {Name: "store"}, {Name: "confirmed"}}
	running, formed, store, confirmed := &checks[0], &checks[1], &checks[2], &checks[3]
	if n.draining.Load() {
		running.Fault = drainingReason
	}
	d := n.data.Load()
	if d == nil {
		if formed.Fault = n.cluster.Missing(); formed.Fault == "" {
			formed.Fault = "this node has no place in the ring yet"
		}
		store.Fault = "not open yet"
		confirmed.Fault = store.Fault
		return checks
	}
	s := n.standing(d)
	if running.Fault != "" {
		return checks // the rest is as it was
	}
	if !s.Ready {
		store.Fault = reasonOf(s)
	}
	if !s.Confirmed {
		confirmed.Fault = reasonOf(s)
	}
	return checks
}

func reasonOf(s replica.Status) string {
	if s.Reason == "" {
		return "not ready yet"
	}
	return s.Reason
}

// sources are what the node's metrics are read from.
func (n *Node) sources() metrics.Sources {
	return metrics.Sources{
		Version: n.cfg.Server.Version, Now: n.cfg.Now, Server: n.server, Store: n.store,
		Budget: n.background.budget, Ring: n.ringOf, Group: n.Group,
		Ready: func() bool {
			for _, c := range n.readiness() {
				if c.Fault != "" {
					return false
				}
			}
			return true
		},
		Data: func() *metrics.Data {
			d := n.data.Load()
			if d == nil {
				return nil
			}
			return &metrics.Data{
				Node: d.member.ID, Replica: d.replica, Gossip: d.gossip, Coordinator: d.coordinator,
				Handoff: d.handoff, Exchange: d.exchange, Purger: d.purger, Refill: d.refillStatus,
			}
		},
	}
}
