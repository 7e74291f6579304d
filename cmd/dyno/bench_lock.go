// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/dyno-kv/dyno/bench/load"
	"github.com/dyno-kv/dyno/bench/lockload"
	"github.com/dyno-kv/dyno/client"
)

type lockBenchFlags struct {
	lockload.Config
	clusterDir string
	port       int
	conns      int
	fsyncDir   string
}

// lockBenchOutput is what `dyno bench lock -o json` prints.
type lockBenchOutput struct {
	head
	*lockload.Report
}

func (a *app) benchLockCommand() *cobra.Command {
	var f lockBenchFlags
	c := &cobra.Command{
		Use:   "lock pairs|handover|keep|failover",
		Short: "Measure locks and sessions",
		Long: `Measures what locks cost, in one of four ways:

  pairs     each client locks and unlocks a name of its own, one pair after the other
  handover  all clients want one name, and give it back at once
  keep      as many sessions as --clients are kept alive, and nothing else is done
  failover  the leader is killed, --rounds times: how long until the next grant

Each client has a session. --cluster-dir starts three nodes in that directory for the run, as
processes of their own on --port and above, and watches them; failover needs it. Without it
the nodes at --endpoints are measured, and --server-pid says which processes to watch.

In keep the sessions are renewed through those nodes that do not lead, where there are any
and --cluster-dir is given: what the leader spends is then what the group costs it.

The program in bench/peers/etcd measures the locks of etcd in the same way.`,
		Example: `  dyno bench lock pairs --clients 64 --cluster-dir ./bench-nodes
  dyno bench lock failover --clients 8 --rounds 20 --cluster-dir ./bench-nodes -o json
  dyno bench lock handover --clients 100 -e 127.0.0.1:4610`,
		Args:      takes(1, 1),
		ValidArgs: lockScenarios(),
	}
	fs := c.Flags()
	fs.IntVar(&f.Clients, "clients", 64, "clients, or sessions that are kept")
	fs.DurationVar(&f.TTL, "ttl", 15*time.Second, "time to live of sessions")
	fs.DurationVar(&f.Duration, "duration", 10*time.Second, "how long to measure")
	fs.DurationVar(&f.WarmUp, "warm-up", 2*time.Second, "how long to run before measuring")
	fs.IntVar(&f.Rounds, "rounds", 10, "how often the leader is killed")
	fs.StringVar(&f.Prefix, "prefix", "", "begin names so (default: one that no other run has)")
	fs.IntSliceVar(&f.ServerPIDs, "server-pid", nil, "watch this server process; may be repeated")
	fs.StringVar(&f.clusterDir, "cluster-dir", "", "start three nodes in this directory; emptied")
	fs.IntVar(&f.port, "port", 5710, "first port of these nodes, which take 23")
	fs.IntVar(&f.conns, "conns", 0, "connections to each node (default: one for 256 clients)")
	fs.StringVar(&f.fsyncDir, "fsync-dir", "", "measure the fsync time of this directory")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		return a.benchLock(ctx, &f, args[0])
	})
	return c
}

func lockScenarios() []string { return []string{"pairs", "handover", "keep", "failover"} }

func (a *app) benchLock(ctx context.Context, f *lockBenchFlags, scenario string) (err error) {
	cfg := f.Config
	cfg.System, cfg.Timeout = "dyno", a.timeoutOr(defaultTimeout)
	if cfg.Prefix == "" {
		cfg.Prefix = fmt.Sprintf("bench/%x/", time.Now().UnixNano())
	}
	if err := cfg.Validate(); err != nil {
		return usage("%w", err)
	}
	if !slices.Contains(lockScenarios(), scenario) {
		return usage("%q: must be one of %v", scenario, lockScenarios())
	}
	if scenario == "failover" && f.clusterDir == "" {
		return usage("failover kills nodes: --cluster-dir says where to start some")
	}
	var nodes *benchNodes
	if f.clusterDir != "" {
		if nodes, err = startBenchNodes(ctx, f.clusterDir, f.port); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, nodes.stop()) }()
		a.endpoints = nodes.endpoints()
	}
	c, err := a.connect(func(cc *client.Config) {
		cc.ConnsPerNode = f.conns
		if f.conns == 0 {
			cc.ConnsPerNode = min((cfg.Clients+255)/256, 16)
		}
	})
	if err != nil {
		return err
	}
	defer c.Close()
	service := &lockService{client: c}
	if nodes != nil {
		leader, err := nodes.settle(ctx, c)
		if err != nil {
			return err
		}
		cfg.ServerPIDs, cfg.LeaderPID = nodes.pids(), nodes.all[leader].pid()
		if scenario == "keep" {
			service.at = nodes.others(leader)
		}
	}
	report, err := runLockBench(ctx, cfg, scenario, service, nodes)
	if err != nil {
		return err
	}
	if f.fsyncDir != "" {
		fsync, err := load.MeasureFsync(f.fsyncDir)
		if err != nil {
			return err
		}
		report.Fsync = &fsync
	}
	return a.printLockBench(report)
}

func runLockBench(
	ctx context.Context, cfg lockload.Config, scenario string, s *lockService, nodes *benchNodes,
) (*lockload.Report, error) {
	switch scenario {
	case "pairs":
		return lockload.Pairs(ctx, cfg, s)
	case "handover":
		return lockload.Handover(ctx, cfg, s)
	case "keep":
		return lockload.Keep(ctx, cfg, s)
	default:
		return lockload.Failover(ctx, cfg, s, &benchKiller{nodes, s.client})
	}
}

// lockService is a cluster's locks under load.
type lockService struct {
	client *client.Client
	at     []string // the only nodes that sessions ask, in turn; none: any
	opened atomic.Uint64
}

var _ lockload.Service = (*lockService)(nil)

// Open implements lockload.Service.
func (s *lockService) Open(ctx context.Context, ttl time.Duration) (lockload.Session, error) {
	opts := []client.Option{client.WithTTL(ttl)}
	if len(s.at) > 0 {
		next := s.opened.Add(1) % uint64(len(s.at))
		opts = append(opts, client.WithEndpoint(s.at[next]))
	}
	own, err := s.client.NewSession(ctx, opts...)
	if err != nil {
		return nil, err
	}
	return &lockBenchSession{own}, nil
}

// Code implements lockload.Service.
func (s *lockService) Code(err error) string {
	var answered *client.Error
	if errors.As(err, &answered) {
		return string(answered.Code)
	}
	return "OTHER"
}

// lockBenchSession is a client's session under load.
type lockBenchSession struct{ *client.Session }

// Lock implements lockload.Session.
func (s *lockBenchSession) Lock(
	ctx context.Context, name string,
) (uint64, lockload.Unlock, error) {
	held, err := s.Mutex(name).Lock(ctx)
	if err != nil {
		return 0, nil, err
	}
	return held.Fence(), held.Unlock, nil
}

// printLockBench prints what a run has measured.
func (a *app) printLockBench(r *lockload.Report) error {
	if a.form == formJSON {
		return a.printJSON(lockBenchOutput{head: newHead(), Report: r})
	}
	err := a.printf("%s: %d clients, %.1f s, %d in all", r.Scenario, r.Clients, r.Seconds, r.Count)
	if err == nil && r.Rate > 0 {
		err = a.printf(", %.0f a second", r.Rate)
	}
	if err == nil {
		err = a.printf("\n")
	}
	if err == nil && r.Scenario != "keep" {
		err = a.printf("\n")
	}
	if err != nil {
		return err
	}
	t, rows := a.newTable("", "mean ms", "p50", "p90", "p99", "p99.9", "max"), 0
	for _, l := range []struct {
		name string
		of   *load.Latency
	}{
		{"pair", r.Pair}, {"lock", r.Lock}, {"unlock", r.Unlock}, {"hand-over", r.Handover},
		{"first grant", r.Failover}, {"last grant", r.FailoverLast},
	} {
		if l.of != nil {
			ms := func(v float64) string { return fmt.Sprintf("%.2f", v) }
			rows++
			t.row(l.name, ms(l.of.Mean), ms(l.of.P50), ms(l.of.P90), ms(l.of.P99), ms(l.of.P999),
				ms(l.of.Max))
		}
	}
	if rows > 0 {
		if err := t.print(); err != nil {
			return err
		}
	}
	return a.printLockCosts(r)
}

func (a *app) printLockCosts(r *lockload.Report) error {
	err := a.printf("\nprocessor: %.2f cores here", r.ClientCPU)
	for _, s := range r.Servers {
		role := "process"
		if s.Leader {
			role = "leader"
		}
		if err == nil {
			err = a.printf(", %.2f in %s %d (%s)", s.Cores, role, s.PID, size(int64(s.RSS)))
		}
	}
	if err == nil {
		err = a.printf("\n%d sessions were lost\n", r.Lost)
	}
	for _, e := range r.Failures {
		if err == nil {
			err = a.printf("failed: %d times %s with %s\n", e.Count, e.Kind, e.Code)
		}
	}
	return err
}
