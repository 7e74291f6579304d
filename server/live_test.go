// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/node/dev"
	"github.com/dyno-kv/dyno/rpc"
)

// memberlist does not wait for its own timers when it shuts down.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).gossip"),
	)
}

// startCluster runs a cluster of real nodes for the test, and waits until it is ready.
func startCluster(t *testing.T, nodes int) *dev.Cluster {
	t.Helper()
	cfg := dev.DefaultConfig()
	cfg.Dir, cfg.Nodes, cfg.Listen = t.TempDir(), nodes, "127.0.0.1:0"
	cfg.Node.Storage.LowWater, cfg.Node.Storage.HighWater = 0, 0 // test disks may be small
	cfg.Node.Meta.Engine.Tick = 30 * time.Millisecond            // elections take ten of them
	cluster, err := dev.Open(t.Context(), cfg, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- cluster.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the cluster failed: %v", err)
		}
	})
	wait, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	refused, err := cluster.Ready(wait)
	if err != nil || len(refused) > 0 {
		t.Fatalf("the cluster is not ready: %v, refused %v", err, refused)
	}
	return cluster
}

// dial opens a client connection to a node.
func dial(t *testing.T, addr string) *rpc.Client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rpc.NewClient(conn, rpc.DefaultClientConfig(), zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = client.Run(context.Background())
	}()
	t.Cleanup(func() {
		client.Close()
		<-ended
	})
	return client
}
