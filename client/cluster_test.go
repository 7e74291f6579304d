// SPDX-License-Identifier: Apache-2.0

package client

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func TestNodesTellOfTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 2)
		f.feats = []string{wire.FeatureDev}
		bucket := kv.BuiltinBucket(2)
		status := ClusterStatus{Cluster: testCluster, Node: "n2", RingVersion: 1, Members: []MemberStatus{
			{Member: Member{ID: 1, Name: "n1"}, State: StateStopped, Reason: "stopped"},
		}}
		var named []string
		f.onData(func(n *fakeNode, call *rpc.Call, s seen) bool {
			switch s.method {
			case wire.MethodClusterStatus:
				call.Reply(func(dst []byte) []byte {
					return wire.AppendClusterStatusResult(dst, &status)
				})
			case wire.MethodBucketList:
				call.Reply(func(dst []byte) []byte {
					return wire.AppendBucketListResult(dst, &wire.BucketListResult{
						Buckets: []kv.Bucket{bucket},
					})
				})
			case wire.MethodBucketGet, wire.MethodNodeStop, wire.MethodNodeStart:
				var q wire.NameRequest
				if err := wire.DecodeNameRequest(call.Params, &q); err != nil {
					t.Error(err)
				}
				named = append(named, s.method+" "+q.Name)
				call.Reply(func(dst []byte) []byte {
					if s.method == wire.MethodBucketGet {
						return wire.AppendBucket(dst, &bucket)
					}
					return wire.AppendEmptyResult(dst)
				})
			default:
				return false
			}
			return true
		})
		c, ctx := f.client(nil), t.Context()
		info, err := c.ClusterInfo(ctx)
		if diff := cmp.Diff(f.info(), info); diff != "" || err != nil {
			t.Errorf("info: %v %s", err, diff)
		}
		got, err := c.ClusterStatus(ctx, WithEndpoint("n2:1"), WithTrace("t"))
		if diff := cmp.Diff(status, got); diff != "" || err != nil {
			t.Errorf("status: %v %s", err, diff)
		}
		list, err := c.Buckets(ctx)
		if diff := cmp.Diff([]BucketInfo{bucket}, list); diff != "" || err != nil {
			t.Errorf("buckets: %v %s", err, diff)
		}
		one, err := c.Bucket("default").Info(ctx)
		if diff := cmp.Diff(bucket, one); diff != "" || err != nil {
			t.Errorf("bucket: %v %s", err, diff)
		}
		hello, err := c.Hello(ctx, "n2:1")
		if err != nil || hello.Node != "n2" || hello.Limits != wire.DefaultLimits() {
			t.Errorf("hello: %+v, %v", hello, err)
		}
		stop, start := c.NodeStop(ctx, "n1"), c.NodeStart(ctx, "n1")
		if err := errors.Join(c.Ping(ctx, ""), stop, start); err != nil {
			t.Error(err)
		}
		want := "bucket.get default, dev.node_stop n1, dev.node_start n1"
		if got := strings.Join(named, ", "); got != want {
			t.Errorf("asked for %s, want %s", got, want)
		}
		for _, err := range []error{
			c.NodeStop(ctx, ""), c.NodeStart(ctx, strings.Repeat("x", 256)),
			c.Ping(ctx, "n1"), c.Ping(ctx, "", WithR(One)),
		} {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// A node takes longer to start than an attempt may.
func TestWhatIsNotSentAgainHasAllTheTimeThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.feats = []string{wire.FeatureDev}
		f.onData(func(_ *fakeNode, call *rpc.Call, _ seen) bool {
			time.AfterFunc(4*time.Second, func() { call.Reply(wire.AppendEmptyResult) })
			return true
		})
		if err := f.client(nil).NodeStart(t.Context(), "n1"); err != nil {
			t.Error(err)
		}
		if n := len(f.requests(wire.MethodNodeStart)); n != 1 {
			t.Errorf("sent %d times", n)
		}
	})
}

func TestPingIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		c := f.client(nil)
		if err := c.Ping(t.Context(), "n1:1"); err != nil {
			t.Fatal(err)
		}
		f.nodes[0].kill()
		began := time.Now()
		err := c.Ping(t.Context(), "n1:1")
		if err == nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestHelloRefusedIsToldWithTheNodesCode(t *testing.T) {
	cases := []struct {
		text string
		want error
		once bool
	}{
		{"UNAUTHENTICATED: who are you", ErrPermission, true},
		{"UNSUPPORTED_VERSION: this node speaks proto 2", ErrUnsupported, false},
		{"SHUTTING_DOWN: draining", ErrShuttingDown, false},
	}
	for _, tc := range cases {
		t.Run(tc.text, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 1)
				f.noHello = tc.text
				_, err := f.client(nil).Bucket("default").Put(t.Context(), []byte("k"), nil)
				var e *Error
				if !errors.As(err, &e) || !errors.Is(err, tc.want) || e.Outcome != OutcomeNone {
					t.Fatalf("got %v", err)
				}
				if tc.once != (e.Attempts == 1) {
					t.Errorf("%d attempts", e.Attempts)
				}
			})
		})
	}
}

func TestATLSClientOfAPlainNodeCanNotConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		c := f.client(func(c *Config) {
			c.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
			c.Retry.Attempts = 1
		})
		if err := c.Ping(t.Context(), ""); !errors.Is(err, ErrConnect) {
			t.Errorf("got %v", err)
		}
	})
}

func TestConfigTellsEveryFault(t *testing.T) {
	cfg := Config{Endpoints: []string{"host"}, Name: strings.Repeat("x", 256)}
	_, err := New(cfg)
	for _, want := range []string{
		`"host" is not HOST:PORT`, "Name", "Timeout", "TryTimeout", "DialTimeout", "Attempts",
		"pauses", "ConnsPerNode", "Logger",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %s in %v", want, err)
		}
	}
	if err := DefaultConfig().Validate(); err == nil || strings.Count(err.Error(), "\n") != 0 {
		t.Errorf("the default lacks endpoints and nothing else: %v", err)
	}
	cfg = DefaultConfig()
	cfg.Endpoints = []string{"[::1]:4610", "a:1"}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	c.Close()
}

func TestErrorsReadWellAndAreFound(t *testing.T) {
	e := &Error{
		Op: wire.MethodPut, Bucket: "carts", Key: []byte("cart\x00"), Node: "n1",
		Code: wire.CodeQuorum, Text: "need 2, got 1", Outcome: OutcomeUnknown, Attempts: 3,
	}
	want := `client: kv.put "cart\x00": QUORUM: need 2, got 1 (node n1, 3 attempts, ` +
		`outcome unknown: the write may be there, or appear later)`
	if got := e.Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	e.Key = []byte(strings.Repeat("k", 1000))
	if got := e.Error(); len(got) > 300 {
		t.Errorf("%d bytes", len(got))
	}
	if !errors.Is(e, ErrQuorum) || errors.Is(e, ErrTimeout) || errors.Is(&Error{}, nil) {
		t.Error("errors.Is finds the wrong ones")
	}
	if OutcomeOf(nil) != OutcomeNone || OutcomeOf(errors.New("x")) != OutcomeNone ||
		OutcomeOf(e) != OutcomeUnknown {
		t.Error("OutcomeOf")
	}
}

func TestEveryOptionHasItsName(t *testing.T) {
	for k := optR; k <= optCursor; k <<= 1 {
		if optionNames[k] == "" {
			t.Errorf("option %b has no name", k)
		}
	}
}
