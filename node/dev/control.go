// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"context"

	"github.com/dyno-kv/dyno/server"
)

// control is the cluster as one of its nodes offers it to clients.
type control struct {
	cluster *Cluster
	self    string
}

var _ server.Control = (*control)(nil)

// StopNode implements server.Control. A node that is asked to stop itself answers first:
// its drain waits for the very request that asks.
func (c *control) StopNode(ctx context.Context, name string) error {
	if name != c.self {
		return c.cluster.StopNode(ctx, name)
	}
	_, err := c.cluster.beginStop(name)
	return err
}

// StartNode implements server.Control.
func (c *control) StartNode(ctx context.Context, name string) error {
	return c.cluster.StartNode(ctx, name)
}

// Stopped implements server.Control.
func (c *control) Stopped(name string) bool { return c.cluster.Stopped(name) }
