// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// serveOutput is what `dyno serve -o json` prints once the node is ready.
type serveOutput struct {
	head
	Node    string `json:"node"`
	Cluster string `json:"cluster"`
	DataDir string `json:"data_dir"`
	Client  string `json:"client"`
	Peer    string `json:"peer"`
	Gossip  string `json:"gossip"`
	Admin   string `json:"admin"`
}

func (a *app) serveCommand() *cobra.Command {
	flags := defaultSettings()
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run one node of a cluster",
		Long: `Runs a node until it is told to stop (Ctrl-C, SIGTERM). It prints 'ready' on a line of
its own once it serves.

A node with an empty directory joins the cluster of a node that --join names, or founds one
where --join is not given. The first ring is made when --expect nodes are there; until then
requests are answered NOT_READY. Later starts need the same name and directory and nothing
else: addresses may change.

A directory that is empty, restored or copied where the name has stored data is refused.
--rejoin says that the node's own is lost: what the directory holds is removed, and it is
filled from the other owners. 'ready' comes when it has all of it. Of a directory that is
not refused nothing changes. An empty one needs --join.

Nobody is asked who they are, so that a node listens on this machine only, unless --insecure
says otherwise.

Every flag can be set in a file ('dyno config print' writes a sample) and by a variable:
--data-dir is 'data_dir' in the file and DYNO_SERVER_DATA_DIR in the environment.`,
		Example: `  dyno serve --name n1 --data-dir ./n1
  dyno serve --name n2 --data-dir ./n2 --listen 127.0.0.1:4620 --join 127.0.0.1:4610
  dyno serve --name n3 --data-dir ./n3 --listen 127.0.0.1:4630 --join 127.0.0.1:4610`,
		Args: takes(0, 0),
	}
	flags.serveFlags(c.Flags())
	a.configured(c, a.serve)
	return c
}

// serve runs a node until ctx ends.
func (a *app) serve(ctx context.Context, s settings) error {
	cfg, log, err := a.serveConfig(s)
	if err != nil {
		return usage("%w", err)
	}
	memory, err := parseSize(s.MemoryTarget)
	if err != nil {
		return usage("memory target: %w", err)
	}
	a.tuneRuntime(1, memory)
	n, err := node.Open(ctx, cfg, log)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return storageFault(err)
	}
	run, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { trimWhenIdle(run, allocatedBytes, debug.FreeOSMemory) })
	told := make(chan error, 1) // the one result of tellServing
	beside.Go(func() { told <- a.tellServing(run, n, cfg) })
	err = n.Run(run)
	stop()
	beside.Wait()
	return errors.Join(storageFault(err), <-told)
}

// tellServing prints where the node listens, what it waits for, and when it serves.
func (a *app) tellServing(ctx context.Context, n *node.Node, cfg node.Config) error {
	if a.form == formTable {
		if err := a.printf("%s answers clients at %s, data in %s\n", cfg.Name,
			cfg.Form.Addresses.Client, cfg.Dir); err != nil {
			return err
		}
	}
	const look = 50 * time.Millisecond
	every := time.NewTicker(look)
	defer every.Stop()
	for last := ""; ; {
		status := n.Status()
		if status.Ready && status.Confirmed {
			break
		}
		if status.Reason != last && status.Reason != "" {
			a.say("dyno: not ready: %s", status.Reason)
		}
		last = status.Reason
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
	}
	if a.form == formTable {
		return a.printf("ready\n")
	}
	at := cfg.Form.Addresses
	return a.printJSON(serveOutput{
		head: newHead(), Node: cfg.Name, Cluster: n.Cluster(), DataDir: cfg.Dir,
		Client: at.Client, Peer: at.Peer, Gossip: at.Gossip, Admin: cfg.Form.Listen.Admin,
	})
}

// serveConfig makes a node's configuration of the settings.
func (a *app) serveConfig(s settings) (node.Config, *zap.Logger, error) {
	cfg := node.DefaultConfig()
	cfg.Name, cfg.Dir, cfg.RefuseLost = s.Name, s.DataDir, true
	if s.Name == "" || s.DataDir == "" {
		return cfg, nil, errors.New("--name and --data-dir are needed: who the node is, and where " +
			"its data is")
	}
	cfg.Form = node.Formation{
		Zone: s.Zone, Weight: uint32(s.Weight), Join: s.Join, Bootstrap: s.Bootstrap,
		Expect: s.Expect, Replicas: s.Replicas, Partitions: s.Partitions,
	}
	if s.Weight < 1 || s.Weight > wire.MaxWeight {
		return cfg, nil, fmt.Errorf("weight %d: must be 1 to %d", s.Weight, wire.MaxWeight)
	}
	var err error
	if cfg.Form.Listen, err = s.listenAddresses(); err != nil {
		return cfg, nil, err
	}
	if cfg.Form.Addresses, err = s.advertised(cfg.Form.Listen); err != nil {
		return cfg, nil, err
	}
	log, err := a.nodeSettings(&cfg, s)
	if err != nil {
		return cfg, nil, err
	}
	if cfg.Points, err = failpoints(); err != nil {
		return cfg, nil, err
	}
	cfg.OnMachine(storage.DefaultDirConfig())
	return cfg, log, cfg.Validate()
}

// nodeSettings sets what all nodes can be told, and returns their logger.
func (a *app) nodeSettings(cfg *node.Config, s settings) (*zap.Logger, error) {
	cfg.DrainTimeout, cfg.Rejoin = s.DrainTimeout, s.Rejoin
	cfg.Server.Version = version
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		return nil, fmt.Errorf("listen address %q: must be HOST:PORT", s.Listen)
	}
	reserve, err := parseSize(s.DiskReserve)
	if err != nil {
		return nil, fmt.Errorf("disk reserve: %w", err)
	}
	// Writes come back only when a quarter more is free, so that a disk at its limit does
	// not take and refuse them in turn.
	cfg.Storage.LowWater, cfg.Storage.HighWater = reserve, reserve+reserve/4
	if s.DrainTimeout <= 0 {
		return nil, fmt.Errorf("drain timeout %v: must be above 0", s.DrainTimeout)
	}
	if cfg.PurgeGrace = s.PurgeGrace; s.PurgeGrace < 0 {
		return nil, fmt.Errorf("purge grace %v: must not be below 0", s.PurgeGrace)
	}
	cfg.Meta.Engine.DeadAfter = s.VoterTimeout
	if err := cfg.Meta.Engine.Validate(); err != nil {
		return nil, fmt.Errorf("voter timeout %v: %w", s.VoterTimeout, err)
	}
	level, err := s.level()
	if err != nil {
		return nil, err
	}
	return newLogger(a.errs, level, s.LogFormat)
}

// listenAddresses are where the node's ports are bound.
func (s *settings) listenAddresses() (wire.Addresses, error) {
	host, text, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return wire.Addresses{}, fmt.Errorf("listen address %q: must be HOST:PORT", s.Listen)
	}
	port, err := strconv.Atoi(text)
	const above, most = 3, 65535 // ports above the client's
	if err != nil || port < 1 || port > most-above {
		return wire.Addresses{}, fmt.Errorf("listen address %q: the port must be 1 to %d",
			s.Listen, most-above)
	}
	list := wire.Addresses{
		Client: s.Listen, Peer: s.PeerListen, Gossip: s.GossipListen, Admin: s.AdminListen,
	}
	for i, addr := range []*string{&list.Client, &list.Peer, &list.Gossip, &list.Admin} {
		if *addr == "" {
			*addr = net.JoinHostPort(host, strconv.Itoa(port+i))
		}
		if *addr, err = s.bindable(*addr); err != nil {
			return wire.Addresses{}, err
		}
	}
	return list, nil
}

// bindable checks an address to listen at. Without --insecure it must be on this machine:
// the ports are open to whoever can reach them (ARCHITECTURE 10).
func (s *settings) bindable(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("listen address %q: must be HOST:PORT", addr)
	}
	switch host {
	case "localhost":
		host = "127.0.0.1"
	case "":
		host = "0.0.0.0"
	}
	ip := net.ParseIP(host)
	switch {
	case ip == nil:
		return "", fmt.Errorf("listen address %q: must be an IP address and a port", addr)
	case !ip.IsLoopback() && !s.Insecure:
		return "", fmt.Errorf("listen address %q is beyond this machine, and nobody is asked who "+
			"they are; say --insecure if the network is yours alone", addr)
	default:
		return net.JoinHostPort(host, port), nil
	}
}

// advertised are the addresses that others are told. An admin port that is for this machine
// alone, unlike the others, is told to nobody.
func (s *settings) advertised(at wire.Addresses) (wire.Addresses, error) {
	if onLoopback(at.Admin) && !onLoopback(at.Client) {
		at.Admin = ""
	}
	for _, addr := range []*string{&at.Client, &at.Peer, &at.Gossip, &at.Admin} {
		if *addr == "" {
			continue
		}
		host, port, err := net.SplitHostPort(*addr)
		if err != nil {
			return at, err
		}
		if s.Advertise != "" {
			host = s.Advertise
		}
		if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
			return at, fmt.Errorf("address %q can not be told to others; say --advertise IP", host)
		}
		*addr = net.JoinHostPort(host, port)
	}
	return at, nil
}

// onLoopback reports whether nobody but this machine reaches an address.
func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}
