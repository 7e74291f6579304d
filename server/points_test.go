// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"testing"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// pointed is the shape of a server with a failpoint armed.
func pointed(points *fail.Set) shape {
	return shape{change: func(c *Config) { c.Points = points }}
}

// peerRead asks for a copy as a peer does.
func (f *fixture) peerRead(c *rpc.Client, key string) error {
	current := f.world.ring
	q := wire.ReadRequest{Mode: wire.ReadFull, Target: wire.Target{
		Bucket: 1, Partition: current.PartitionOf(1, []byte(key)), Key: []byte(key),
		Placement: 1, Instance: ownInstance, RemainingMS: 1000,
	}}
	_, err := call(c, wire.MethodRead, wire.AppendReadRequest(nil, &q))
	return err
}

func TestRequestsThatAreToFailAreRefusedBeforeAnyWork(t *testing.T) {
	points := fail.NewSet()
	broken := fail.Plan{Times: 1, Err: errors.New("broken on purpose")}
	points.Arm(PointRequest, broken)
	points.Arm(PointPeerRequest, broken)
	inBubble(t, pointed(points), func(t *testing.T, f *fixture) {
		client, peer := f.client(), f.peer(f.hello())
		_, err := put(client, wire.PutRequest{Key: []byte("k"), Value: []byte("v")})
		if code, text := codeOf(err); code != wire.CodeOverloaded || !f.keys.object("k").IsZero() {
			t.Errorf("%s: %s, and %v is stored; want OVERLOADED and nothing", code, text,
				f.keys.object("k"))
		}
		if code, text := codeOf(f.peerRead(peer, "k")); code != wire.CodeOverloaded {
			t.Errorf("a peer's call: %s: %s, want OVERLOADED", code, text)
		}
		_, err = put(client, wire.PutRequest{Key: []byte("k"), Value: []byte("v")})
		must(t, err)
		must(t, f.peerRead(peer, "k"))
		if open := f.server.Open(); open > 1 { // the last may still be leaving
			t.Errorf("%d requests are under way", open)
		}
	})
}

func TestAnswersThatAreToFailEndTheirConnection(t *testing.T) {
	points := fail.NewSet()
	broken := fail.Plan{Times: 1, Err: errors.New("broken on purpose")}
	points.Arm(PointAnswer, broken)
	points.Arm(PointPeerAnswer, broken)
	inBubble(t, pointed(points), func(t *testing.T, f *fixture) {
		client, peer := f.client(), f.peer(f.hello())
		_, err := put(client, wire.PutRequest{Key: []byte("k"), Value: []byte("v")})
		var told *rpc.RemoteError
		if err == nil || errors.As(err, &told) {
			t.Errorf("%v, want the end of the connection", err)
		}
		if f.keys.object("k").IsZero() {
			t.Error("nothing is stored; the answer alone should be lost")
		}
		if err := f.peerRead(peer, "k"); err == nil || errors.As(err, &told) {
			t.Errorf("a peer's call: %v, want the end of the connection", err)
		}
		_, err = get(f.client(), wire.GetRequest{Key: []byte("k")})
		must(t, err)
		must(t, f.peerRead(f.peer(f.hello()), "k"))
	})
}

func TestEveryPointOfTheServerIsReached(t *testing.T) {
	points := fail.NewSet()
	inBubble(t, pointed(points), func(t *testing.T, f *fixture) {
		f.keys.objects["k"] = version(t, "v")
		_, err := get(f.client(), wire.GetRequest{Key: []byte("k")})
		must(t, err)
		must(t, f.peerRead(f.peer(f.hello()), "k"))
		for _, p := range Points() {
			if points.Hits(p.Name) == 0 {
				t.Errorf("%s was not reached", p.Name)
			}
		}
	})
}

func version(t *testing.T, value string) kv.Object {
	v := kv.Version{Dot: dotOf(1), Kind: kv.KindValue, Value: []byte(value)}
	o, err := kv.Object{}.Put(v.Sealed(), vclock.Context{})
	must(t, err)
	return o
}
