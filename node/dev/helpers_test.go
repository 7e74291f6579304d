// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// memberlist does not wait for its own timers when it shuts down.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).gossip"),
	)
}

// patience bounds every wait of these tests; on an idle machine they take far less.
const patience = 30 * time.Second

func testConfig(dir string) Config {
	cfg := DefaultConfig()
	cfg.Dir, cfg.Listen = dir, "127.0.0.1:0"
	cfg.Node.Storage.LowWater, cfg.Node.Storage.HighWater = 0, 0 // test disks may be small
	cfg.Node.Gossip.GossipInterval = 20 * time.Millisecond       // farewells take three of them
	cfg.Node.Meta.Engine.Tick = 30 * time.Millisecond            // elections take ten of them
	return cfg
}

// life is one run of a cluster, from Open to the end of Run.
type life struct {
	t       *testing.T
	cluster *Cluster
	refused []NotReady
	cancel  context.CancelFunc
	ended   chan error
}

// start runs the cluster of a directory until stop, or the end of the test.
func start(t *testing.T, cfg Config) *life {
	t.Helper()
	cluster, err := Open(t.Context(), cfg, zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{t: t, cluster: cluster, cancel: cancel, ended: make(chan error, 1)}
	go func() { l.ended <- cluster.Run(ctx) }()
	t.Cleanup(l.stop)
	wait, done := context.WithTimeout(ctx, patience)
	defer done()
	if l.refused, err = cluster.Ready(wait); err != nil {
		t.Fatal(err)
	}
	return l
}

// stop ends the cluster in order.
func (l *life) stop() {
	l.cancel()
	if l.ended == nil {
		return
	}
	if err := <-l.ended; err != nil {
		l.t.Errorf("the cluster failed: %v", err)
	}
	l.ended = nil
}

// at connects to a node by its number, from 1.
func (l *life) at(node int) *session {
	l.t.Helper()
	conn, err := net.DialTimeout("tcp", l.cluster.Members()[node-1].Client, patience)
	if err != nil {
		l.t.Fatal(err)
	}
	client, err := rpc.NewClient(conn, rpc.DefaultClientConfig(), zap.NewNop())
	if err != nil {
		l.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = client.Run(context.Background())
	}()
	l.t.Cleanup(func() {
		client.Close()
		<-ended
	})
	return &session{t: l.t, client: client}
}

// session is a client's connection to one node.
type session struct {
	t      *testing.T
	client *rpc.Client
}

func (s *session) call(method string, params func([]byte) []byte) ([]byte, error) {
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	return s.client.Call(ctx, method, params)
}

// tryPut puts a value and returns the writer's context.
func (s *session) tryPut(q wire.PutRequest) (wire.PutResult, error) {
	s.t.Helper()
	b, err := s.call(wire.MethodPut, func(dst []byte) []byte {
		return wire.AppendPutRequest(dst, &q)
	})
	if err != nil {
		return wire.PutResult{}, err
	}
	var result wire.PutResult
	if err := wire.DecodePutResult(b, &result); err != nil {
		s.t.Fatal(err)
	}
	return result, nil
}

func (s *session) put(key, value string, context []byte) []byte {
	s.t.Helper()
	result, err := s.tryPut(wire.PutRequest{
		Key: []byte(key), Value: []byte(value), WriteOptions: wire.WriteOptions{Context: context},
	})
	if err != nil {
		s.t.Fatalf("put %s: %v", key, err)
	}
	return result.Context
}

func (s *session) tryGet(q wire.GetRequest) (wire.GetResult, error) {
	s.t.Helper()
	b, err := s.call(wire.MethodGet, func(dst []byte) []byte {
		return wire.AppendGetRequest(dst, &q)
	})
	if err != nil {
		return wire.GetResult{}, err
	}
	var result wire.GetResult
	if err := wire.DecodeGetResult(b, &result); err != nil {
		s.t.Fatal(err)
	}
	return result, nil
}

// get reads a key at a level and returns its values, sorted, and its context.
func (s *session) get(key string, r kv.Level) ([]string, []byte) {
	s.t.Helper()
	result, err := s.tryGet(wire.GetRequest{
		Key: []byte(key), ReadOptions: wire.ReadOptions{R: r},
	})
	if err != nil {
		s.t.Fatalf("get %s: %v", key, err)
	}
	var values []string
	for _, sibling := range result.Siblings {
		values = append(values, string(sibling.Value))
	}
	slices.Sort(values)
	return values, result.Context
}

// has demands values of a key at a level.
func (s *session) has(key string, r kv.Level, want ...string) []byte {
	s.t.Helper()
	values, context := s.get(key, r)
	if !slices.Equal(values, want) {
		s.t.Errorf("get %s at r=%v returned %q, want %q", key, r, values, want)
	}
	return context
}

func (s *session) delete(key string, context []byte) []byte {
	s.t.Helper()
	b, err := s.call(wire.MethodDelete, func(dst []byte) []byte {
		return wire.AppendDeleteRequest(dst, &wire.DeleteRequest{
			Key: []byte(key), WriteOptions: wire.WriteOptions{Context: context},
		})
	})
	if err != nil {
		s.t.Fatalf("delete %s: %v", key, err)
	}
	var result wire.DeleteResult
	if err := wire.DecodeDeleteResult(b, &result); err != nil {
		s.t.Fatal(err)
	}
	return result.Context
}

// codeOf is the code of an error that a node answered with.
func codeOf(err error) wire.Code {
	var told *rpc.RemoteError
	if !errors.As(err, &told) {
		return ""
	}
	code, _ := wire.ParseError(told.Text)
	return code
}
