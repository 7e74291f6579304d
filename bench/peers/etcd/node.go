// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
)

// serve is one server, until ctx ends. All that matters for its speed is as etcd has it by
// default: writes are synced, a heartbeat every 100 ms, an election after 1 s.
func serve(ctx context.Context, args []string) error {
	cfg := embed.NewConfig()
	var peer, client string
	flags := flag.NewFlagSet("node", flag.ContinueOnError)
	flags.StringVar(&cfg.Name, "name", "", "of this server")
	flags.StringVar(&cfg.Dir, "dir", "", "of its data")
	flags.StringVar(&peer, "peer", "", "its address for others of its kind")
	flags.StringVar(&client, "client", "", "its address for clients")
	flags.StringVar(&cfg.InitialCluster, "cluster", "", "names and peer addresses of all")
	if err := flags.Parse(args); err != nil {
		return err
	}
	peerURL, err := url.Parse(peer)
	clientURL, errClient := url.Parse(client)
	if err = errors.Join(err, errClient); err != nil {
		return err
	}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peerURL}, []url.URL{*peerURL}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*clientURL}, []url.URL{*clientURL}
	cfg.LogLevel = "error"
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("start %s: %w", cfg.Name, err)
	}
	defer e.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-e.Err():
		return fmt.Errorf("%s: %w", cfg.Name, err)
	}
}
