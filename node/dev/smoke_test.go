// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func TestClusterStoresAndServes(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Dir, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	cfg.Node.Storage.LowWater, cfg.Node.Storage.HighWater = 0, 0
	c, err := Open(t.Context(), cfg, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	wait, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if refused, err := c.Ready(wait); err != nil || len(refused) > 0 {
		t.Fatal(refused, err)
	}
	for i, m := range c.Members() {
		nc, err := net.Dial("tcp", m.Client)
		if err != nil {
			t.Fatal(err)
		}
		client, err := rpc.NewClient(nc, rpc.DefaultClientConfig(), zaptest.NewLogger(t))
		if err != nil {
			t.Fatal(err)
		}
		go client.Run(ctx)
		for j := range 20 {
			key := fmt.Sprintf("k%d-%d", i, j)
			_, err := client.Call(wait, wire.MethodPut, func(dst []byte) []byte {
				return wire.AppendPutRequest(dst, &wire.PutRequest{Key: []byte(key), Value: []byte("v" + key)})
			})
			if err != nil {
				t.Fatal(err)
			}
			b, err := client.Call(wait, wire.MethodGet, func(dst []byte) []byte {
				return wire.AppendGetRequest(dst, &wire.GetRequest{Key: []byte(key)})
			})
			if err != nil {
				t.Fatal(err)
			}
			var got wire.GetResult
			if err := wire.DecodeGetResult(b, &got); err != nil || !got.Found || len(got.Siblings) != 1 || string(got.Siblings[0].Value) != "v"+key {
				t.Fatalf("%+v %v", got, err)
			}
		}
		client.Close()
	}
}
