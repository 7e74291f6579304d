// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// NotReady is a node whose store is refused, or, Filling, was lost and is being filled: that
// takes as long as it takes, and may need an operator.
type NotReady struct {
	Name, Reason string
	Filling      bool
}

// Ready waits until every node that runs serves, or has been refused and will not, or is being
// filled: those are returned. The others know each other by then. It fails where the cluster
// ends.
func (c *Cluster) Ready(ctx context.Context) ([]NotReady, error) {
	const look = 10 * time.Millisecond
	every := time.NewTicker(look)
	defer every.Stop()
	for {
		if refused, cluster := c.ready(); cluster != "" {
			return refused, c.noteFormed(cluster)
		}
		select {
		case <-every.C:
		case <-c.over:
			return nil, fmt.Errorf("dev: not ready: %w", errEnding)
		case <-ctx.Done():
			return nil, fmt.Errorf("dev: the cluster is not ready: %w%s", context.Cause(ctx),
				c.laggards())
		}
	}
}

// laggards says of each node that does not serve yet what it waits for.
func (c *Cluster) laggards() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for name, r := range c.running {
		if r.node == nil {
			all = append(all, "; "+name+": it is being opened")
			continue
		}
		switch status := r.node.Status(); {
		case !status.Ready:
			all = append(all, "; "+name+": "+status.Reason)
		case !status.Confirmed:
			all = append(all, "; "+name+": its start has not been confirmed")
		}
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// ready reports the nodes whose stores are refused, and the cluster's id once all others
// serve and know each other; before that it is empty.
func (c *Cluster) ready() (refused []NotReady, cluster string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base == nil {
		return nil, ""
	}
	var serving []kv.NodeID
	for _, r := range c.running {
		if r.node != nil && !r.asked {
			serving = append(serving, r.node.ID())
		}
	}
	for name, r := range c.running {
		switch {
		case r.node == nil:
			return nil, "" // it is being opened
		case r.asked:
			continue
		}
		switch status := r.node.Status(); {
		case status.Refused || status.Filling:
			refused = append(refused,
				NotReady{Name: name, Reason: status.Reason, Filling: status.Filling})
		case !status.Ready || !status.Confirmed || !r.node.Connected(serving):
			return nil, ""
		}
		cluster = r.node.Cluster()
	}
	slices.SortFunc(refused, func(a, b NotReady) int { return strings.Compare(a.Name, b.Name) })
	return refused, cluster
}
