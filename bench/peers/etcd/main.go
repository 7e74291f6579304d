// SPDX-License-Identifier: Apache-2.0

// Command etcd measures the locks of etcd the way `dyno bench lock` measures those of dyno:
// the same load generator (bench/lockload), three servers on loopback, each a process with a
// directory of its own and every write synced, and etcd's own client for locks
// (clientv3/concurrency). It prints one line of JSON.
//
//	go run . -dir DIR pairs
//	go run . -dir DIR -clients 100 handover
//	go run . -dir DIR -clients 50000 keep
//	go run . -dir DIR -clients 8 -rounds 20 failover
//
// It is a module of its own, so that dyno does not depend on etcd's server. The servers are
// this program again, called with "node".
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/dyno-kv/dyno/bench/load"
	"github.com/dyno-kv/dyno/bench/lockload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(1)
	}
}

type settings struct {
	lockload.Config
	dir   string
	port  int
	conns int
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) > 0 && args[0] == "node" {
		return serve(ctx, args[1:])
	}
	s := settings{Config: lockload.Config{System: "etcd", Prefix: "bench/"}}
	flags := flag.NewFlagSet("etcd", flag.ContinueOnError)
	flags.StringVar(&s.dir, "dir", "", "where the servers keep their data (a disk); emptied")
	flags.IntVar(&s.port, "port", 23790, "first of six ports on loopback")
	flags.IntVar(&s.conns, "conns", 16, "connections of all clients together")
	flags.IntVar(&s.Clients, "clients", 64, "clients, or sessions that are kept")
	flags.DurationVar(&s.TTL, "ttl", 15*time.Second, "time to live of sessions")
	flags.DurationVar(&s.Duration, "duration", 10*time.Second, "how long to measure")
	flags.DurationVar(&s.WarmUp, "warm-up", 2*time.Second, "how long to run before")
	flags.IntVar(&s.Rounds, "rounds", 10, "how often the leader is killed")
	// A server whose leader has died sits on a request for 7 s, and clients of etcd do not ask
	// again by themselves.
	flags.DurationVar(&s.Try, "try", time.Second, "failover: of one attempt at a lock")
	flags.DurationVar(&s.Timeout, "timeout", 10*time.Second, "of each request")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || s.dir == "" {
		return errors.New("usage: etcd -dir DIR [flags] pairs|handover|keep|failover")
	}
	c, err := startCluster(ctx, s.dir, s.port)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	report, err := measure(ctx, &s, c, flags.Arg(0))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

func measure(
	ctx context.Context, s *settings, c *cluster, scenario string,
) (*lockload.Report, error) {
	fsync, err := load.MeasureFsync(s.dir)
	if err != nil {
		return nil, err
	}
	service, err := dial(c.endpoints(), s.conns)
	if err != nil {
		return nil, err
	}
	defer service.close()
	leader, err := c.leader(ctx)
	if err != nil {
		return nil, err
	}
	s.ServerPIDs, s.LeaderPID = c.pids(), c.nodes[leader].pid()
	var report *lockload.Report
	switch scenario {
	case "pairs":
		report, err = lockload.Pairs(ctx, s.Config, service)
	case "handover":
		report, err = lockload.Handover(ctx, s.Config, service)
	case "keep":
		report, err = lockload.Keep(ctx, s.Config, service)
	case "failover":
		report, err = lockload.Failover(ctx, s.Config, service, c)
	default:
		return nil, fmt.Errorf("no scenario is named %q", scenario)
	}
	if err != nil {
		return nil, err
	}
	report.Fsync = &fsync
	return report, nil
}
