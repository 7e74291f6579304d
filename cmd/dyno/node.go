// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// nodeTimeout bounds stop and start, which wait for requests under way and for a store
// to open; --timeout goes before.
const nodeTimeout = 30 * time.Second

// nodeOutput is what `dyno node stop|start -o json` prints.
type nodeOutput struct {
	head
	Node string `json:"node"`
	Done string `json:"done"` // "stopped" or "started"
}

func (a *app) nodeCommand() *cobra.Command {
	stop := &cobra.Command{
		Use:   "stop NAME",
		Short: "Stop a node of a 'dyno dev' cluster",
		Long: `Stops a node in order, as SIGTERM would, and waits until it has ended. The last node that
runs can not be stopped: through it the others are started again.

Any node that runs can be asked: name one with -e where the first was stopped.`,
		Example: "  dyno node stop n2\n  dyno node stop n1 -e 127.0.0.1:4620",
		Args:    takes(1, 1),
		RunE: a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
			err := c.NodeStop(ctx, args[0], client.WithTimeout(a.timeoutOr(nodeTimeout)))
			return a.tellNode(args[0], "stopped", err)
		})),
	}
	start := &cobra.Command{
		Use:     "start NAME",
		Short:   "Start a node that was stopped",
		Example: "  dyno node start n2\n  dyno node start n1 -e 127.0.0.1:4620",
		Args:    takes(1, 1),
		RunE: a.does(a.asks(func(ctx context.Context, c *client.Client, args []string) error {
			err := c.NodeStart(ctx, args[0], client.WithTimeout(a.timeoutOr(nodeTimeout)))
			return a.tellNode(args[0], "started", err)
		})),
	}
	status := &cobra.Command{
		Use: "status", Short: "Show how the nodes are", Long: statusLong, Args: takes(0, 0),
		Example: "  dyno node status",
		RunE:    a.does(a.asks(a.clusterStatus)),
	}
	return a.parent("node", "Single nodes", status, stop, start)
}

func (a *app) tellNode(node, done string, err error) error {
	switch {
	case err != nil:
		return err
	case a.form == formJSON:
		return a.printJSON(nodeOutput{head: newHead(), Node: node, Done: done})
	default:
		return a.printf("%s %s\n", node, done)
	}
}

// timeoutOr is --timeout, or what a command takes without it.
func (a *app) timeoutOr(otherwise time.Duration) time.Duration {
	if a.timeout > 0 {
		return a.timeout
	}
	return otherwise
}
