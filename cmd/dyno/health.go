// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/client"
)

// healthTimeout bounds the question to one node; --timeout goes before.
const healthTimeout = 2 * time.Second

// healthOutput is what `dyno health -o json` prints.
type healthOutput struct {
	head
	Healthy bool               `json:"healthy"`
	Nodes   []nodeHealthOutput `json:"nodes"`
}

type nodeHealthOutput struct {
	Endpoint string `json:"endpoint"`
	Node     string `json:"node,omitempty"`
	Healthy  bool   `json:"healthy"`
	Reason   string `json:"reason,omitempty"`
}

func (a *app) healthCommand() *cobra.Command {
	ready := false
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask each endpoint whether it is well",
		Long: `Asks every endpoint that is given whether it answers, and with --ready whether it serves:
its store holds what it should, and its start was confirmed. Where one of them does not,
the exit code is 9.`,
		Example: `  dyno health
  dyno health --ready -e 127.0.0.1:4610,127.0.0.1:4620,127.0.0.1:4630`,
		Args: takes(0, 0),
	}
	c.Flags().BoolVar(&ready, "ready", false, "ask whether it serves, not only whether it lives")
	c.RunE = a.does(a.asks(func(ctx context.Context, c *client.Client, _ []string) error {
		return a.health(ctx, c, ready)
	}))
	return c
}

func (a *app) health(ctx context.Context, c *client.Client, ready bool) error {
	out := healthOutput{head: newHead(), Healthy: true}
	t := a.newTable("endpoint", "node", "healthy", "reason")
	for _, endpoint := range a.endpoints {
		n := a.nodeHealth(ctx, c, endpoint, ready)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		out.Nodes = append(out.Nodes, n)
		out.Healthy = out.Healthy && n.Healthy
		t.row(n.Endpoint, dash(n.Node), a.yes(n.Healthy), dash(n.Reason))
	}
	var err error
	if a.form == formJSON {
		err = a.printJSON(out)
	} else {
		err = t.print()
	}
	if err == nil && !out.Healthy {
		return silently(exitUnhealthy)
	}
	return err
}

func (a *app) nodeHealth(
	ctx context.Context, c *client.Client, endpoint string, ready bool,
) nodeHealthOutput {
	out := nodeHealthOutput{Endpoint: endpoint}
	bound := client.WithTimeout(a.timeoutOr(healthTimeout))
	if !ready {
		hello, err := c.Hello(ctx, endpoint, bound)
		if err != nil {
			out.Reason = describe(err)
			return out
		}
		out.Node, out.Healthy = hello.Node, true
		return out
	}
	status, err := askStatus(ctx, c, client.WithEndpoint(endpoint), bound)
	if err != nil {
		out.Reason = describe(err)
		return out
	}
	out.Node = status.AnsweredBy
	for i := range status.Members {
		m := &status.Members[i]
		if m.Node != out.Node {
			continue
		}
		out.Healthy, out.Reason = m.Ready && m.Confirmed, m.Reason
		if !out.Healthy && out.Reason == "" {
			out.Reason = "not ready yet"
		}
		return out
	}
	out.Reason = "the node does not know itself as a member"
	return out
}
