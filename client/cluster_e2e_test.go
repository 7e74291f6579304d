// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/node/dev"
)

// patience bounds every wait of these tests; on an idle machine they take far less.
const patience = 30 * time.Second

func devConfig(dir string, nodes int) dev.Config {
	cfg := dev.DefaultConfig()
	cfg.Dir, cfg.Listen, cfg.Nodes = dir, "127.0.0.1:0", nodes
	cfg.Node.Storage.LowWater, cfg.Node.Storage.HighWater = 0, 0 // test disks may be small
	cfg.Node.Meta.Engine.Tick = 30 * time.Millisecond            // elections take ten of them
	cfg.Node.Gossip.GossipInterval = 20 * time.Millisecond       // farewells take three of them
	return cfg
}

// cluster runs three nodes until the test ends.
func cluster(t *testing.T) *dev.Cluster {
	t.Helper()
	return runCluster(t, devConfig(t.TempDir(), 3),
		zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)))
}

func runCluster(t *testing.T, cfg dev.Config, log *zap.Logger) *dev.Cluster {
	t.Helper()
	c, err := dev.Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the cluster failed: %v", err)
		}
	})
	wait, done := context.WithTimeout(ctx, patience)
	defer done()
	if refused, err := c.Ready(wait); err != nil || len(refused) != 0 {
		t.Fatal(refused, err)
	}
	return c
}

func connectTo(t *testing.T, c *dev.Cluster, nodes ...int) *client.Client {
	t.Helper()
	cfg := client.DefaultConfig()
	for _, n := range nodes {
		cfg.Endpoints = append(cfg.Endpoints, c.Members()[n-1].Client)
	}
	cl, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// Writers go on while a node stops and starts; then everything that was acknowledged is
// there, and every key has one value where its writer wrote with its context.
func TestWritesGoOnWhileANodeStopsAndStarts(t *testing.T) {
	dc := cluster(t)
	c := connectTo(t, dc, 1)
	b := c.Bucket(client.DefaultBucket)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const writers = 8
	last := make([]string, writers)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			var seen client.Context
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				v := fmt.Sprintf("%d-%d", w, i)
				r, err := b.Put(ctx, fmt.Appendf(nil, "key-%d", w), []byte(v), client.WithContext(seen))
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				seen, last[w] = r.Context, v
			}
		})
	}
	for _, name := range []string{"n2", "n1"} {
		time.Sleep(100 * time.Millisecond)
		other := client.WithEndpoint(dc.Members()[2].Client)
		if err := c.NodeStop(ctx, name, other); err != nil {
			t.Error(err)
		}
		time.Sleep(200 * time.Millisecond)
		if err := c.NodeStart(ctx, name, other, client.WithTimeout(20*time.Second)); err != nil {
			t.Error(err)
		}
		awaitReady(ctx, t, c, name, other)
	}
	close(stop)
	wg.Wait()
	for w, want := range last {
		r, err := b.Get(ctx, fmt.Appendf(nil, "key-%d", w), client.WithR(client.All))
		if err != nil {
			t.Error(err)
			continue
		}
		held := slices.ContainsFunc(r.Siblings, func(s client.Sibling) bool {
			return string(s.Value) == want
		})
		if !held {
			t.Errorf("writer %d: the last acknowledged value is %q, found %v", w, want, r.Siblings)
		}
	}
}

// awaitReady waits until a node that was started serves: it has asked the group, and holds
// what it should.
func awaitReady(
	ctx context.Context, t *testing.T, c *client.Client, name string, other client.Option,
) {
	t.Helper()
	for ctx.Err() == nil {
		status, err := c.ClusterStatus(ctx, other)
		for i := range status.Members {
			m := &status.Members[i]
			if err != nil || m.Name != name || m.State != client.StateUp {
				continue
			}
			own, err := c.ClusterStatus(ctx, client.WithEndpoint(m.Addresses.Client))
			if err == nil && slices.ContainsFunc(own.Members, func(o client.MemberStatus) bool {
				return o.Name == name && o.Ready && o.Confirmed
			}) {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s is not ready", name)
}

func TestValuesOfEverySizeAndManySiblingsComeBack(t *testing.T) {
	c := connectTo(t, cluster(t), 1, 2)
	b := c.Bucket(client.DefaultBucket)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var keys [][]byte
	for _, size := range []int{0, 1, 1000, 64 << 10, 512 << 10} {
		key, value := fmt.Appendf(nil, "size-%d", size), bytes.Repeat([]byte("v"), size)
		keys = append(keys, key)
		if _, err := b.Put(ctx, key, value); err != nil {
			t.Fatal(err)
		}
		r, err := b.Get(ctx, key)
		got, verr := r.Value()
		if err != nil || verr != nil || !bytes.Equal(got, value) {
			t.Errorf("%d bytes: got %d, %v, %v", size, len(got), err, verr)
		}
	}
	for i := range 20 {
		if _, err := b.Put(ctx, []byte("siblings"), bytes.Repeat([]byte{byte(i)}, 40<<10)); err != nil {
			t.Fatal(err)
		}
	}
	keys = append(keys, []byte("siblings"), []byte("missing"))
	many, err := b.GetMany(ctx, keys, client.WithAtomic())
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range many {
		want := map[int]int{5: 20, 6: 0}[i]
		if i < 5 {
			want = 1
		}
		if r.Err != nil || len(r.Siblings) != want {
			t.Errorf("%s: %d siblings, want %d, %v", keys[i], len(r.Siblings), want, r.Err)
		}
	}
	scan, found := b.Scan(nil, client.WithLimit(2)), 0
	for e, err := range scan.All(ctx) {
		if err != nil || len(e.Siblings) == 0 {
			t.Fatal(e, err)
		}
		found++
	}
	if found != 6 || !scan.Complete() {
		t.Errorf("a scan found %d keys, complete %v", found, scan.Complete())
	}
}

func TestARetryWithTheSameRequestIDIsOneWrite(t *testing.T) {
	c := connectTo(t, cluster(t), 1)
	b := c.Bucket(client.DefaultBucket)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	id := c.NewRequestID()
	for range 3 {
		if _, err := b.Put(ctx, []byte("k"), []byte("v"), client.WithRequestID(id)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := b.Get(ctx, []byte("k"))
	if err != nil || len(r.Siblings) != 1 {
		t.Errorf("%d siblings, %v", len(r.Siblings), err)
	}
}

func TestNodesRefuseWhatTheyMust(t *testing.T) {
	c := connectTo(t, cluster(t), 1)
	b := c.Bucket(client.DefaultBucket)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	put, err := b.Put(ctx, []byte("a"), []byte("v"))
	if err != nil {
		t.Fatal(err)
	}
	_, foreign := b.Put(ctx, []byte("b"), []byte("v"), client.WithContext(put.Context))
	_, bucket := c.Bucket("none").Get(ctx, []byte("a"))
	_, level := b.Get(ctx, []byte("a"), client.WithR(client.Replicas(4)))
	for _, tc := range []struct{ got, want error }{
		{foreign, client.ErrInvalid}, {bucket, client.ErrNoSuchBucket}, {level, client.ErrInvalid},
	} {
		if !errors.Is(tc.got, tc.want) || client.OutcomeOf(tc.got) != client.OutcomeNone {
			t.Errorf("got %v, want %v", tc.got, tc.want)
		}
	}
	status, err := c.ClusterStatus(ctx)
	if err != nil || len(status.Members) != 3 {
		t.Errorf("status %+v, %v", status, err)
	}
}
