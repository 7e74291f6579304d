// SPDX-License-Identifier: Apache-2.0

package state

import (
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

func (c NewInstance) append(dst []byte) []byte {
	dst = appendUint(dst, c.Node)
	dst = appendUint(dst, c.Previous)
	return appendOpen(dst, c.For)
}

func readNewInstance(r *reader) Command {
	return NewInstance{Node: r.node(), Previous: kv.Instance(r.uint()), For: r.open()}
}

func (c AcceptLoss) append(dst []byte) []byte {
	dst = appendUint(dst, c.Node)
	dst = appendUint(dst, c.Instance)
	return appendNodes(dst, c.Without)
}

func readAcceptLoss(r *reader) Command {
	return AcceptLoss{Node: r.node(), Instance: kv.Instance(r.uint()), Without: r.nodes()}
}

func (c FinishRefill) append(dst []byte) []byte {
	dst = appendUint(dst, c.Node)
	dst = appendUint(dst, c.Instance)
	dst = appendOpen(dst, c.Open)
	dst = appendUint(dst, c.Fence)
	dst = appendUint(dst, len(c.Sources))
	for _, source := range c.Sources {
		dst = appendUint(dst, source.Node)
		dst = appendUint(dst, source.Instance)
	}
	return dst
}

// minSource is the least that a source takes.
const minSource = 2

func readFinishRefill(r *reader) Command {
	c := FinishRefill{
		Node: r.node(), Instance: kv.Instance(r.uint()), Open: r.open(),
		Fence: kv.PlacementVersion(r.uint()),
	}
	if n := r.count(minSource); n > 0 {
		c.Sources = make([]ring.Source, n)
	}
	for i := range c.Sources {
		c.Sources[i] = ring.Source{Node: r.node(), Instance: kv.Instance(r.uint())}
	}
	return c
}

func appendNodes(dst []byte, nodes []kv.NodeID) []byte {
	dst = appendUint(dst, len(nodes))
	for _, id := range nodes {
		dst = appendUint(dst, id)
	}
	return dst
}

func (r *reader) nodes() []kv.NodeID {
	n := r.count(1)
	if n == 0 {
		return nil
	}
	nodes := make([]kv.NodeID, n)
	for i := range nodes {
		nodes[i] = r.node()
	}
	return nodes
}

func appendRefill(dst []byte, g ring.Refill) []byte {
	dst = appendUint(dst, g.Since)
	dst = appendBool(dst, g.Accepted)
	return appendNodes(dst, g.Without)
}

// minRefill is the least that a refill takes.
const minRefill = 3

func (r *reader) refill() ring.Refill {
	return ring.Refill{
		Since: kv.PlacementVersion(r.uint()), Accepted: r.bool(), Without: r.nodes(),
	}
}
