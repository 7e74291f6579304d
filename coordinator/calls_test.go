// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"sync/atomic"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// call is a request that a peer has been sent. Exactly one of the answers is to be given.
type call struct {
	node     kv.NodeID
	deadline time.Time
	store    *wire.StoreRequest
	read     *wire.ReadRequest
	scan     *wire.ScanRequest
	forward  *wire.ForwardRequest

	onStore   func(wire.StoreReply, error)
	onRead    func(wire.ReadReply, error)
	onScan    func(wire.ScanReply, error)
	onForward func(wire.ForwardReply, error)
	answered  atomic.Bool
}

// answersOnce lets only the first answer be heard.
func (c *call) answersOnce() {
	switch {
	case c.onStore != nil:
		c.onStore = once(c, c.onStore)
	case c.onRead != nil:
		c.onRead = once(c, c.onRead)
	case c.onScan != nil:
		c.onScan = once(c, c.onScan)
	default:
		c.onForward = once(c, c.onForward)
	}
}

func once[A any](c *call, done func(A, error)) func(A, error) {
	return func(answer A, err error) {
		if !c.answered.Swap(true) {
			done(answer, err)
		}
	}
}

// fail answers whatever it was with an error.
func (c *call) fail(err error) {
	switch {
	case c.onStore != nil:
		c.onStore(wire.StoreReply{}, err)
	case c.onRead != nil:
		c.onRead(wire.ReadReply{}, err)
	case c.onScan != nil:
		c.onScan(wire.ScanReply{}, err)
	default:
		c.onForward(wire.ForwardReply{}, err)
	}
}

// stored answers a store request, in the role that it was asked in.
func (c *call) stored(code wire.ReplicaCode) {
	s := standing(c.node)
	s.Role = c.store.Role
	c.onStore(wire.StoreReply{Standing: s, Code: code, Detail: "scripted"}, nil)
}

// show answers a read with a copy, bare where a digest was asked for.
func (c *call) show(o kv.Object) { c.showAt(o, 0) }

func (c *call) showAt(o kv.Object, epoch kv.PurgeEpoch) {
	if c.read.Mode == wire.ReadBare {
		o = o.WithoutValues()
	}
	s := standing(c.node)
	s.Epoch = epoch
	if c.node > nodeC {
		s.Role = kv.RoleFallback
	}
	c.onRead(wire.ReadReply{Standing: s, Code: wire.ReplicaOK, Object: o}, nil)
}
