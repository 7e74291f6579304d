// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// HintsPoint is how far a wait for all that is older than a moment has come. Clients keep it
// between two requests and do not look inside.
type HintsPoint struct {
	// Hints: every node's sends that are older have ended; what they left is waited for.
	Hints bool
	Nodes []HintsPointNode
}

// HintsPointNode is one node's part of the present half of the wait.
type HintsPointNode struct {
	Node kv.NodeID
	Open kv.Open // of the process that set the mark
	Mark uint64
	Done bool
}

const (
	hintsPointFields     = 2
	hintsPointNodeFields = 5
	// MaxHintsPoint is the longest point that a request may carry, in bytes: one of 1,024
	// members.
	MaxHintsPoint = 8 + MaxList*(1+3+3*9+1)
)

// AppendHintsPoint appends a point.
func AppendHintsPoint(dst []byte, p *HintsPoint) []byte {
	dst = appendBool(append(dst, 0x90|hintsPointFields), p.Hints)
	dst = appendArray(dst, len(p.Nodes))
	for i := range p.Nodes {
		n := &p.Nodes[i]
		dst = appendUint(append(dst, 0x90|hintsPointNodeFields), uint64(n.Node))
		dst = appendUint(appendUint(dst, n.Open.Seq), n.Open.Nonce)
		dst = appendBool(appendUint(dst, n.Mark), n.Done)
	}
	return dst
}

// DecodeHintsPoint reads a point.
func DecodeHintsPoint(b []byte, into *HintsPoint) error {
	*into = HintsPoint{}
	r := reader{b: b, field: "point"}
	extra := r.tuple(hintsPointFields)
	into.Hints = r.bool()
	into.Nodes = elements(&r, r.array(1+hintsPointNodeFields), func(r *reader) (n HintsPointNode) {
		extra := r.tuple(hintsPointNodeFields)
		n.Node = kv.NodeID(r.uint16())
		n.Open.Seq, n.Open.Nonce, n.Mark = r.uint64(), r.uint64(), r.uint64()
		n.Done = r.bool()
		r.extras(extra)
		return n
	})
	if r.err == nil && len(into.Nodes) > MaxList {
		r.fail(invalid(r.field, "%d nodes, at most %d", len(into.Nodes), MaxList))
	}
	r.extras(extra)
	return r.finish()
}
