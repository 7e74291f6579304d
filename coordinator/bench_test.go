// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// instant is a Local and Peers whose replicas answer at once: what is measured is the
// coordinator alone.
type instant struct {
	object kv.Object
	bare   kv.Object
}

func (i *instant) Mint(req *replica.MintRequest) {
	m := replica.MintReply{
		Standing: standing(nodeA), Code: wire.ReplicaOK, Object: i.object,
		Dot: i.object.Versions[0].Dot,
	}
	req.Minted(m)
	req.Done(m)
}

func (i *instant) read(node kv.NodeID, mode wire.ReadMode) wire.ReadReply {
	o := i.object
	if mode == wire.ReadBare {
		o = i.bare
	}
	return wire.ReadReply{Standing: standing(node), Code: wire.ReplicaOK, Object: o}
}

func (i *instant) Read(req *wire.ReadRequest) wire.ReadReply { return i.read(nodeA, req.Mode) }
func (i *instant) Scan(*wire.ScanRequest) wire.ScanReply     { return wire.ScanReply{} }
func (i *instant) Status() replica.Status                    { return replica.Status{Ready: true} }
func (i *instant) Store(req replica.StoreRequest)            { req.Done(wire.StoreReply{}) }

func (i *instant) Mark(uint16, uint8, kv.BucketID, []byte, vclock.Context, func(bool)) {}

type instantPeers struct{ *instant }

func (i instantPeers) Store(
	node kv.NodeID, _ *wire.StoreRequest, _ time.Time, done func(wire.StoreReply, error),
) {
	done(wire.StoreReply{Standing: standing(node), Code: wire.ReplicaOK}, nil)
}

func (i instantPeers) Read(
	node kv.NodeID, req *wire.ReadRequest, _ time.Time, done func(wire.ReadReply, error),
) {
	done(i.read(node, req.Mode), nil)
}

func (i instantPeers) Scan(
	kv.NodeID, *wire.ScanRequest, time.Time, func(wire.ScanReply, error),
) {
}

func (i instantPeers) Forward(
	kv.NodeID, *wire.ForwardRequest, time.Time, func(wire.ForwardReply, error),
) {
}

func newInstant(b *testing.B) *Coordinator {
	b.Helper()
	r := newRing(b, 4)
	o := version(nodeA, 1, string(make([]byte, 1024)))
	local := &instant{object: o, bare: o.WithoutValues()}
	cfg := DefaultConfig()
	cfg.Node, cfg.Now = nodeA, time.Now
	cfg.Ring = func() *ring.Ring { return r }
	cfg.Alive = func(kv.NodeID) bool { return true }
	c, err := New(cfg, local, instantPeers{local}, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func BenchmarkPut(b *testing.B) {
	c, ctx, req := newInstant(b), within(b), putting("v")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Put(ctx, req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	c, ctx, req := newInstant(b), within(b), getting()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Get(ctx, req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	c, req := newInstant(b), putting("v")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Route(req); err != nil {
			b.Fatal(err)
		}
	}
}
