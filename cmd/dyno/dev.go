// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/node/dev"
)

// readyTimeout bounds how long a cluster may take until it serves. Opening a large store
// replays its log.
const readyTimeout = 2 * time.Minute

// devOutput is what `dyno dev -o json` prints once the cluster is ready.
type devOutput struct {
	head
	Dir       string          `json:"dir"`
	Temporary bool            `json:"temporary"` // the directory is removed at the end
	Nodes     []devNodeOutput `json:"nodes"`
}

type devNodeOutput struct {
	Name   string `json:"name"`
	Client string `json:"client"`
	Peer   string `json:"peer"`
	Gossip string `json:"gossip"`
	Admin  string `json:"admin"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
}

func (a *app) devCommand() *cobra.Command {
	flags := defaultSettings()
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole cluster on this machine, in one process",
		Long: `Runs a cluster of several nodes in this process: real sockets, real stores. It prints
where they listen, and 'ready' on a line of its own once it serves. Ctrl-C ends it.

Without --dir the cluster is kept in a temporary directory, which is removed at the end.
With it a later 'dyno dev' goes on where this one ended; number of nodes, replicas and
partitions are fixed when the cluster is formed.

'dyno node stop' and 'dyno node start' stop and start single nodes meanwhile.

Every flag can be set in a file ('dyno config print' writes a sample) and by a variable:
--listen is 'listen' in the file and DYNO_SERVER_LISTEN in the environment.`,
		Example: `  dyno dev
  dyno dev --nodes 5 --dir ./cluster
  dyno dev --listen 127.0.0.1:0 -o json`,
		Args: takes(0, 0),
	}
	flags.devFlags(c.Flags())
	a.configured(c, a.dev)
	return c
}

// dev runs a cluster until ctx ends.
func (a *app) dev(ctx context.Context, s settings) (err error) {
	cfg, log, err := a.devConfig(s)
	if err != nil {
		return usage("%w", err)
	}
	memory, err := parseSize(s.MemoryTarget)
	if err != nil {
		return usage("memory target: %w", err)
	}
	temporary := cfg.Dir == ""
	if temporary {
		if cfg.Dir, err = os.MkdirTemp("", "dyno-dev-"); err != nil {
			return storageFault(err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(cfg.Dir)) }()
	}
	cluster, err := dev.Open(ctx, cfg, log)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return storageFault(err)
	}
	a.tuneRuntime(len(cluster.Members()), memory)
	run, stop := context.WithCancel(ctx)
	var trimming sync.WaitGroup
	trimming.Go(func() { trimWhenIdle(run, allocatedBytes, debug.FreeOSMemory) })
	defer trimming.Wait()
	defer stop()
	ended := make(chan error, 1) // the one result of Run
	go func() { ended <- cluster.Run(run) }()
	told := a.tellReady(ctx, cluster, cfg.Dir, temporary)
	if told != nil {
		stop()
	}
	err = <-ended
	if ctx.Err() != nil {
		told = nil // that it was not ready yet is no error: somebody wanted it to end
	}
	return errors.Join(told, storageFault(err))
}

// tellReady prints where the nodes listen, waits, and says so when they serve.
func (a *app) tellReady(ctx context.Context, c *dev.Cluster, dir string, temporary bool) error {
	out := devOutput{head: newHead(), Dir: dir, Temporary: temporary}
	for _, m := range c.Members() {
		out.Nodes = append(out.Nodes, devNodeOutput{
			Name: m.Name, Client: m.Client, Peer: m.Peer, Gossip: m.Gossip, Admin: m.Admin,
			Ready: true,
		})
	}
	if a.form == formTable {
		if err := a.printCluster(&out); err != nil {
			return err
		}
	}
	wait, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	refused, err := c.Ready(wait)
	if err != nil {
		return err
	}
	for _, r := range refused {
		if r.Filling {
			a.say("dyno: %s is not ready yet: %s", r.Name, r.Reason)
		} else {
			a.say("dyno: %s stays not ready: %s", r.Name, r.Reason)
		}
		for i := range out.Nodes {
			if out.Nodes[i].Name == r.Name {
				out.Nodes[i].Ready, out.Nodes[i].Reason = false, r.Reason
			}
		}
	}
	if a.form == formJSON {
		return a.printJSON(out)
	}
	return a.printf("ready\n")
}

func (a *app) printCluster(out *devOutput) error {
	note := ""
	if out.Temporary {
		note = " (removed at the end)"
	}
	if err := a.printf("%d nodes, data in %s%s\n\n", len(out.Nodes), out.Dir, note); err != nil {
		return err
	}
	t := a.newTable("node", "client", "peer", "gossip", "admin")
	var all []string
	for _, n := range out.Nodes {
		t.row(n.Name, n.Client, n.Peer, n.Gossip, n.Admin)
		all = append(all, n.Client)
	}
	if err := t.print(); err != nil {
		return err
	}
	hint := ""
	if out.Nodes[0].Client != defaultEndpoint {
		hint = "  export DYNO_ENDPOINTS=" + strings.Join(all, ",") + "\n"
	}
	stop := ""
	if len(out.Nodes) > 1 {
		stop = "  dyno node stop " + out.Nodes[1].Name + "\n"
	}
	return a.printf("\nIn another shell:\n%s  dyno kv put greeting hello\n"+
		"  dyno kv get greeting\n%s\n", hint, stop)
}

// devConfig makes the cluster's configuration of the settings.
func (a *app) devConfig(s settings) (dev.Config, *zap.Logger, error) {
	cfg := dev.DefaultConfig()
	cfg.Dir, cfg.Listen, cfg.AdminListen = s.Dir, s.Listen, s.AdminListen
	cfg.Nodes, cfg.Replicas, cfg.Partitions = s.Nodes, s.Replicas, s.Partitions
	log, err := a.nodeSettings(&cfg.Node, s)
	if err != nil {
		return cfg, nil, err
	}
	check := cfg
	if check.Dir == "" {
		check.Dir = "." // a temporary one will be made
	}
	return cfg, log, check.Validate()
}
