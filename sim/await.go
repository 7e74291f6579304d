// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
)

// AwaitReady waits until every process that runs is confirmed and connected to all that
// run, or ctx ends.
func (c *Cluster) AwaitReady(ctx context.Context) error {
	return await(ctx, func() *Host {
		var up []*Host
		for _, h := range c.Hosts {
			if h.Up() {
				up = append(up, h)
			}
		}
		return Unready(up)
	})
}

// Await waits until each of these hosts has a process that is confirmed and connected to
// those of all others, or ctx ends.
func Await(ctx context.Context, hosts []*Host) error {
	return await(ctx, func() *Host { return Unready(hosts) })
}

// AwaitServing waits until each of these hosts serves and is connected to all others of
// them, which needs no metadata group, or until ctx ends.
func AwaitServing(ctx context.Context, hosts []*Host) error {
	return await(ctx, func() *Host { return Unserving(hosts) })
}

func await(ctx context.Context, unready func() *Host) error {
	const every = 10 * time.Millisecond
	for {
		late := unready()
		if late == nil {
			return nil
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return fmt.Errorf("sim: %s is not ready: %w", late.Name, context.Cause(ctx))
		}
	}
}

// Unready is one of the hosts for which Await waits; nil where there is none.
func Unready(hosts []*Host) *Host {
	return lacking(hosts, func(s replica.Status) bool { return s.Ready && s.Confirmed })
}

// Unserving is one of the hosts for which AwaitServing waits; nil where there is none.
func Unserving(hosts []*Host) *Host {
	return lacking(hosts, func(s replica.Status) bool { return s.Ready })
}

// lacking is a host whose store does not stand like that, or which is not connected to all
// others.
func lacking(hosts []*Host, stands func(replica.Status) bool) *Host {
	var ids []kv.NodeID
	for _, h := range hosts {
		ids = append(ids, h.ID)
	}
	for _, h := range hosts {
		status, up := h.Status()
		if !up || !stands(status) || !h.process.node.Connected(ids) {
			return h
		}
	}
	return nil
}
